/* What luaserve.static and res:sendFile call (lua/luaserve/static.lua): a
 * folder as userdata, and serve, which answers a request with one of its files.
 * Where that takes no time, as it does for files asked for again and again, it
 * is one call; else it suspends, and is called again. */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "http/folder.h"
#include "http/listing.h"
#include "http/sending.h"
#include "script/call.h"
#include "script/context.h"
#include "script/l_response.h"
#include "script/modules.h"
#include "script/script.h"

#define FOLDER "luaserve.folder"

/* What serve returns; the same numbers as in static.lua. */
enum {
    SERVE_NONE,   /* there is no such file */
    SERVE_SENT,   /* answered */
    SERVE_MORE,   /* answered as far as the client takes it: call step */
    SERVE_FOLDER, /* a folder of that name */
    SERVE_AGAIN,  /* call again: now it is known */
    SERVE_HOOKS,  /* it is there: run the hooks of res and call again */
    SERVE_DENIED,
    SERVE_FAILED /* and the message */
};

enum dotfiles { DOTFILES_IGNORE, DOTFILES_DENY, DOTFILES_ALLOW };

struct l_folder {
    struct folder *folder; /* NULL: closed */
    struct sending_options options;
    char *cache_control; /* owned */
    enum dotfiles dotfiles;
    bool by_url; /* paths are those of requests */
};

static int folder_gc(lua_State *L)
{
    struct l_folder *f = lua_touserdata(L, 1);

    if (f->folder != NULL)
        folder_close(f->folder);
    mem_free(f->cache_control);
    f->folder = NULL;
    f->cache_control = NULL;
    return 0;
}

static bool option(lua_State *L, const char *name)
{
    bool on;

    lua_getfield(L, 2, name);
    on = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return on;
}

/* folder(path, {precompressed, etag, lastModified, ranges, byUrl = boolean,
 * dotfiles = integer, cacheControl = string}) -> folder, or nil, message, code
 */
static int new_folder(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1), *control;
    struct l_folder *f;

    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lua_getfield(L, 2, "cacheControl");
    lua_getfield(L, 2, "dotfiles");
    control = lua_tostring(L, 3);
    f = lua_newuserdatauv(L, sizeof *f, 0);
    *f = (struct l_folder){.folder = NULL};
    luaL_getmetatable(L, FOLDER);
    lua_setmetatable(L, -2);
    f->dotfiles = (enum dotfiles)lua_tointeger(L, 4);
    f->by_url = option(L, "byUrl");
    f->options = (struct sending_options){.status = 200,
                                          .tags = option(L, "etag"),
                                          .dates = option(L, "lastModified"),
                                          .ranges = option(L, "ranges")};
    if (control != NULL) {
        f->cache_control = mem_strdup(control);
        f->options.cache_control = str_of(f->cache_control);
    }
    f->folder = folder_open(path, option(L, "precompressed"));
    if (f->folder == NULL)
        return wait_return_errno(L, errno, "open", path);
    return 1;
}

/* ---- paths */

/* Whether the segment that begins at p is hidden: its name begins with a dot,
 * unless it is what RFC 8615 publishes there. */
static bool is_hidden(const char *p, bool first)
{
    return p[0] == '.' && !(first && (strcmp(p, ".well-known") == 0 ||
                                      strncmp(p, ".well-known/", 12) == 0));
}

static bool is_dots(const char *p, size_t n)
{
    return p[0] == '.' && (n == 1 || (n == 2 && p[1] == '.'));
}

/* What is said of a path before the file system is asked: SERVE_NONE,
 * SERVE_DENIED, or SERVE_SENT where it may be looked up. No path means two
 * files, and no file has two paths: empty segments, dot segments, backslashes
 * and controls are none. */
static int judge(const struct l_folder *f, const char *p, size_t n)
{
    const char *end = p + n, *next;
    size_t i;
    bool first = true;

    if (n > FILE_PATH_MAX)
        return SERVE_NONE;
    for (i = 0; i < n; i++)
        if ((unsigned char)p[i] < ' ' || p[i] == 0x7f || p[i] == '\\')
            return SERVE_NONE;
    for (; p < end; p = next + 1, first = false) {
        next = memchr(p, '/', (size_t)(end - p));
        if (next == NULL)
            next = end;
        if (next == p || is_dots(p, (size_t)(next - p)))
            return SERVE_NONE;
        if (f->dotfiles != DOTFILES_ALLOW && is_hidden(p, first))
            return f->dotfiles == DOTFILES_DENY ? SERVE_DENIED : SERVE_NONE;
    }
    return SERVE_SENT;
}

/* Whether the target of x has a slash or a backslash that is escaped: one that
 * who routes and guards by segments has not seen. */
