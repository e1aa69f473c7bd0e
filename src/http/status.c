/* A table indexed by the code itself: mostly holes, but one load on the way of
 * every response. It holds the registry of IANA with the phrases of Node, which
 * keeps a few older spellings (413, 422) and two codes that the registry never
 * gave away (418, 509). Not here: 306, which is unused, and 104, which is
 * registered for a draft alone. */
#include "http/status.h"

enum { CODES_END = 512 };

#define REASON(code, text) [code] = {text, sizeof text - 1}

static const struct str reasons[CODES_END] = {
    REASON(100, "Continue"),
    REASON(101, "Switching Protocols"),
    REASON(102, "Processing"),
    REASON(103, "Early Hints"),
    REASON(200, "OK"),
    REASON(201, "Created"),
    REASON(202, "Accepted"),
    REASON(203, "Non-Authoritative Information"),
    REASON(204, "No Content"),
    REASON(205, "Reset Content"),
    REASON(206, "Partial Content"),
    REASON(207, "Multi-Status"),
    REASON(208, "Already Reported"),
    REASON(226, "IM Used"),
    REASON(300, "Multiple Choices"),
    REASON(301, "Moved Permanently"),
    REASON(302, "Found"),
    REASON(303, "See Other"),
    REASON(304, "Not Modified"),
    REASON(305, "Use Proxy"),
    REASON(307, "Temporary Redirect"),
    REASON(308, "Permanent Redirect"),
    REASON(400, "Bad Request"),
    REASON(401, "Unauthorized"),
    REASON(402, "Payment Required"),
    REASON(403, "Forbidden"),
    REASON(404, "Not Found"),
    REASON(405, "Method Not Allowed"),
    REASON(406, "Not Acceptable"),
    REASON(407, "Proxy Authentication Required"),
    REASON(408, "Request Timeout"),
    REASON(409, "Conflict"),
    REASON(410, "Gone"),
    REASON(411, "Length Required"),
    REASON(412, "Precondition Failed"),
    REASON(413, "Payload Too Large"),
    REASON(414, "URI Too Long"),
    REASON(415, "Unsupported Media Type"),
    REASON(416, "Range Not Satisfiable"),
    REASON(417, "Expectation Failed"),
    REASON(418, "I'm a Teapot"),
    REASON(421, "Misdirected Request"),
    REASON(422, "Unprocessable Entity"),
    REASON(423, "Locked"),
    REASON(424, "Failed Dependency"),
    REASON(425, "Too Early"),
    REASON(426, "Upgrade Required"),
    REASON(428, "Precondition Required"),
    REASON(429, "Too Many Requests"),
    REASON(431, "Request Header Fields Too Large"),
    REASON(451, "Unavailable For Legal Reasons"),
    REASON(500, "Internal Server Error"),
    REASON(501, "Not Implemented"),
    REASON(502, "Bad Gateway"),
    REASON(503, "Service Unavailable"),
    REASON(504, "Gateway Timeout"),
    REASON(505, "HTTP Version Not Supported"),
    REASON(506, "Variant Also Negotiates"),
    REASON(507, "Insufficient Storage"),
    REASON(508, "Loop Detected"),
    REASON(509, "Bandwidth Limit Exceeded"),
    REASON(510, "Not Extended"),
    REASON(511, "Network Authentication Required"),
};

struct str status_reason(int code)
{
    if (code < 0 || code >= CODES_END)
        return (struct str){NULL, 0};
    return reasons[code];
}

int status_next(int after)
{
    if (after >= CODES_END)
        return 0;
    for (int code = after < 0 ? 0 : after + 1; code < CODES_END; code++)
        if (reasons[code].p != NULL)
            return code;
    return 0;
}
