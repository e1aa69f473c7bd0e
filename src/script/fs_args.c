/* A callback is the last argument, wherever that is, so the optional ones
 * before it can be left out as in Node. The letters of an operation spare each
 * of the functions its own dozen lines of checks. */
#include "script/fs_args.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { MODE_MAX = 07777 };

/* What is being read: the next argument, and where they end. */
struct reader {
    lua_State *L;
    struct fs_args *args;
    const struct fs_op *op;
    int i, end;
};

const char *fs_args_path(lua_State *L, int i)
{
    size_t n;
    const char *path = luaL_checklstring(L, i, &n);

    luaL_argcheck(L, strlen(path) == n, i, "a path without NUL bytes expected");
    return path;
}

/* ---- flags and modes */

static const struct flag {
    const char *name;
    int bits;
} flag_names[] = {
    {"r", O_RDONLY},
    {"rs", O_RDONLY | O_SYNC},
    {"r+", O_RDWR},
    {"rs+", O_RDWR | O_SYNC},
    {"w", O_WRONLY | O_CREAT | O_TRUNC},
    {"wx", O_WRONLY | O_CREAT | O_TRUNC | O_EXCL},
    {"w+", O_RDWR | O_CREAT | O_TRUNC},
    {"wx+", O_RDWR | O_CREAT | O_TRUNC | O_EXCL},
    {"a", O_WRONLY | O_CREAT | O_APPEND},
    {"ax", O_WRONLY | O_CREAT | O_APPEND | O_EXCL},
    {"as", O_WRONLY | O_CREAT | O_APPEND | O_SYNC},
    {"a+", O_RDWR | O_CREAT | O_APPEND},
    {"ax+", O_RDWR | O_CREAT | O_APPEND | O_EXCL},
    {"as+", O_RDWR | O_CREAT | O_APPEND | O_SYNC},
};

int fs_args_flags(lua_State *L, int i, int otherwise)
{
    const char *name;
    size_t at;

    if (lua_isnoneornil(L, i))
        return otherwise;
    name = lua_tostring(L, i);
    for (at = 0; name && at < sizeof flag_names / sizeof *flag_names; at++)
        if (strcmp(name, flag_names[at].name) == 0)
            return flag_names[at].bits;
    luaL_error(L,
               "invalid flag '%s': 'r', 'r+', 'w', 'w+', 'wx', 'a', 'a+' "
               "or 'ax' expected",
               name ? name : luaL_typename(L, i));
    return 0;
}

mode_t fs_args_mode(lua_State *L, int i, mode_t otherwise)
{
    char *end = NULL;
    long mode = -1;

    if (lua_isnoneornil(L, i))
        return otherwise;
    if (lua_type(L, i) == LUA_TSTRING) {
        const char *text = lua_tostring(L, i);

        mode = strtol(text, &end, 8);
        if (end == text || *end != '\0')
            mode = -1;
    } else if (lua_isinteger(L, i)) {
        mode = (long)lua_tointeger(L, i);
    }
    if (mode < 0 || mode > MODE_MAX)
        luaL_error(L, "invalid mode: an integer or a string of octal digits "
                      "('644') expected");
    return (mode_t)mode;
}

/* ---- each kind of argument */

static bool is_absent(const struct reader *r)
{
    return r->i >= r->end || lua_isnil(r->L, r->i);
}

/* Fields of the table of options, each read by Lua's rules. */
static void read_table(struct reader *r)
{
    lua_State *L = r->L;

    lua_getfield(L, r->i, "mode");
    r->args->mode = fs_args_mode(L, -1, r->args->mode);
    lua_getfield(L, r->i, "flag");
    r->args->flags = fs_args_flags(L, -1, r->args->flags);
    lua_getfield(L, r->i, "recursive");
    r->args->recursive = lua_toboolean(L, -1) != 0;
    lua_getfield(L, r->i, "force");
    r->args->force = lua_toboolean(L, -1) != 0;
    lua_pop(L, 4);
}

/* A string is an encoding, which Lua's strings need not; a number the mode of
 * what is made. */
static void read_options(struct reader *r)
{
    if (is_absent(r) || lua_type(r->L, r->i) == LUA_TSTRING)
        return;
    if (lua_type(r->L, r->i) == LUA_TNUMBER && r->op->mode != 0)
        r->args->mode = fs_args_mode(r->L, r->i, 0);
    else if (lua_istable(r->L, r->i))
        read_table(r);
    else
        luaL_argerror(r->L, r->i, "a table of options expected");
}

static int64_t read_integer(struct reader *r, int64_t otherwise)
{
    lua_Integer value;

    if (is_absent(r))
        return otherwise;
    value = luaL_checkinteger(r->L, r->i);
    luaL_argcheck(r->L, value >= 0, r->i, "must not be negative");
    return (int64_t)value;
}

static void read_path(struct reader *r)
{
    const char *path = fs_args_path(r->L, r->i);

    if (r->args->path == NULL)
        r->args->path = path;
    else
        r->args->dest = path;
}

static void read_time(struct reader *r, bool first)
{
    double *time = first ? &r->args->atime : &r->args->mtime;

    *time = (double)luaL_checknumber(r->L, r->i);
    luaL_argcheck(r->L, *time > -1e11 && *time < 1e11, r->i,
                  "seconds since 1970 expected");
}

static void read_one(struct reader *r, char letter, bool first)
{
    struct fs_args *args = r->args;

    switch (letter) {
    case 'p':
        read_path(r);
        break;
    case 'd':
        args->data.p = luaL_checklstring(r->L, r->i, &args->data.n);
        break;
    case 'm':
        luaL_checkany(r->L, r->i);
        args->mode = fs_args_mode(r->L, r->i, args->mode);
        break;
    case 's':
        read_time(r, first);
        break;
    case 'n':
        args->count = (size_t)read_integer(r, 0);
        break;
    case 'N':
        args->count = (size_t)read_integer(r, FS_READ_SIZE);
        break;
    case 'P':
        args->offset = read_integer(r, -1);
        break;
    case 'B':
        args->flags = (int)(read_integer(r, 0) & 7);
        break;
    default:
        read_options(r);
    }
}

int fs_args_read(lua_State *L, int first, const struct fs_op *op,
                 struct fs_args *args)
{
    int top = lua_gettop(L);
    struct reader r = {L, args, op, first, top + 1};
    const char *letter;

    memset(args, 0, sizeof *args);
    args->offset = -1;
    args->flags = op->flags;
    args->mode = op->mode;
    if (top >= first && lua_isfunction(L, top))
        r.end = top;
    for (letter = op->arguments; *letter; letter++, r.i++)
        read_one(&r, *letter, letter == op->arguments || letter[-1] != *letter);
    if (r.i < r.end && !lua_isnil(L, r.i))
        luaL_checktype(L, r.i, LUA_TFUNCTION);
    return r.end;
}
