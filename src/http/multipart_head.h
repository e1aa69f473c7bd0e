/* The head of a part: its fields, its name, its file's name. Apart from
 * multipart.c, which finds where heads and data begin. */
#ifndef HTTP_MULTIPART_HEAD_H
#define HTTP_MULTIPART_HEAD_H

#include "http/multipart.h"

/* Reads m->head, which ends in a blank line, to m->part. Returns false where it
 * is not to be taken, with m->error and m->status set. */
bool multipart_head_read(struct multipart *m);

#endif
