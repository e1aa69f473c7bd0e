/* The answer's lines and bytes are kept until Lua asks for them. A body that
 * nobody takes is held back at a mark: libcurl stops reading the connection.
 * Not so over HTTP/2, where that of Debian 12 (7.88.1) loses the end of a
 * stream that was held back; there a body has a limit instead. A request's body
 * of which there is nothing yet is waited for. Left out: pushed streams, and
 * the headers of 1xx answers. */
#include "bind/fetch_transfer.h"

#include <stdio.h>

#include "bind/fetch_multi.h"

/* ---- callbacks of libcurl: they take notes */

static size_t on_line(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    struct queue *lines = t->head_done ? &t->trailer : &t->head;

    n *= size;
    if (queue_size(lines) + n > FETCH_TRANSFER_HEAD_MAX) {
        t->too_large = "ERR_HEAD_TOO_LARGE";
        return 0;
    }
    if (n > 5 && memcmp(p, "HTTP/", 5) == 0 && !t->head_done)
        queue_take(lines, queue_size(lines)); /* behind one of 1xx */
    if (n > 2 || (n == 2 && p[0] != '\r')) {
        queue_append(t->plugin, lines, p, n);
        return n;
    }
    if (t->head_done)
        return n;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
    curl_easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &t->version);
    t->head_done = t->status >= 200 || t->status == 101;
    if (t->head_done)
        fetch_multi_note(t);
    return n;
}

static size_t on_bytes(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;

    n *= size;
    if (queue_size(&t->in) + n > t->limit) {
        t->too_large = "ERR_BODY_TOO_LARGE";
        return 0;
    }
    if (!t->whole && t->version != CURL_HTTP_VERSION_2_0 &&
        queue_size(&t->in) >= FETCH_TRANSFER_MARK) {
        t->paused_in = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    queue_append(t->plugin, &t->in, p, n);
    if (t->wanted == FETCH_CHUNK)
        fetch_multi_note(t);
    return n;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t on_room(char *p, size_t size, size_t room, void *arg)
{
    struct transfer *t = arg;
    size_t n;

    room *= size;
    if (!t->streams) { /* kept, to be sent again over another connection */
        n = smaller(t->body.n - t->sent, room);
        if (n > 0)
            memcpy(p, t->body.p + t->sent, n);
        t->sent += n;
        return n;
    }
    n = smaller(queue_size(&t->body), room);
    if (n == 0 && !t->ended) {
        t->paused_out = true;
        return CURL_READFUNC_PAUSE;
    }
    if (n > 0)
        memcpy(p, queue_bytes(&t->body), n);
    queue_take(&t->body, n);
    t->sent += n;
    if (t->writer != NULL)
        fetch_multi_note(t);
    return n;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct transfer *t = arg;

    if (origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    if (t->streams)
        return t->sent == (size_t)offset ? CURL_SEEKFUNC_OK
                                         : CURL_SEEKFUNC_FAIL;
    t->sent = smaller((size_t)offset, t->body.n);
    return CURL_SEEKFUNC_OK;
}

void fetch_transfer_bind(struct transfer *t)
{
    CURL *easy = t->easy;

    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->error);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_line);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_room);
    curl_easy_setopt(easy, CURLOPT_READDATA, t);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, t);
}

/* ---- ends */

/* The code of a failure, with Node's names where it has one. */
static const char *code_of(CURLcode result, long error)
{
    switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return "ENOTFOUND";
    case CURLE_COULDNT_CONNECT:
        return error != 0 ? strerrorname_np((int)error) : "ECONNREFUSED";
    case CURLE_OPERATION_TIMEDOUT:
        return "ETIMEDOUT";
    case CURLE_PEER_FAILED_VERIFICATION:
        return "ERR_TLS_CERT";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
        return "ERR_TLS";
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SEND_FAIL_REWIND:
        return "ECONNRESET";
    case CURLE_BAD_CONTENT_ENCODING:
        return "ERR_CONTENT_ENCODING";
    default:
        return "ERR_FETCH";
    }
}

static void fail(struct transfer *t, const char *code, const char *reason)
{
    t->done = true;
    t->failure = code;
    snprintf(t->reason, sizeof t->reason, "%s", reason);
}

void fetch_transfer_done(struct transfer *t, CURLcode result)
{
    const char *reason =
        t->error[0] != '\0' ? t->error : curl_easy_strerror(result);
    long error = 0;

    curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &error);
    if (result == CURLE_OK && !t->head_done)
        result = CURLE_GOT_NOTHING;
    if (result == CURLE_OK) {
        t->done = true;
        return;
    }
    if (t->too_large != NULL)
        fail(t, t->too_large,
             t->head_done ? "the body is larger than maxBodySize"
                          : "the head of the answer is too large");
    else if (result == CURLE_COULDNT_CONNECT && error != 0)
        fail(t, code_of(result, error), strerror((int)error));
    else
        fail(t, code_of(result, error), reason);
}

