/* The border to nghttp2: what it is told once, and its callbacks, each of which
 * takes a note for h2.c or passes a question on. None of them runs a handler or
 * sends; that is what makes them short. Left to nghttp2: frames, HPACK, stream
 * states, windows, pseudo-header fields, the length of a body against its
 * Content-Length. What it leaves to us is in h2_head.c and h2_guard.c. */
#include "http/h2_session.h"

#include "base/slab.h"
#include "http/h2.h"
#include "http/h2_guard.h"
#include "http/h2_head.h"
#include "http/h2_out.h"
#include "http/h2_stream.h"
#include "http/server.h"

enum {
    /* What the library counts too, in a bucket of its own; ours is first. */
    LIBRARY_RESETS = 1000,
    LIBRARY_RESETS_PER_SECOND = 50,
    CONTINUATIONS_MAX = 8 /* CVE-2024-27316 */
};

/* ---- receiving */

/* nghttp2 ignores HEADERS of any lower number, since they may have crossed a
 * reset; but one that was skipped can never be opened (RFC 9113 5.1.1). */
static void check_number(struct h2 *h, int32_t id)
{
    int32_t behind = (h->last_id - id) / 2;

    if (id % 2 == 1 && id < h->last_id && behind < 64 &&
        !(h->recent >> behind & 1))
        h2_terminate(h, NGHTTP2_PROTOCOL_ERROR);
}

static void note_number(struct h2 *h, int32_t id)
{
    int32_t ahead = (id - h->last_id) / 2;

    h->recent = (ahead < 64 ? h->recent << ahead : 0) | 1;
    h->last_id = id;
}

/* nghttp2 drops PRIORITY without a word where RFC 9218 replaces it. */
static void note_priority(struct h2 *h, int32_t id)
{
    if (id == 0) /* RFC 9113 6.3 */
        h2_terminate(h, NGHTTP2_PROTOCOL_ERROR);
    else
        h2_guard_count(h, H2_COUNT_PRIORITY);
}

static int on_begin_frame(nghttp2_session *session,
                          const nghttp2_frame_hd *head, void *arg)
{
    struct h2 *h = arg;

    (void)session;
    if (head->type == NGHTTP2_CONTINUATION)
        return 0;
    if (head->type == NGHTTP2_HEADERS)
        check_number(h, head->stream_id);
    if (head->type == NGHTTP2_PRIORITY)
        note_priority(h, head->stream_id);
    h->head_id = head->stream_id;
    h->head_since = head->type == NGHTTP2_HEADERS ? loop_now(h->c->loop) : 0;
    return 0;
}

static int on_begin_headers(nghttp2_session *session,
                            const nghttp2_frame *frame, void *arg)
{
    struct h2 *h = arg;
    struct h2_stream *s;

    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        note_number(h, frame->hd.stream_id);
        s = h2_stream_open(h, frame->hd.stream_id);
        nghttp2_session_set_stream_user_data(session, s->id, s);
    } else if ((s = h2_stream_of(h, frame->hd.stream_id)) != NULL) {
        s->size = s->fields = 0; /* from now on, of the trailers */
    }
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_size,
                     const uint8_t *value, size_t value_size, uint8_t flags,
                     void *arg)
{
    struct h2_stream *s = h2_stream_of(arg, frame->hd.stream_id);

    (void)session;
    (void)flags;
    if (s != NULL)
        h2_head_add(s, (struct str){(const char *)name, name_size},
                    (struct str){(const char *)value, value_size});
    return 0;
}

/* nghttp2 would drop the field and go on; RFC 9113 8.2.1 wants a reset. */
static int on_invalid_header(nghttp2_session *session,
                             const nghttp2_frame *frame, nghttp2_rcbuf *name,
                             nghttp2_rcbuf *value, uint8_t flags, void *arg)
{
    (void)name;
    (void)value;
    (void)flags;
    (void)arg;
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                              NGHTTP2_PROTOCOL_ERROR);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* END_STREAM, on whatever frame. */
static void note_eof(struct h2 *h, const nghttp2_frame_hd *head)
{
    struct h2_stream *s = h2_stream_of(h, head->stream_id);

    if (s == NULL || !(head->flags & NGHTTP2_FLAG_END_STREAM))
        return;
    s->eof = true;
    h2_stream_ready(s);
}

static void note_headers(struct h2 *h, const nghttp2_frame *frame)
{
    struct h2_stream *s = h2_stream_of(h, frame->hd.stream_id);

    h->head_since = 0;
    if (s != NULL && !s->headed) {
        s->headed = true;
        h2_stream_ready(s);
    }
    note_eof(h, &frame->hd);
}

static void note_reset(struct h2 *h, const nghttp2_frame *frame)
{
    struct h2_stream *s = h2_stream_of(h, frame->hd.stream_id);

    if (s != NULL)
        s->peer_reset = true;
    h2_guard_count(h, H2_COUNT_RESET);
}

static void note_ping(struct h2 *h, const nghttp2_frame *frame)
{
    if (!(frame->hd.flags & NGHTTP2_FLAG_ACK))
        h2_guard_count(h, H2_COUNT_PING);
    else if (h->drain == H2_DRAIN_NOTICE) /* it has seen the notice */
        h->drain_at = 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame,
                    void *arg)
{
    struct h2 *h = arg;

    (void)session;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        note_headers(h, frame);
        break;
    case NGHTTP2_DATA:
        if (frame->hd.length == frame->data.padlen &&
            !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
            h2_guard_count(h, H2_COUNT_EMPTY);
        note_eof(h, &frame->hd);
        break;
    case NGHTTP2_RST_STREAM:
        note_reset(h, frame);
        break;
    case NGHTTP2_SETTINGS:
        h2_guard_count(h, H2_COUNT_SETTINGS);
        break;
    case NGHTTP2_PING:
        note_ping(h, frame);
        break;
    case NGHTTP2_PRIORITY_UPDATE:
        h2_guard_count(h, H2_COUNT_PRIORITY);
        break;
    case NGHTTP2_WINDOW_UPDATE:
        h2_guard_count(h, H2_COUNT_UPDATE);
        break;
    default:
        break;
    }
    return 0;
}

