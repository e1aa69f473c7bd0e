/* A folder for files that go with the process: uploads while a handler looks at
 * them. It is for its owner alone, made when it is first asked for, and removed
 * at the end. A process that was killed leaves one; a file in it was locked,
 * and the kernel has let go of that lock, so that the next process knows it for
 * a dead one's, whatever the pid. Used by script/l_body.c and worker.c. */
#ifndef PROC_TEMPDIR_H
#define PROC_TEMPDIR_H

/* The folder, in $TMPDIR or /tmp, without a slash at its end; valid until the
 * end. NULL with errno where it cannot be made. */
const char *tempdir_path(void);

/* Removes the folders that dead processes of this user (of any, for root) have
 * left, with what is in them. May be called on any thread. */
void tempdir_sweep(void);

/* Removes our folder; done at the end of the process, too. */
void tempdir_close(void);

#endif
