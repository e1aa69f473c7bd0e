/* A file that scripts hold open: a userdata with methods read, write, stat,
 * sync, truncate, open and close, each of which waits. The file is opened by
 * the first of them, on a thread as all the rest. Operations on one handle run
 * one after the other, in the order of their calls, so that a stream may begin
 * before its file is open and chunks never overtake each other. A handle that
 * is collected is closed when its last operation has ended. Used by l_fs.c and,
 * through it, by the streams of lua/luaserve/file_stream.lua. */
#ifndef SCRIPT_FS_HANDLE_H
#define SCRIPT_FS_HANDLE_H

#include "script/fs_job.h"

/* The methods; the last one has no name. */
extern const struct fs_op fs_handle_ops[];

/* [-0, +1, m] Pushes a handle of the file path, to be opened with those flags
 * and that mode; nothing is opened yet. */
void fs_handle_push(lua_State *L, const char *path, int flags, mode_t mode);

/* [-0, +1, m] Pushes the metatable of handles; sets *made where it is new and
 * has no methods yet. */
void fs_handle_push_metatable(lua_State *L, bool *made);

/* [-0, +0, v] The handle at index i; raises where that is something else. */
struct fs_handle *fs_handle_check(lua_State *L, int i);

/* Runs job, which belongs to handle from now on, when those before it have
 * ended. done is called on the loop, and must call fs_handle_ended first. */
void fs_handle_submit(struct fs_handle *handle, struct fs_job *job);

/* Starts the next job, now that this one has ended. May free the handle. */
void fs_handle_ended(struct fs_job *job);

#endif