static int on_invalid_frame(nghttp2_session *session,
                            const nghttp2_frame *frame, int error, void *arg)
{
    struct h2 *h = arg;

    (void)session;
    (void)error;
    if (frame->hd.type == NGHTTP2_HEADERS)
        h->head_since = 0;
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id,
                   const uint8_t *p, size_t n, void *arg)
{
    struct h2 *h = arg;
    struct h2_stream *s = h2_stream_of(h, id);

    (void)flags;
    if (s == NULL || s->x->ended_out || s->x->unseen) { /* nobody wants it */
        nghttp2_session_consume(session, id, n);
        return 0;
    }
    bytes_append(&s->in, p, n);
    h2_stream_ready(s);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error,
                           void *arg)
{
    struct h2 *h = arg;
    struct h2_stream *s = h2_stream_of(h, id);

    (void)session;
    (void)error;
    if (id == h->head_id) /* its head was no good */
        h->head_since = 0;
    if (s != NULL)
        h2_stream_close(s);
    return 0;
}

/* ---- sending */

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame,
                        const uint8_t *head, size_t n,
                        nghttp2_data_source *source, void *arg)
{
    struct h2_stream *s = h2_stream_of(arg, frame->hd.stream_id);

    (void)session;
    (void)source;
    return s != NULL ? h2_out_send(s, head, n)
                     : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* Errors that only a client's mistake brings about; our own resets have other
 * codes. */
static bool is_provoked(uint32_t error)
{
    return error != NGHTTP2_NO_ERROR && error != NGHTTP2_CANCEL &&
           error != NGHTTP2_INTERNAL_ERROR;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame,
                         void *arg)
{
    struct h2 *h = arg;
    struct h2_stream *s;

    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        if (is_provoked(frame->rst_stream.error_code))
            h2_guard_count(h, H2_COUNT_PROVOKED);
        return 0;
    }
    if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
        !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
        (s = h2_stream_of(h, frame->hd.stream_id)) == NULL)
        return 0;
    s->ended = true;
    if (!s->eof) /* the rest of the request is not needed (RFC 9113 8.1) */
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, s->id,
                                  NGHTTP2_NO_ERROR);
    return 0;
}

/* A response that nghttp2 cannot send, as with fields beyond 64 KiB. Where it
 * is late for one, since a reset is on its way or out, there is no second one
 * (RFC 9113 5.4.2). */
static int on_frame_not_sent(nghttp2_session *session,
                             const nghttp2_frame *frame, int error, void *arg)
{
    (void)arg;
    if (error == NGHTTP2_ERR_STREAM_CLOSING ||
        error == NGHTTP2_ERR_STREAM_CLOSED)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && !nghttp2_is_fatal(error))
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE,
                                  frame->hd.stream_id, NGHTTP2_INTERNAL_ERROR);
    return 0;
}

/* ---- what is told once */

static nghttp2_session_callbacks *callbacks(void)
{
    static nghttp2_session_callbacks *all;

    if (all != NULL || nghttp2_session_callbacks_new(&all) != 0)
        return all;
    nghttp2_session_callbacks_set_on_begin_frame_callback(all, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(all,
                                                            on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(all, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(
        all, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(all, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(
        all, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(all, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(all,
                                                           on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(all, on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(all, on_frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(all,
                                                             on_frame_not_sent);
    return all;
}

static nghttp2_option *options(void)
{
    static nghttp2_option *all;

    if (all != NULL || nghttp2_option_new(&all) != 0)
        return all;
    nghttp2_option_set_no_auto_window_update(all, 1);
    nghttp2_option_set_max_outbound_ack(all, H2_ACKS_MAX);
    nghttp2_option_set_max_settings(all, H2_SETTINGS_ENTRIES_MAX);
    nghttp2_option_set_builtin_recv_extension_type(all,
                                                   NGHTTP2_PRIORITY_UPDATE);
    nghttp2_option_set_stream_reset_rate_limit(all, LIBRARY_RESETS,
                                               LIBRARY_RESETS_PER_SECOND);
    nghttp2_option_set_max_continuations(all, CONTINUATIONS_MAX);
    return all;
}

/* nghttp2 allocates as we do: out of memory ends the process. */
static void *take(size_t n, void *arg)
{
    (void)arg;
    return slab_alloc(n);
}

static void *take_zeroed(size_t count, size_t n, void *arg)
{
    (void)arg;
    return slab_zalloc(count * n);
}

static void *resize(void *p, size_t n, void *arg)
{
    (void)arg;
    return slab_realloc(p, n);
}

static void give(void *p, void *arg)
{
    (void)arg;
    slab_free(p);
}

nghttp2_session *h2_session_new(struct h2 *h)
{
    static nghttp2_mem mem = {NULL, take, give, take_zeroed, resize};
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
         (uint32_t)h->server->limits.max_streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
         (uint32_t)h->server->limits.max_header_size},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}, /* RFC 9218 2.1 */
    };
    nghttp2_session *session;

    nghttp2_session_server_new3(&session, callbacks(), h, options(), &mem);
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings,
                            sizeof settings / sizeof settings[0]);
    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                          H2_WINDOW);
    return session;
}
