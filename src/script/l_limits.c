/* One row for each limit; http/limits.h says what they mean. 0 turns off what
 * can be turned off, as in Node; the sizes of a head cannot, since a head is
 * kept in memory. */
#include "script/l_limits.h"

#include <string.h>

enum kind { COUNT, BYTES, MILLISECONDS, RATE };

static const struct limit {
    const char *name;
    size_t offset;
    enum kind kind;
    int least;
} rows[] = {
    {"maxRequestLineSize", offsetof(struct limits, max_request_line), BYTES,
     64},
    {"maxHeaderSize", offsetof(struct limits, max_header_size), BYTES, 64},
    {"maxHeadersCount", offsetof(struct limits, max_headers), COUNT, 0},
    {"maxTrailerSize", offsetof(struct limits, max_trailer_size), BYTES, 0},
    {"maxBodySize", offsetof(struct limits, max_body), BYTES, 0},
    {"maxConnections", offsetof(struct limits, max_connections), COUNT, 0},
    {"maxRequestsPerSocket", offsetof(struct limits, max_requests), COUNT, 0},
    {"keepAliveTimeout", offsetof(struct limits, keep_alive_timeout),
     MILLISECONDS, 0},
    {"headersTimeout", offsetof(struct limits, headers_timeout), MILLISECONDS,
     0},
    {"requestTimeout", offsetof(struct limits, request_timeout), MILLISECONDS,
     0},
    {"minBodyRate", offsetof(struct limits, min_body_rate), RATE, 0},
    {"writeTimeout", offsetof(struct limits, write_timeout), MILLISECONDS, 0},
    {"handlerTimeout", offsetof(struct limits, handler_timeout), MILLISECONDS,
     0},
    {"handshakeTimeout", offsetof(struct limits, tls_timeout), MILLISECONDS, 0},
};

enum { ROWS = sizeof rows / sizeof rows[0] };

static const struct limit *find(const char *name)
{
    int i;

    for (i = 0; i < ROWS; i++)
        if (strcmp(name, rows[i].name) == 0)
            return &rows[i];
    return NULL;
}

void l_limits_names(lua_State *L)
{
    int i;

    lua_createtable(L, 0, ROWS);
    for (i = 0; i < ROWS; i++) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, rows[i].name);
    }
}

void l_limits_push(lua_State *L, const struct limits *limits, const char *name)
{
    const struct limit *row = find(name);
    const void *at;

    if (row == NULL) {
        lua_pushnil(L);
        return;
    }
    at = (const char *)limits + row->offset;
    switch (row->kind) {
    case COUNT:
    case BYTES:
        lua_pushinteger(L, (lua_Integer) * (const uint64_t *)at);
        break;
    case MILLISECONDS:
        lua_pushinteger(L, (lua_Integer)(*(const double *)at * 1000 + 0.5));
        break;
    case RATE:
        lua_pushinteger(L, (lua_Integer) * (const double *)at);
    }
}

bool l_limits_set(lua_State *L, struct limits *limits, const char *name, int i)
{
    const struct limit *row = find(name);
    lua_Number n = lua_type(L, i) == LUA_TNUMBER ? lua_tonumber(L, i) : -1;
    void *at;

    if (row == NULL || !(n >= row->least && n <= 9e15)) {
        lua_pushfstring(L, "%s must be a number from %d, not %s", name,
                        row ? row->least : 0,
                        lua_type(L, i) == LUA_TNUMBER ? lua_tostring(L, i)
                                                      : luaL_typename(L, i));
        return false;
    }
    at = (char *)limits + row->offset;
    if (row->kind == MILLISECONDS)
        *(double *)at = n / 1000;
    else if (row->kind == RATE)
        *(double *)at = n;
    else
        *(uint64_t *)at = (uint64_t)n;
    return true;
}
