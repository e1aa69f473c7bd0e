/* Field lines that have been parsed before. The requests of a client differ in
 * their targets, and hardly ever in anything else: where the bytes of a head
 * are those of an earlier one but for its target, what they mean is known, and
 * comparing them is all that is left to do. Used by h1, for each of whose
 * connections the number of a memo is kept. */
#ifndef HTTP_HEAD_MEMO_H
#define HTTP_HEAD_MEMO_H

#include "http/head.h"

enum {
    HEAD_MEMO_COUNT = 64,  /* memos of the process; the oldest goes first */
    HEAD_MEMO_SIZE = 1024, /* bytes of field lines; longer ones are not kept */
    HEAD_MEMO_FIELDS = 24
};

/* The number of the memo that was made last. */
unsigned head_memo_newest(void);

/* The length of the head that begins at p, where it is complete within n bytes
 * and the same as that of memo i but for its target. 0 where it is not, or
 * might cross a limit: then head_find and head_parse decide. */
size_t head_memo_match(unsigned i, const char *p, size_t n,
                       const struct limits *limits);

/* What head_parse would do with a head that has matched; text is all of it, in
 * x's pool, and borrowed by x's slices. */
void head_memo_recall(unsigned i, struct exchange *x, struct head *out,
                      struct str text);

/* Makes a memo of a head that head_parse has taken, unless it is of a seldom
 * kind. Returns the number of the newest memo. */
unsigned head_memo_keep(const struct exchange *x, const struct head *out,
                        struct str text);

#endif
