/* Lua modules are found by binary search among the bytecode in the program, or
 * read from the folder that the environment variable LUASERVE_LUA names, for
 * those who work on them. C modules have a short list of their own. */
#include "script/modules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    lua_CFunction open;
} in_c[] = {
    {"json", l_json_open},
    {"luaserve.core", l_core_open},
    {"luaserve.core.body", l_body_open},
    {"luaserve.core.cluster", l_cluster_open},
    {"luaserve.core.cipher", l_cipher_open},
    {"luaserve.core.compress", l_compress_open},
    {"luaserve.core.control", l_control_open},
    {"luaserve.core.crypto", l_crypto_open},
    {"luaserve.core.dns", l_dns_open},
    {"luaserve.core.fs", l_fs_open},
    {"luaserve.core.probe", l_probe_open},
    {"luaserve.core.kdf", l_kdf_open},
    {"luaserve.core.misuse", l_misuse_open},
    {"luaserve.core.pkey", l_pkey_open},
    {"luaserve.core.process", l_process_open},
    {"luaserve.core.rate", l_rate_open},
    {"luaserve.core.record", l_record_open},
    {"luaserve.core.reply", l_reply_open},
    {"luaserve.core.request", l_request_open},
    {"luaserve.core.response", l_response_open},
    {"luaserve.core.route", l_route_open},
    {"luaserve.core.server", l_server_open},
    {"luaserve.core.session", l_session_open},
    {"luaserve.core.socket", l_socket_open},
    {"luaserve.core.static", l_static_open},
    {"luaserve.core.store", l_store_open},
    {"luaserve.core.stats", l_stats_open},
    {"luaserve.core.task", l_task_open},
    {"luaserve.core.template", l_template_open},
    {"luaserve.core.terminal", l_terminal_open},
    {"luaserve.core.timer", l_timer_open},
    {"luaserve.core.tls", l_tls_open},
    {"luaserve.core.watch", l_watch_open},
};

enum { IN_C = sizeof in_c / sizeof in_c[0] };

static int compare(const void *key, const void *item)
{
    return strcmp(key, ((const struct module *)item)->name);
}

static void load(lua_State *L, const struct module *m)
{
    const char *folder = getenv("LUASERVE_LUA");
    char path[1024], name[128];
    int status;

    if (folder != NULL && *folder) {
        snprintf(path, sizeof path, "%s/%s", folder, m->path);
        status = luaL_loadfile(L, path);
    } else {
        snprintf(name, sizeof name, "@luaserve:%s", m->path);
        status = luaL_loadbuffer(L, (const char *)m->code, m->size, name);
    }
    if (status != LUA_OK)
        lua_error(L);
}

int modules_find(lua_State *L, const char *name)
{
    const struct module *m;
    int i;

    for (i = 0; i < IN_C; i++)
        if (strcmp(in_c[i].name, name) == 0) {
            lua_pushcfunction(L, in_c[i].open);
            return 1;
        }
    m = bsearch(name, modules_embedded, modules_embedded_count,
                sizeof *modules_embedded, compare);
    if (m == NULL)
        return 0;
    load(L, m);
    return 1;
}

void modules_push_texts(lua_State *L, const char *prefix)
{
    size_t i, n = strlen(prefix);

    lua_newtable(L);
    for (i = 0; i < modules_texts_count; i++) {
        const struct text *text = &modules_texts[i];

        if (strncmp(text->path, prefix, n) != 0)
            continue;
        lua_pushlstring(L, (const char *)text->bytes, text->size);
        lua_setfield(L, -2, text->path + n);
    }
}

const char *modules_name(size_t i)
{
    if (i < modules_embedded_count)
        return modules_embedded[i].name;
    i -= modules_embedded_count;
    return i < IN_C ? in_c[i].name : NULL;
}
