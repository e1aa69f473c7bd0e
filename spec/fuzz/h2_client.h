/* What the client of h2_fuzz.c sends. The text is either that, or, so that
 * changes to it leave frames what they are, a list of records:
 *
 *   type flags stream length payload...
 *
 * of a byte each. A stream over 249 is one of the highest there are. A length
 * of 255 is followed by two bytes that say how many "x" the payload has. With
 * the highest bit of the type, the payload is lines of a head, "name: value",
 * and a line of one letter is a whole request: (G)ET, (P)OST, (H)EAD. */
#ifndef SPEC_FUZZ_H2_CLIENT_H
#define SPEC_FUZZ_H2_CLIENT_H

#include "base/bytes.h"
#include "fuzz.h"

enum {
    CLIENT_HEAD = 9, /* bytes before each payload (RFC 9113 4.1) */
    CLIENT_LINES = 0x80,
    CLIENT_HIGH = 250,
    CLIENT_FILLED = 255,
    CLIENT_END_STREAM = 1,
    CLIENT_END_HEADERS = 4
};

static const struct str client_preface =
    STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/* Adds a frame. */
static void client_frame(struct bytes *to, unsigned type, unsigned flags,
                         uint32_t id, struct str payload)
{
    const char head[CLIENT_HEAD] = {(char)(payload.n >> 16),
                                    (char)(payload.n >> 8),
                                    (char)payload.n,
                                    (char)type,
                                    (char)flags,
                                    (char)(id >> 24),
                                    (char)(id >> 16),
                                    (char)(id >> 8),
                                    (char)id};

    bytes_append(to, head, sizeof head);
    if (payload.n > 0)
        bytes_append(to, payload.p, payload.n);
}

/* A string literal (RFC 7541 5.2) of less than 16 KiB. */
static void client_literal(struct bytes *to, struct str s)
{
    char size[3] = {(char)s.n};
    size_t rest = s.n - 127;

    if (s.n < 127) {
        bytes_append(to, size, 1);
    } else {
        size[0] = 127;
        size[1] = (char)(rest % 128 | 128);
        size[2] = (char)(rest / 128);
        bytes_append(to, size, 3);
    }
    if (s.n > 0)
        bytes_append(to, s.p, s.n);
}

/* A field that is not indexed (RFC 7541 6.2.2). */
static void client_field(struct bytes *to, struct str name, struct str value)
{
    bytes_append(to, "", 1);
    client_literal(to, name);
    client_literal(to, value);
}

/* A line of a head, as a block of HPACK. */
static void client_line(struct bytes *to, struct str line)
{
    struct str value = str_skip(line, 1), name = {line.p, 1};
    const char *method = line.n != 1        ? NULL
                         : line.p[0] == 'G' ? "GET"
                         : line.p[0] == 'P' ? "POST"
                         : line.p[0] == 'H' ? "HEAD"
                                            : NULL;

    if (method != NULL) {
        client_field(to, STR(":method"), str_of(method));
        client_field(to, STR(":scheme"), STR("http"));
        client_field(to, STR(":path"), STR("/"));
        client_field(to, STR(":authority"), STR("a"));
        return;
    }
    name.n += str_cut(&value, ':').n; /* a colon in front is the name's */
    if (value.p == NULL)
        value = (struct str){"", 0};
    client_field(to, name, str_trim(value));
}

static void client_lines(struct bytes *to, struct str lines)
{
    while (lines.n > 0) {
        struct str line = str_cut(&lines, '\n');

        if (line.n > 0)
            client_line(to, line);
    }
}

static unsigned client_byte(struct str s, size_t at)
{
    return (unsigned char)s.p[at];
}

/* A record, taken off text. False where there is none any more. */
static bool client_record(struct bytes *to, struct str *text)
{
    static char filling[1 << 16];
    struct bytes block;
    struct str payload;
    unsigned type, flags, id;
    size_t n;

    if (text->n < 4)
        return false;
    type = client_byte(*text, 0);
    flags = client_byte(*text, 1);
    id = client_byte(*text, 2);
    n = client_byte(*text, 3);
    *text = str_skip(*text, 4);
    if (id >= CLIENT_HIGH)
        id = 0x7fffffff - (255 - id);
    if (n == CLIENT_FILLED && text->n >= 2) {
        memset(filling, 'x', sizeof filling);
        n = client_byte(*text, 0) << 8 | client_byte(*text, 1);
        *text = str_skip(*text, 2);
        client_frame(to, type & 0x7f, flags, id, (struct str){filling, n});
        return true;
    }
    payload = (struct str){text->p, n < text->n ? n : text->n};
    *text = str_skip(*text, payload.n);
    bytes_init(&block);
    if (type & CLIENT_LINES) {
        client_lines(&block, payload);
        payload = (struct str){block.n > 0 ? block.p : "", block.n};
    }
    client_frame(to, type & 0x7f, flags, id, payload);
    bytes_clear(&block);
    return true;
}

/* All that the records say, behind the preface and SETTINGS. */
static void client_records(struct bytes *to, struct str text)
{
    bytes_append(to, client_preface.p, client_preface.n);
    client_frame(to, 4, 0, 0, STR(""));
    while (client_record(to, &text))
        ;
}

/* A request for nothing but a head, on stream id. */
static void client_last(struct bytes *to, uint32_t id)
{
    struct bytes block;

    bytes_init(&block);
    client_lines(&block, STR("H"));
    client_frame(to, 1, CLIENT_END_STREAM | CLIENT_END_HEADERS, id,
                 (struct str){block.p, block.n});
    bytes_clear(&block);
}

/* Whether text begins as a client must (RFC 9113 3.4), and ends where a frame
 * does, and a head. */
static bool client_is_whole(struct str text)
{
    bool in_head = false;

    if (text.n < client_preface.n)
        return false;
    text = str_skip(text, client_preface.n);
    if (text.n < CLIENT_HEAD || client_byte(text, 3) != 4)
        return false; /* no SETTINGS */
    while (text.n >= CLIENT_HEAD) {
        size_t n = client_byte(text, 0) << 16 | client_byte(text, 1) << 8 |
                   client_byte(text, 2);
        unsigned type = client_byte(text, 3), flags = client_byte(text, 4);

        if (text.n - CLIENT_HEAD < n)
            return false;
        if (type == 1 || type == 9)
            in_head = !(flags & CLIENT_END_HEADERS);
        text = str_skip(text, CLIENT_HEAD + n);
    }
    return text.n == 0 && !in_head;
}

#endif