static bool hides_slash(const struct exchange *x)
{
    const char *p = x->target.p, *end = p + x->target.n, *query;

    if (x->target.n == 0 || memchr(p, '%', x->target.n) == NULL)
        return false;
    query = memchr(p, '?', x->target.n);
    if (query != NULL)
        end = query;
    while ((p = memchr(p, '%', (size_t)(end - p))) != NULL) {
        if (end - p >= 3 && ((p[1] == '2' && (p[2] | 0x20) == 'f') ||
                             (p[1] == '5' && (p[2] | 0x20) == 'c')))
            return true;
        p++;
    }
    return false;
}

/* ---- jobs */

/* Something done on a thread that a coroutine waits for. */
struct task {
    struct job job;
    struct wait wait;
    struct context *context; /* held */
    struct folder_job *look; /* or a listing, or a read of the exchange */
    struct listing *listing;
    struct folder *folder; /* of the listing, held */
    struct root *root;     /* held */
    bool hidden;
    int error;
    char *path;
};

static void task_run(struct job *job)
{
    struct task *t = LIST_ITEM(job, struct task, job);

    if (t->look != NULL)
        folder_job_run(t->look);
    else if (t->listing != NULL)
        t->error = listing_read(t->listing, t->root, t->path, t->hidden) < 0
                       ? errno
                       : 0;
    else
        sending_read(t->context->x);
}

static int push_again(lua_State *L, void *arg)
{
    (void)arg;
    lua_pushnil(L);
    lua_pushinteger(L, SERVE_AGAIN);
    return 2;
}

