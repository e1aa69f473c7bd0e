/* An intrusive, circular, doubly linked list: a struct list embedded in each
 * member and one as the head. Used for connections, exchanges, timers and jobs,
 * which unlink themselves in constant time. All functions are inline. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

/* The struct of the given type whose member is the list node at. */
#define LIST_ITEM(at, type, member)                                            \
    ((type *)(void *)((char *)(at)-offsetof(type, member)))

/* Makes l an empty head, or a node that is in no list. */
static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

/* True for an empty head, and for a node that is in no list. */
static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

/* Puts node (in no list) at the end of head. */
static inline void list_push(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Takes node out of whatever list it is in; safe to call twice. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* Takes the first node out of head and returns it; NULL where it is empty. */
static inline struct list *list_shift(struct list *head)
{
    struct list *first = head->next;

    if (first == head)
        return NULL;
    list_remove(first);
    return first;
}

#endif
