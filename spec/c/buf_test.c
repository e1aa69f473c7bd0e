/* base/buf: what is moved from one queue to another, and when anchors go. */
#include "base/buf.h"

#include <string.h>

#include "test.h"

static int released;

static void release(void *arg)
{
    (void)arg;
    released++;
}

/* All that waits in buf, as text. */
static struct str text_of(const struct buf *buf)
{
    static char text[256];
    struct iovec iov[16];
    int i, count = buf_iov(buf, iov, 16);
    size_t n = 0;

    for (i = 0; i < count; i++) {
        memcpy(text + n, iov[i].iov_base, iov[i].iov_len);
        n += iov[i].iov_len;
    }
    return (struct str){text, n};
}

static void move_copies_what_was_copied(void)
{
    struct buf from, to;

    buf_init(&from);
    buf_init(&to);
    buf_append(&from, "hello world", 11);
    buf_append(&to, "say ", 4);
    buf_move(&to, &from, 5);
    CHECK_STR(text_of(&to), "say hello");
    CHECK_STR(text_of(&from), " world");
    CHECK_INT(from.size, 6);
    buf_move(&to, &from, 6);
    CHECK_STR(text_of(&to), "say hello world");
    CHECK_INT(from.size, 0);
    CHECK(from.head == NULL && from.tail == NULL);
    buf_append(&from, "again", 5);
    CHECK_STR(text_of(&from), "again");
    buf_clear(&from);
    buf_clear(&to);
}

static void move_keeps_the_anchor_with_the_last_part(void)
{
    struct buf from, to;

    released = 0;
    buf_init(&from);
    buf_init(&to);
    buf_append_ref(&from, "abcdefgh", 8, release, NULL);
    buf_append(&from, "ij", 2);
    buf_move(&to, &from, 3);
    CHECK_STR(text_of(&to), "abc");
    buf_consume(&to, 3);
    CHECK_INT(released, 0);
    buf_move(&to, &from, 6);
    CHECK_STR(text_of(&to), "defghi");
    CHECK_INT(from.size, 1);
    buf_consume(&to, 4);
    CHECK_INT(released, 0);
    buf_consume(&to, 1);
    CHECK_INT(released, 1);
    CHECK_STR(text_of(&to), "i");
    buf_clear(&from);
    buf_clear(&to);
    CHECK_INT(released, 1);
}

static void retire_releases_behind_what_was_moved(void)
{
    struct buf from, to;

    released = 0;
    buf_init(&from);
    buf_init(&to);
    buf_append_ref(&from, "abcdefgh", 8, release, NULL);
    buf_append(&from, "ij", 2);
    buf_move(&to, &from, 3);
    buf_retire(&to, &from);
    CHECK_INT(released, 0);
    CHECK_INT(from.size, 0);
    CHECK_STR(text_of(&to), "abc");
    buf_append(&to, "d", 1);
    buf_consume(&to, 2);
    CHECK_INT(released, 0);
    buf_consume(&to, 1);
    CHECK_INT(released, 1);
    CHECK_STR(text_of(&to), "d");
    buf_clear(&to);
}

static void retire_to_an_empty_queue_releases_at_once(void)
{
    struct buf from, to;

    released = 0;
    buf_init(&from);
    buf_init(&to);
    buf_append_ref(&from, "abc", 3, release, NULL);
    buf_retire(&to, &from);
    CHECK_INT(released, 1);
    CHECK_INT(to.size, 0);
    CHECK(from.head == NULL && to.head == NULL);
}

static void clear_releases_what_was_retired(void)
{
    struct buf from, to;

    released = 0;
    buf_init(&from);
    buf_init(&to);
    buf_append_ref(&from, "abc", 3, release, NULL);
    buf_move(&to, &from, 1);
    buf_retire(&to, &from);
    buf_clear(&to);
    CHECK_INT(released, 1);
}

static void ranges_of_files_wait_their_turn(void)
{
    struct buf buf;
    struct buf_range range;

    released = 0;
    buf_init(&buf);
    CHECK(!buf_front_range(&buf, &range));
    buf_append(&buf, "head", 4);
    buf_append_range(&buf, (struct buf_range){7, 1000, 50}, release, NULL);
    buf_append(&buf, "tail", 4);
    CHECK_INT(buf.size, 58);
    CHECK(!buf_front_range(&buf, &range));
    CHECK_STR(text_of(&buf), "head");
    buf_consume(&buf, 4);
    CHECK_STR(text_of(&buf), "");
    CHECK(buf_front_range(&buf, &range));
    CHECK_INT(range.fd, 7);
    CHECK_INT(range.offset, 1000);
    CHECK_INT(range.n, 50);
    buf_consume(&buf, 20);
    CHECK(buf_front_range(&buf, &range));
    CHECK_INT(range.offset, 1020);
    CHECK_INT(range.n, 30);
    CHECK_INT(released, 0);
    buf_consume(&buf, 30);
    CHECK_INT(released, 1);
    CHECK_STR(text_of(&buf), "tail");
    buf_append_range(&buf, (struct buf_range){7, 0, 1}, release, NULL);
    buf_clear(&buf);
    CHECK_INT(released, 2);
}

int main(void)
{
    RUN(move_copies_what_was_copied);
    RUN(move_keeps_the_anchor_with_the_last_part);
    RUN(retire_releases_behind_what_was_moved);
    RUN(retire_to_an_empty_queue_releases_at_once);
    RUN(clear_releases_what_was_retired);
    RUN(ranges_of_files_wait_their_turn);
    return test_finish();
}
