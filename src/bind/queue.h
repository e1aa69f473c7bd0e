/* Bytes that wait for somebody: appended at the end, taken from the front. For
 * what loadable modules collect; memory is the program's (plugin.h), which
 * never fails. */
#ifndef BIND_QUEUE_H
#define BIND_QUEUE_H

#include <string.h>

#include "script/plugin.h"

struct queue {
    char *p;           /* owned */
    size_t n, at, cap; /* bytes, those taken of them, and the room */
};

/* The bytes that are left, and how many they are; valid until the next call. */
static inline const char *queue_bytes(const struct queue *q)
{
    return q->p + q->at;
}

static inline size_t queue_size(const struct queue *q)
{
    return q->n - q->at;
}

/* Frees the memory. */
static inline void queue_clear(const struct plugin *plugin, struct queue *q)
{
    plugin->memory(q->p, 0);
    memset(q, 0, sizeof *q);
}

/* Copies n bytes to the end. */
static inline void queue_append(const struct plugin *plugin, struct queue *q,
                                const void *p, size_t n)
{
    if (q->at > 0 && q->at >= q->n / 2) {
        memmove(q->p, q->p + q->at, q->n - q->at);
        q->n -= q->at;
        q->at = 0;
    }
    if (q->n + n > q->cap) {
        q->cap = q->cap * 2 > q->n + n ? q->cap * 2 : q->n + n;
        q->p = plugin->memory(q->p, q->cap);
    }
    if (n > 0)
        memcpy(q->p + q->n, p, n);
    q->n += n;
}

/* Takes n bytes, which are there, from the front. */
static inline void queue_take(struct queue *q, size_t n)
{
    q->at += n;
    if (q->at == q->n)
        q->at = q->n = 0;
}

#endif
