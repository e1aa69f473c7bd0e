/* Operations of "fs" on the contents of files: whole files read, written and
 * copied. Run on a thread; used by the table in l_fs.c, and by fs_handle.c for
 * reading and writing through a descriptor. */
#ifndef SCRIPT_FS_DATA_H
#define SCRIPT_FS_DATA_H

#include <stdbool.h>

#include "script/fs_job.h"

void fs_data_read_file(struct fs_job *job);
/* writeFile and appendFile, which differ in their flags. */
void fs_data_write_file(struct fs_job *job);
/* args.flags 1: fails where dest is there. */
void fs_data_copy_file(struct fs_job *job);

/* Opens a file, closed on exec. Returns the descriptor, or -1 with errno. */
int fs_data_open(const char *path, int flags, mode_t mode);

/* Writes all of data, at offset or, where that is -1, where the file stands.
 * Returns 0, or -1 with errno. */
int fs_data_write(int fd, struct str data, int64_t offset);

#endif
