/* Sorting what was written, not the keys beforehand: that needs no strings of
 * keys that are numbers, and nothing that Lua would have to make. */
#include "script/json_members.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "script/json_out.h"

struct note {
    const char *name;
    size_t n;
    size_t start, end;
    bool is_number;
};

void json_members_init(struct json_members *m)
{
    bytes_init(&m->notes);
    bytes_init(&m->scratch);
}

void json_members_clear(struct json_members *m)
{
    bytes_clear(&m->notes);
    bytes_clear(&m->scratch);
}

size_t json_members_begin(const struct json_members *m)
{
    return m->notes.n;
}

void json_members_add(struct json_members *m, const char *name, size_t n,
                      size_t start, size_t end)
{
    struct note note = {name, n, start, end, name == NULL};

    json_out_add(&m->notes, &note, sizeof note);
}

/* The keys 1 and "1" have the same name; the number comes first, so that the
 * order in memory never shows. */
static int compare(const void *a, const void *b)
{
    const struct note *one = a, *other = b;
    size_t n = one->n < other->n ? one->n : other->n;
    int order = memcmp(one->name, other->name, n);

    if (order == 0)
        order = (one->n > other->n) - (one->n < other->n);
    return order != 0 ? order : other->is_number - one->is_number;
}

void json_members_end(struct json_members *m, size_t begin, struct bytes *out)
{
    struct note *first = (struct note *)(void *)(m->notes.p + begin), *note;
    struct note *end = (struct note *)(void *)(m->notes.p + m->notes.n);
    size_t start = first->start;

    for (note = first; note < end; note++) {
        if (!note->is_number)
            continue;
        note->name = out->p + note->start + 1;
        note->n = strcspn(note->name, "\"");
    }
    qsort(first, (size_t)(end - first), sizeof *first, compare);
    m->scratch.n = 0;
    for (note = first; note < end; note++) {
        json_out_add(&m->scratch, out->p + note->start,
                     note->end - note->start);
        json_out_char(&m->scratch, ',');
    }
    memcpy(out->p + start, m->scratch.p, m->scratch.n);
    m->notes.n = begin;
}
