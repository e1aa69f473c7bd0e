/* Results of PostgreSQL as values of Lua. Used by bind/postgres.c. */
#ifndef BIND_POSTGRES_RESULT_H
#define BIND_POSTGRES_RESULT_H

#include <libpq-fe.h>

#include "script/plugin.h"

/* [-0, +4, m] Pushes the rows, each a table by column, the count of rows that
 * were changed, the command ("INSERT 0 1"), and a list of the names of columns
 * that hold JSON (nil where none does). */
int postgres_result_push(lua_State *L, const PGresult *result);

#endif
