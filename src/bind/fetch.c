/* luaserve.bind.fetch: requests to other servers, over libcurl. A transfer is
 * begun by start, and then waited for: its head, its body in chunks or whole.
 * What a request means (redirects, headers, JSON) is Lua's business
 * (lua/luaserve/fetch.lua). A transfer that nobody can see any more is ended.
 */
#include "bind/fetch_multi.h"

#define TRANSFER "luaserve.fetch.transfer"

static const struct plugin *plugin;

/* ---- options */

/* The string of options[name], the table at index 1; NULL where there is none.
 * Valid while the table is. */
static const char *text_of(lua_State *L, const char *name, size_t *n)
{
    const char *text;

    lua_getfield(L, 1, name);
    text = lua_tolstring(L, -1, n);
    lua_pop(L, 1);
    return text;
}

static bool is_set(lua_State *L, const char *name)
{
    bool set;

    lua_getfield(L, 1, name);
    set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return set;
}

static void set_text(lua_State *L, CURL *easy, CURLoption option,
                     const char *name)
{
    const char *text = text_of(L, name, NULL);

    if (text != NULL)
        curl_easy_setopt(easy, option, text);
}

static void set_blob(lua_State *L, CURL *easy, CURLoption option,
                     const char *name)
{
    struct curl_blob blob = {.flags = CURL_BLOB_COPY};

    blob.data = (void *)(uintptr_t)text_of(L, name, &blob.len);
    if (blob.data != NULL)
        curl_easy_setopt(easy, option, &blob);
}

static void set_tls(lua_State *L, CURL *easy)
{
    bool verify = !is_set(L, "unverified");

    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
    set_blob(L, easy, CURLOPT_CAINFO_BLOB, "ca");
    set_blob(L, easy, CURLOPT_SSLCERT_BLOB, "cert");
    set_blob(L, easy, CURLOPT_SSLKEY_BLOB, "key");
    set_text(L, easy, CURLOPT_KEYPASSWD, "passphrase");
}

static void set_connection(lua_State *L, CURL *easy)
{
    const char *version = text_of(L, "version", NULL);
    long http = CURL_HTTP_VERSION_2TLS;

    if (version != NULL && version[0] == '1')
        http = CURL_HTTP_VERSION_1_1;
    else if (version != NULL)
        http = CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, http);
    /* Rather a stream of a connection that is being made than another one; a
     * server without TLS would have to answer before libcurl knows. */
    curl_easy_setopt(
        easy, CURLOPT_PIPEWAIT,
        http == CURL_HTTP_VERSION_2TLS && is_set(L, "encrypted") ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* none by the environment */
    set_text(L, easy, CURLOPT_USERNAME, "username");
    set_text(L, easy, CURLOPT_PASSWORD, "password");
    set_text(L, easy, CURLOPT_PROXY, "proxy");
    set_text(L, easy, CURLOPT_UNIX_SOCKET_PATH, "socketPath");
    lua_getfield(L, 1, "connectTimeout");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(lua_tonumber(L, -1) * 1000));
    lua_pop(L, 1);
    if (is_set(L, "fresh")) {
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
        curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    }
}

/* The method and the body: libcurl adds no headers for an upload. */
static void set_request(lua_State *L, struct transfer *t)
{
    const char *method = text_of(L, "method", NULL);
    size_t n = 0;
    const char *body = text_of(L, "body", &n);
    curl_off_t length;

    set_text(L, t->easy, CURLOPT_URL, "url");
    t->streams = is_set(L, "streams");
    t->whole = is_set(L, "whole");
    lua_getfield(L, 1, "limit");
    t->limit = (size_t)lua_tonumber(L, -1);
    lua_pop(L, 1);
    lua_getfield(L, 1, "length");
    length = lua_isnumber(L, -1) ? (curl_off_t)lua_tonumber(L, -1) : -1;
    lua_pop(L, 1);
    if (body != NULL)
        queue_append(plugin, &t->body, body, n);
    if (body != NULL || t->streams) {
        curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(t->easy, CURLOPT_INFILESIZE_LARGE,
                         t->streams ? length : (curl_off_t)n);
    } else if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
    }
    if (strcmp(method, "GET") != 0 || body != NULL || t->streams)
        curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, method);
    if (is_set(L, "decompress"))
        curl_easy_setopt(t->easy, CURLOPT_ACCEPT_ENCODING, "");
}