void fetch_transfer_end(struct transfer *t, const char *code,
                        const char *reason)
{
    if (t->done)
        return;
    fail(t, code, reason);
    fetch_multi_remove(t);
    fetch_transfer_look(t);
}

void fetch_transfer_resume(struct transfer *t)
{
    bool in = t->paused_in &&
              (t->whole || queue_size(&t->in) < FETCH_TRANSFER_MARK / 2);
    bool out = t->paused_out && (queue_size(&t->body) > 0 || t->ended);
    CURLcode result;

    if (t->easy == NULL || !(in || out))
        return;
    if (in)
        t->paused_in = false;
    if (out)
        t->paused_out = false;
    result = curl_easy_pause(t->easy, (t->paused_in ? CURLPAUSE_RECV : 0) |
                                          (t->paused_out ? CURLPAUSE_SEND : 0));
    if (result == CURLE_OK)
        return;
    fetch_transfer_done(t, result); /* libcurl does not say so again */
    fetch_multi_remove(t);
    fetch_multi_note(t);
}

/* ---- who waits */

static int push_failure(lua_State *L, struct transfer *t)
{
    t->plugin->push_error(L, t->reason, t->failure);
    return 1;
}

/* nil, status, version, lines */
static int push_head(lua_State *L, struct transfer *t)
{
    if (!t->head_done)
        return push_failure(L, t);
    lua_pushnil(L);
    lua_pushinteger(L, (lua_Integer)t->status);
    lua_pushstring(L, t->version == CURL_HTTP_VERSION_2_0   ? "2.0"
                      : t->version == CURL_HTTP_VERSION_1_0 ? "1.0"
                                                            : "1.1");
    lua_pushlstring(L, queue_bytes(&t->head), queue_size(&t->head));
    return 4;
}

/* nil, bytes (nil at the end) */
static int push_bytes(lua_State *L, struct transfer *t)
{
    if (t->failure != NULL && (t->wanted == FETCH_ALL || !queue_size(&t->in)))
        return push_failure(L, t);
    lua_pushnil(L);
    if (queue_size(&t->in) == 0 && t->wanted == FETCH_CHUNK)
        lua_pushnil(L);
    else
        lua_pushlstring(L, queue_bytes(&t->in), queue_size(&t->in));
    queue_clear(t->plugin, &t->in);
    return 2;
}

/* nil, true */
static int push_taken(lua_State *L, void *arg)
{
    struct transfer *t = arg;

    if (t->failure != NULL)
        return push_failure(L, t);
    lua_pushnil(L);
    lua_pushboolean(L, 1);
    return 2;
}

int fetch_transfer_push(lua_State *L, void *arg)
{
    struct transfer *t = arg;

    return t->wanted == FETCH_HEAD ? push_head(L, t) : push_bytes(L, t);
}

bool fetch_transfer_ready(const struct transfer *t)
{
    switch (t->wanted) {
    case FETCH_HEAD:
        return t->head_done || t->done;
    case FETCH_CHUNK:
        return queue_size(&t->in) > 0 || t->done;
    default:
        return t->done;
    }
}

void fetch_transfer_look(struct transfer *t)
{
    struct plugin_wait *w;

    t->looking++;
    if ((w = t->writer) != NULL &&
        (t->done || queue_size(&t->body) < FETCH_TRANSFER_MARK / 2)) {
        t->writer = NULL;
        t->plugin->timer_set(t->write_timer, -1);
        t->plugin->wait_settle(w, push_taken, t);
    }
    if ((w = t->reader) != NULL && fetch_transfer_ready(t)) {
        t->reader = NULL;
        t->plugin->timer_set(t->timer, -1);
        t->plugin->wait_settle(w, fetch_transfer_push, t);
    }
    if (--t->looking == 0 && t->freed)
        fetch_transfer_free(t);
}

void fetch_transfer_free(struct transfer *t)
{
    const struct plugin *plugin = t->plugin;

    t->freed = true;
    if (t->looking > 0)
        return;
    fetch_multi_remove(t);
    curl_slist_free_all(t->headers);
    if (t->reader != NULL)
        plugin->wait_forget(t->reader);
    if (t->writer != NULL)
        plugin->wait_forget(t->writer);
    plugin->timer_free(t->timer);
    plugin->timer_free(t->write_timer);
    queue_clear(plugin, &t->body);
    queue_clear(plugin, &t->head);
    queue_clear(plugin, &t->trailer);
    queue_clear(plugin, &t->in);
    plugin->memory(t, 0);
}
