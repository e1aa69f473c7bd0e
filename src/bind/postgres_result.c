/* Values come as text. What Lua has a type for becomes that; numeric stays
 * text, since a float would not hold it. JSON is decoded in Lua. */
#include "bind/postgres_result.h"

#include <stdlib.h>
#include <string.h>

/* Of pg_type, which are fixed for ever. */
enum {
    TYPE_BOOL = 16,
    TYPE_BYTEA = 17,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_OID = 26,
    TYPE_JSON = 114,
    TYPE_FLOAT4 = 700,
    TYPE_FLOAT8 = 701,
    TYPE_JSONB = 3802
};

static int digit(char c)
{
    return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

/* "\x00ff": the server's form of bytes since 9.0. */
static void push_bytes(lua_State *L, const char *text, size_t n)
{
    luaL_Buffer b;
    size_t i;

    if (n < 2 || text[0] != '\\' || text[1] != 'x') {
        lua_pushlstring(L, text, n);
        return;
    }
    luaL_buffinit(L, &b);
    for (i = 2; i + 1 < n; i += 2)
        luaL_addchar(&b, (char)(digit(text[i]) * 16 + digit(text[i + 1])));
    luaL_pushresult(&b);
}

static void push_value(lua_State *L, const PGresult *r, int row, int column)
{
    const char *text = PQgetvalue(r, row, column);

    if (PQgetisnull(r, row, column)) {
        lua_pushnil(L);
        return;
    }
    switch (PQftype(r, column)) {
    case TYPE_BOOL:
        lua_pushboolean(L, text[0] == 't');
        break;
    case TYPE_INT8:
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_OID:
        lua_pushinteger(L, (lua_Integer)strtoll(text, NULL, 10));
        break;
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        lua_pushnumber(L, (lua_Number)strtod(text, NULL));
        break;
    case TYPE_BYTEA:
        push_bytes(L, text, (size_t)PQgetlength(r, row, column));
        break;
    default:
        lua_pushlstring(L, text, (size_t)PQgetlength(r, row, column));
    }
}

static void push_rows(lua_State *L, const PGresult *r)
{
    int columns = PQnfields(r), rows = PQntuples(r), first, row, column;

    luaL_checkstack(L, columns + 8, "too many columns");
    lua_createtable(L, rows, 0);
    first = lua_gettop(L) + 1;
    for (column = 0; column < columns; column++)
        lua_pushstring(L, PQfname(r, column));
    for (row = 0; row < rows; row++) {
        lua_createtable(L, 0, columns);
        for (column = 0; column < columns; column++) {
            lua_pushvalue(L, first + column);
            push_value(L, r, row, column);
            lua_rawset(L, -3);
        }
        lua_rawseti(L, first - 1, row + 1);
    }
    lua_settop(L, first - 1);
}

static void push_json_columns(lua_State *L, const PGresult *r)
{
    int column, n = 0;

    lua_pushnil(L);
    for (column = 0; column < PQnfields(r); column++) {
        if (PQftype(r, column) != TYPE_JSON && PQftype(r, column) != TYPE_JSONB)
            continue;
        if (n == 0) {
            lua_pop(L, 1);
            lua_newtable(L);
        }
        lua_pushstring(L, PQfname(r, column));
        lua_rawseti(L, -2, ++n);
    }
}

int postgres_result_push(lua_State *L, const PGresult *result)
{
    push_rows(L, result);
    lua_pushinteger(
        L, (lua_Integer)strtoll(PQcmdTuples((PGresult *)(uintptr_t)result),
                                NULL, 10));
    lua_pushstring(L, PQcmdStatus((PGresult *)(uintptr_t)result));
    push_json_columns(L, result);
    return 4;
}