static void set_headers(lua_State *L, struct transfer *t)
{
    int i;

    lua_getfield(L, 1, "headers");
    for (i = 1;; i++) {
        lua_rawgeti(L, -1, i);
        if (!lua_isstring(L, -1))
            break;
        t->headers = curl_slist_append(t->headers, lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
}

/* ---- waits */

static struct transfer *check(lua_State *L)
{
    return *(struct transfer **)luaL_checkudata(L, 1, TRANSFER);
}

/* Nobody waits any more. */
static void on_over(void *arg, const char *why)
{
    struct transfer *t = arg;

    fetch_transfer_end(t, "ABORTED", why);
}

static void on_time(void *arg)
{
    struct transfer *t = arg;

    fetch_transfer_end(t, "ETIMEDOUT",
                       t->wanted == FETCH_HEAD || t->writer != NULL
                           ? "there was no answer in time"
                           : "the rest of the answer did not come in time");
}

/* [-0, +n, m] What a wait that has ended already returns. */
static int return_now(lua_State *L, struct transfer *t)
{
    int n = fetch_transfer_push(L, t), err = lua_gettop(L) - n + 1;

    if (lua_isnil(L, err))
        return n - 1;
    lua_pushnil(L);
    lua_getfield(L, err, "message");
    lua_getfield(L, err, "code");
    return 3;
}

/* Waits for what is wanted, at most so many seconds as index i says. */
static int wait_for(lua_State *L, struct transfer *t, enum fetch_wanted wanted,
                    int i)
{
    double seconds = luaL_checknumber(L, i);
    struct plugin_wait *w;

    if (t->reader != NULL)
        return luaL_error(L, "somebody waits for this answer already");
    t->wanted = wanted;
    fetch_transfer_resume(t);
    fetch_multi_look();
    if (fetch_transfer_ready(t))
        return return_now(L, t);
    w = plugin->wait_begin(L, 0, on_over, t); /* the last that raises */
    t->reader = w;
    if (t->timer == NULL)
        t->timer = plugin->timer_new(on_time, t, true);
    plugin->timer_set(t->timer, seconds > 0 ? seconds : 0);
    return plugin->wait_return(L, w);
}

/* transfer:head(seconds) -> status, version, lines; waits */
static int head(lua_State *L)
{
    return wait_for(L, check(L), FETCH_HEAD, 2);
}

/* transfer:read(seconds) -> bytes, nil at the end; waits */
static int read(lua_State *L)
{
    return wait_for(L, check(L), FETCH_CHUNK, 2);
}

/* transfer:all(seconds, limit) -> all of the body; waits */
static int all(lua_State *L)
{
    struct transfer *t = check(L);

    t->whole = true;
    t->limit = (size_t)luaL_checknumber(L, 3);
    if (queue_size(&t->in) > t->limit)
        fetch_transfer_end(t, "ERR_BODY_TOO_LARGE",
                           "the body is larger than maxBodySize");
    return wait_for(L, t, FETCH_ALL, 2);
}

/* transfer:write(bytes) -> true, or false where so much has not left yet that
 * drain should be waited for; nil, "closed" where the answer has ended */
static int write(lua_State *L)
{
    struct transfer *t = check(L);
    size_t n;
    const char *p = luaL_checklstring(L, 2, &n);

    if (t->done || t->ended) {
        lua_pushnil(L);
        lua_pushstring(L, t->failure != NULL ? t->reason : "closed");
        return 2;
    }
    queue_append(plugin, &t->body, p, n);
    fetch_transfer_resume(t);
    fetch_multi_look();
    lua_pushboolean(L, t->done || queue_size(&t->body) < FETCH_TRANSFER_MARK);
    return 1;
}

/* transfer:drain(seconds) -> true, when most of what was written has left */
static int drain(lua_State *L)
{
    struct transfer *t = check(L);
    double seconds = luaL_checknumber(L, 2);
    struct plugin_wait *w;

    if (t->writer != NULL)
        return luaL_error(L, "somebody writes to this request already");
    if (t->done || queue_size(&t->body) < FETCH_TRANSFER_MARK / 2) {
        lua_pushboolean(L, 1);
        return 1;
    }
    w = plugin->wait_begin(L, 0, on_over, t);
    t->writer = w;
    if (t->write_timer == NULL)
        t->write_timer = plugin->timer_new(on_time, t, true);
    plugin->timer_set(t->write_timer, seconds > 0 ? seconds : 0);
    return plugin->wait_return(L, w);
}

/* transfer:finish(): the request's body is complete */
static int finish(lua_State *L)
{
    struct transfer *t = check(L);

    t->ended = true;
    fetch_transfer_resume(t);
    fetch_multi_look();
    return 0;
}

/* transfer:cancel() */
static int cancel(lua_State *L)
{
    fetch_transfer_end(check(L), "ECONNRESET", "aborted");
    return 0;
}

/* transfer:trailers() -> lines */
static int trailers(lua_State *L)
{
    struct transfer *t = check(L);

    lua_pushlstring(L, queue_bytes(&t->trailer), queue_size(&t->trailer));
    return 1;
}

/* ---- */

static int collect(lua_State *L)
{
    struct transfer **box = luaL_checkudata(L, 1, TRANSFER);

    if (*box != NULL)
        fetch_transfer_free(*box);
    *box = NULL;
    return 0;
}

/* start{url, method, headers = {"Name: value"...}, body, or streams and maybe
 * length, encrypted, whole, limit, username, password, version,
 * unverified, ca, cert, key, passphrase, proxy, socketPath, connectTimeout,
 * fresh, decompress} -> transfer; all of it was checked. */
static int start(lua_State *L)
{
    struct transfer **box, *t;

    luaL_checktype(L, 1, LUA_TTABLE);
    box = lua_newuserdata(L, sizeof *box);
    *box = NULL;
    luaL_getmetatable(L, TRANSFER);
    lua_setmetatable(L, -2);
    t = plugin->memory(NULL, sizeof *t);
    memset(t, 0, sizeof *t);
    t->plugin = plugin;
    *box = t;
    t->easy = curl_easy_init();
    if (t->easy == NULL)
        return luaL_error(L, "libcurl has no memory");
    fetch_transfer_bind(t);
    set_connection(L, t->easy);
    set_tls(L, t->easy);
    set_request(L, t);
    set_headers(L, t);
    fetch_multi_add(t);
    return 1;
}

static int close_all(lua_State *L)
{
    (void)L;
    fetch_multi_close();
    return 0;
}

/* [-0, +0, m] Has what transfers share freed with the Lua state. */
static void close_at_end(lua_State *L)
{
    lua_newuserdata(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, close_all);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_setfield(L, LUA_REGISTRYINDEX, TRANSFER ".end");
}

int luaopen_luaserve_bind_fetch(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"head", head},     {"read", read},         {"all", all},
        {"write", write},   {"drain", drain},       {"finish", finish},
        {"cancel", cancel}, {"trailers", trailers}, {NULL, NULL}};

    plugin = plugin_of(L);
    if (!fetch_multi_open(plugin))
        return luaL_error(L, "libcurl cannot be initialised");
    close_at_end(L);
    luaL_newmetatable(L, TRANSFER);
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, start);
    lua_setfield(L, -2, "start");
    lua_pushstring(L, curl_version_info(CURLVERSION_NOW)->version);
    lua_setfield(L, -2, "version");
    return 1;
}
