/* Values of Lua as PostgreSQL takes them: what is bound to the parameters of a
 * statement. Used by bind/postgres.c. */
#ifndef BIND_POSTGRES_VALUES_H
#define BIND_POSTGRES_VALUES_H

#include "script/plugin.h"

enum { POSTGRES_VALUES_MAX = 65535 /* by the protocol */ };

struct postgres_values {
    const char **texts; /* NULL: SQL's NULL */
    int *lengths, *formats;
};

/* [-0, +1, v] Reads the n values from index from on, and replaces them by
 * texts; what is pushed holds the lists. Raises where one has no text. */
struct postgres_values postgres_values_read(lua_State *L, int from, int n);

/* [-0, +1, m] Pushes bytea(text), which makes a value that is sent as bytes. */
void postgres_values_push_maker(lua_State *L);

#endif
