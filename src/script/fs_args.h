/* The arguments of the functions of "fs", taken from Lua's stack as the letters
 * of struct fs_op say. All checks are made here, before anything is begun. */
#ifndef SCRIPT_FS_ARGS_H
#define SCRIPT_FS_ARGS_H

#include "script/fs_job.h"

/* [-0, +0, v] Reads the arguments of op from index first on; what args points
 * to is Lua's, valid while they are on the stack. Returns the index of the
 * callback, or one where the stack holds nothing. */
int fs_args_read(lua_State *L, int first, const struct fs_op *op,
                 struct fs_args *args);

/* [-0, +0, v] The path at index i: a string without NUL bytes. */
const char *fs_args_path(lua_State *L, int i);

/* [-0, +0, v] The bits for open of "r", "w+" and so on at index i, or
 * otherwise where there is nothing. */
int fs_args_flags(lua_State *L, int i, int otherwise);

/* [-0, +0, v] The mode at index i, an integer or octal digits in a string
 * ("644"), or otherwise where there is nothing. */
mode_t fs_args_mode(lua_State *L, int i, mode_t otherwise);

#endif
