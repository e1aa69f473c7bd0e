/* The modules built into the program: those in C, opened by name, and those in
 * Lua, as bytecode that the build makes of lua/ (src/embed.c). Used by the
 * script's require. And texts, which the program only carries: files that it
 * writes for users. */
#ifndef SCRIPT_MODULES_H
#define SCRIPT_MODULES_H

#include "script/compat.h"

/* A Lua module: its name for require, its file below lua/, its bytecode. */
struct module {
    const char *name;
    const char *path;
    const unsigned char *code;
    size_t size;
};

/* Sorted by name. */
extern const struct module modules_embedded[];
extern const size_t modules_embedded_count;

/* A file that is carried as it is: its path below lua/, its bytes. */
struct text {
    const char *path;
    const unsigned char *bytes;
    size_t size;
};

extern const struct text modules_texts[];
extern const size_t modules_texts_count;

/* [-0, +1, m] The module tables of the C side; see their files. */
int l_body_open(lua_State *L);
int l_cluster_open(lua_State *L);
int l_compress_open(lua_State *L);
int l_cipher_open(lua_State *L);
int l_control_open(lua_State *L);
int l_core_open(lua_State *L);
int l_crypto_open(lua_State *L);
int l_dns_open(lua_State *L);
int l_fs_open(lua_State *L);
int l_json_open(lua_State *L);
int l_probe_open(lua_State *L);
int l_kdf_open(lua_State *L);
int l_misuse_open(lua_State *L);
int l_pkey_open(lua_State *L);
int l_record_open(lua_State *L);
int l_process_open(lua_State *L);
int l_rate_open(lua_State *L);
int l_reply_open(lua_State *L);
int l_request_open(lua_State *L);
int l_response_open(lua_State *L);
int l_route_open(lua_State *L);
int l_server_open(lua_State *L);
int l_session_open(lua_State *L);
int l_socket_open(lua_State *L);
int l_static_open(lua_State *L);
int l_store_open(lua_State *L);
int l_stats_open(lua_State *L);
int l_task_open(lua_State *L);
int l_template_open(lua_State *L);
int l_terminal_open(lua_State *L);
int l_timer_open(lua_State *L);
int l_tls_open(lua_State *L);
int l_watch_open(lua_State *L);

/* [-0, +(0|1), m] Pushes the loader of the built-in module of that name, a
 * function; pushes nothing and returns 0 where there is none. */
int modules_find(lua_State *L, const char *name);

/* [-0, +1, m] Pushes a table of the texts whose paths begin with prefix, by
 * what is behind it: "starter/" has "app.lua". */
void modules_push_texts(lua_State *L, const char *prefix);

/* The names of the built-in modules: the i-th, or NULL behind the last. */
const char *modules_name(size_t i);

#endif