/* {{name = , folder = , size = , modified = }...} */
static int push_listing(lua_State *L, void *arg)
{
    const struct task *t = arg;
    size_t i;

    if (t->error != 0) {
        wait_push_errno(L, t->error, "scandir", t->path);
        return 1;
    }
    lua_pushnil(L);
    lua_createtable(L, (int)t->listing->n, 0);
    for (i = 0; i < t->listing->n; i++) {
        const struct listing_entry *e = &t->listing->entries[i];

        lua_createtable(L, 0, 4);
        lua_pushstring(L, e->name);
        lua_setfield(L, -2, "name");
        lua_pushboolean(L, e->folder);
        lua_setfield(L, -2, "folder");
        lua_pushinteger(L, (lua_Integer)e->size);
        lua_setfield(L, -2, "size");
        lua_pushinteger(L, (lua_Integer)e->modified);
        lua_setfield(L, -2, "modified");
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_pushboolean(L, t->listing->cut);
    return 3;
}

static void task_done(struct job *job)
{
    struct task *t = LIST_ITEM(job, struct task, job);

    if (job->cancelled)
        t->error = ECANCELED;
    if (t->look != NULL) {
        folder_job_done(t->look, loop_now(script_state.loop));
        folder_job_free(t->look);
    }
    wait_settle(&t->wait, t->listing != NULL ? push_listing : push_again, t);
    if (t->listing != NULL) {
        listing_clear(t->listing);
        mem_free(t->listing);
        root_drop(t->root);
        folder_close(t->folder);
    }
    context_drop(script_thread(), t->context);
    mem_free(t->path);
    mem_free(t);
}

/* A task of c whose coroutine is about to wait. */
static struct task *new_task(const struct wait *wait, struct context *c)
{
    struct task *t = mem_zalloc(sizeof *t);

    t->wait = *wait;
    t->context = c;
    context_hold(c);
    t->job.run = task_run;
    t->job.done = task_done;
    return t;
}

static int wait_for_task(lua_State *L, struct task *t)
{
    work_submit(script_state.work, &t->job);
    return wait_return(L, &t->wait);
}

/* ---- answers */

static struct l_folder *check_folder(lua_State *L)
{
    return luaL_checkudata(L, 1, FOLDER);
}

static int code(lua_State *L, int value)
{
    lua_pushinteger(L, value);
    return 1;
}

/* Waits for the client, or for the disk. */
static int go_on(lua_State *L, struct context *c, enum sending_state state)
{
    struct wait wait;

    if (state == SENDING_READ) {
        wait_begin(L, &wait, 0);
        return wait_for_task(L, new_task(&wait, c));
    }
    c->x->codec->want_drain(c->x);
    return l_response_wait_drain(L, c);
}

/* What the options of one call change: res:sendFile's. */
static void read_call(lua_State *L, struct sending_options *o)
{
    size_t n;
    const char *control = lua_tolstring(L, 5, &n), *tail;

    if (!lua_isnoneornil(L, 4))
        o->status = (int)lua_tointeger(L, 4);
    if (control != NULL)
        o->cache_control = (struct str){control, n};
    tail = lua_tolstring(L, 6, &n);
    if (tail != NULL)
        o->tail = (struct str){tail, n};
}

static int send_file(lua_State *L, struct l_folder *f, struct context *c,
                     struct file *file)
{
    struct sending_options options = f->options;
    enum sending_state state;

    read_call(L, &options);
    options.cache_control = pool_copy(&c->x->pool, options.cache_control);
    state = sending_begin(c->x, file, &options,
                          (time_t)loop_wall(script_state.loop));
    l_response_refresh(L, 2);
    return code(L, state == SENDING_DONE ? SERVE_SENT : SERVE_MORE);
}

static int failed(lua_State *L, const struct file *file)
{
    lua_pushinteger(L, SERVE_FAILED);
    wait_push_errno(L, file->error, "open", file->path);
    return 2;
}

/* serve(folder, res, path [, status] [, cacheControl] [, tail]) -> a number as
 * above */
static int serve(lua_State *L)
{
    struct l_folder *f = check_folder(L);
    struct context *c = context_check(L, 2);
    double now = loop_now(script_state.loop);
    struct wait wait;
    struct file *file;
    struct task *t;
    size_t n;
    const char *path = luaL_checklstring(L, 3, &n);
    int judged;

    if (c->x == NULL || c->x->codec == NULL)
        return code(L, SERVE_SENT); /* nobody is there */
    if (f->by_url && n > 0 && path[0] == '/')
        path++, n--;
    judged = f->by_url && hides_slash(c->x) ? SERVE_NONE : judge(f, path, n);
    if (judged != SERVE_SENT)
        return code(L, judged);
    file = folder_find(f->folder, path, now);
    if (file == NULL) {
        wait_begin(L, &wait, 0);
        t = new_task(&wait, c);
        t->look = folder_job_new(f->folder, path, now);
        return wait_for_task(L, t);
    }
    switch (file->kind) {
    case FILE_NONE:
        return code(L, SERVE_NONE);
    case FILE_FOLDER:
        return code(L, SERVE_FOLDER);
    case FILE_DENIED:
        return code(L, SERVE_DENIED);
    case FILE_FAILED:
        return failed(L, file);
    case FILE_REGULAR:
        break;
    }
    if (c->x->head_sent) {
        lua_pushliteral(L,
                        "Cannot set headers after they are sent to the client");
        return lua_error(L);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    if (compat_rawget_type(L, 2) != LUA_TNIL)
        return code(L, SERVE_HOOKS);
    return send_file(L, f, c, file);
}

/* step(res) -> true or a number while there is more to do, else nothing */
static int step(lua_State *L)
{
    struct context *c = context_check(L, 1);
    enum sending_state state = SENDING_DONE;

    if (c->x != NULL)
        state = sending_step(c->x);
    if (state != SENDING_DONE)
        return go_on(L, c, state);
    l_response_refresh(L, 1);
    return 0;
}

/* list(folder, res, path) -> what is in the folder path (with its slash at the
 * end), and whether there is more; nil, message, code */
static int list(lua_State *L)
{
    struct l_folder *f = check_folder(L);
    struct context *c = context_check(L, 2);
    size_t n;
    const char *path = luaL_checklstring(L, 3, &n);
    struct wait wait;
    struct task *t;
    int judged;

    if (n > 0 && path[0] == '/')
        path++, n--;
    if (n > 0 && path[n - 1] == '/')
        n--;
    judged = c->x == NULL || hides_slash(c->x) ? SERVE_NONE : judge(f, path, n);
    if (judged != SERVE_SENT)
        return wait_return_errno(L, judged == SERVE_DENIED ? EACCES : ENOENT,
                                 "scandir", path);
    wait_begin(L, &wait, 0);
    t = new_task(&wait, c);
    t->path = mem_strdup(path);
    t->path[n] = '\0';
    t->listing = mem_zalloc(sizeof *t->listing);
    t->folder = f->folder;
    t->folder->uses++;
    t->root = f->folder->root;
    t->root->uses++;
    t->hidden = f->dotfiles == DOTFILES_ALLOW;
    return wait_for_task(L, t);
}

/* doubt(): see folder_doubt */
static int doubt(lua_State *L)
{
    (void)L;
    folder_doubt();
    return 0;
}

int l_static_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"folder", new_folder},
                                         {"step", step},
                                         {"list", list},
                                         {"doubt", doubt},
                                         {NULL, NULL}};

    luaL_newmetatable(L, FOLDER);
    lua_pushcfunction(L, folder_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    lua_pushliteral(L, "_hooks");
    lua_pushcclosure(L, serve, 1);
    lua_setfield(L, -2, "serve");
    return 1;
}
