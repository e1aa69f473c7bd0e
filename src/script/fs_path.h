/* Operations of "fs" that take names: run functions for struct fs_op, which
 * work on a thread and leave their result or error in the job, and the push
 * functions for what they have found. Used by the table in l_fs.c. */
#ifndef SCRIPT_FS_PATH_H
#define SCRIPT_FS_PATH_H

#include "script/fs_job.h"

/* On a thread: what the system call of that name does. */
void fs_path_stat(struct fs_job *job);
void fs_path_lstat(struct fs_job *job);
void fs_path_readdir(struct fs_job *job); /* sorted, without "." and ".." */
void fs_path_realpath(struct fs_job *job);
void fs_path_readlink(struct fs_job *job);
void fs_path_mkdtemp(struct fs_job *job);
void fs_path_exists(struct fs_job *job); /* never fails: job->flag */
void fs_path_access(struct fs_job *job);
void fs_path_rename(struct fs_job *job);
void fs_path_unlink(struct fs_job *job);
void fs_path_rmdir(struct fs_job *job);
void fs_path_link(struct fs_job *job);
void fs_path_symlink(struct fs_job *job);
void fs_path_chmod(struct fs_job *job);
void fs_path_utimes(struct fs_job *job);
void fs_path_truncate(struct fs_job *job);

/* [-0, +1, m] On the loop: push job->stat as a Stats, job->data as a string,
 * job->names as an array, job->flag as a boolean. Each returns 1. */
int fs_path_push_stat(lua_State *L, struct fs_job *job);
int fs_path_push_text(lua_State *L, struct fs_job *job);
int fs_path_push_names(lua_State *L, struct fs_job *job);
int fs_path_push_flag(lua_State *L, struct fs_job *job);

/* [-0, +1, m] Pushes the table of methods that all Stats share. */
void fs_path_push_methods(lua_State *L);

#endif
