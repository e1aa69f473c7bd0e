/* libcurl says which descriptors and times it waits for, and is told what has
 * happened. Transfers are noted in its callbacks and looked at behind them: it
 * may not be called from within. Idle connections have no watch, so they keep
 * no process running; libcurl finds out that one is dead when it takes it. */
#include "bind/fetch_multi.h"

static const struct plugin *plugin;
static CURLM *multi;
static CURLSH *share;
static struct plugin_timer *timer;
static struct transfer *transfers, *noted;

/* ---- what was noted */

void fetch_multi_note(struct transfer *t)
{
    if (t->noted)
        return;
    t->noted = true;
    t->next_noted = noted;
    noted = t;
}

void fetch_multi_look(void)
{
    struct transfer *t;

    while ((t = noted) != NULL) {
        noted = t->next_noted;
        t->noted = false;
        fetch_transfer_look(t);
    }
}

/* libcurl has returned to the loop. */
static void collect(void)
{
    CURLMsg *message;
    struct transfer *t;
    int left;

    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        CURLcode result = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        fetch_transfer_done(t, result);
        fetch_multi_remove(t);
        fetch_multi_note(t);
    }
    fetch_multi_look();
}

/* ---- the loop */

static void on_event(void *arg, int events)
{
    int running;

    curl_multi_socket_action(multi, (curl_socket_t)(intptr_t)arg,
                             (events & PLUGIN_READ ? CURL_CSELECT_IN : 0) |
                                 (events & PLUGIN_WRITE ? CURL_CSELECT_OUT : 0),
                             &running);
    collect();
}

static void on_time(void *arg)
{
    int running;

    (void)arg;
    curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect();
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
                     void *watch)
{
    (void)easy, (void)arg;
    if (what == CURL_POLL_REMOVE) {
        plugin->watch_free(watch);
        curl_multi_assign(multi, fd, NULL);
        return 0;
    }
    if (watch == NULL) {
        watch = plugin->watch_new(fd, on_event, (void *)(intptr_t)fd);
        curl_multi_assign(multi, fd, watch);
    }
    plugin->watch_set(watch, (what & CURL_POLL_IN ? PLUGIN_READ : 0) |
                                 (what & CURL_POLL_OUT ? PLUGIN_WRITE : 0));
    return 0;
}

static int on_timer(CURLM *m, long milliseconds, void *arg)
{
    (void)m, (void)arg;
    plugin->timer_set(timer,
                      milliseconds < 0 ? -1. : (double)milliseconds / 1000.);
    return 0;
}

/* ---- */

bool fetch_multi_open(const struct plugin *p)
{
    if (multi != NULL)
        return true;
    plugin = p;
    if (curl_global_init(CURL_GLOBAL_ALL) != 0 ||
        (multi = curl_multi_init()) == NULL)
        return false;
    timer = plugin->timer_new(on_time, NULL, true);
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)FETCH_MULTI_IDLE);
    curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                      (long)FETCH_MULTI_TOTAL);
    share = curl_share_init();
    if (share != NULL)
        curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    return true;
}

void fetch_multi_close(void)
{
    struct transfer *t;

    if (multi == NULL)
        return;
    for (t = transfers; t != NULL; t = transfers)
        fetch_multi_remove(t);
    curl_multi_cleanup(multi);
    multi = NULL;
    curl_share_cleanup(share);
    share = NULL;
    plugin->timer_free(timer);
    timer = NULL;
    curl_global_cleanup();
}

void fetch_multi_add(struct transfer *t)
{
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(t->easy, CURLOPT_SHARE, share);
    t->next = transfers;
    transfers = t;
    if (curl_multi_add_handle(multi, t->easy) == CURLM_OK)
        return;
    fetch_transfer_done(t, CURLE_FAILED_INIT);
    fetch_multi_remove(t);
}

void fetch_multi_remove(struct transfer *t)
{
    struct transfer **at;

    for (at = &noted; *at != NULL; at = &(*at)->next_noted)
        if (*at == t) {
            *at = t->next_noted;
            t->noted = false;
            break;
        }
    for (at = &transfers; *at != NULL; at = &(*at)->next)
        if (*at == t) {
            *at = t->next;
            break;
        }
    if (t->easy == NULL)
        return;
    curl_multi_remove_handle(multi, t->easy);
    curl_easy_cleanup(t->easy);
    t->easy = NULL;
}
