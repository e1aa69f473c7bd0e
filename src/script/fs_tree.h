/* Operations of "fs" on whole trees of directories: mkdir with its parents, rm
 * with all that is within. Run on a thread; used by the table in l_fs.c. */
#ifndef SCRIPT_FS_TREE_H
#define SCRIPT_FS_TREE_H

#include "script/fs_job.h"

/* Makes the directory, and with args.recursive those above it; then one that
 * is there already is fine. */
void fs_tree_mkdir(struct fs_job *job);

/* Removes a file or link, or with args.recursive a directory and all in it;
 * links are removed, never followed. args.force: nothing there is fine. */
void fs_tree_rm(struct fs_job *job);

#endif
