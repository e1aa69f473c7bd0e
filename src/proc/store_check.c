/* The pages of LMDB 0.9, as mdb.c lays them out: two meta pages, of which the
 * younger one counts, with the roots of two trees: of free pages, and of names,
 * whose leaves hold the roots of the tables' trees. Each page begins with its
 * own number and says what it is, which is what is compared here, down to the
 * leaves: a page written over, moved or cut off is found; a byte changed inside
 * a value is not, since LMDB keeps no sums. */
#include "proc/store_check.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    BRANCH = 0x01,
    LEAF = 0x02,
    OVERFLOW_PAGE = 0x04,
    META = 0x08,
    BIG_DATA = 0x01, /* of a node: its value is on pages of its own */
    SUB_DATA = 0x02, /* of a node: its value is a tree */
    HEADER = 16,
    NODE = 8,
    DEPTH_MAX = 32
};

#define MAGIC 0xBEEFC0DEu
#define NO_PAGE (~UINT64_C(0))

struct page {
    uint64_t number;
    uint16_t pad, flags;
    uint16_t lower, upper; /* of an overflow page: the count of its pages */
};

struct tree {
    uint32_t pad;
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
};

struct meta {
    struct page page;
    uint32_t magic, version;
    uint64_t address, map_size;
    struct tree trees[2];
    uint64_t last, transaction;
};

/* low and high are the size of a leaf's value, or, with flags, the number of a
 * branch's page. */
struct node {
    uint16_t low, high, flags, key_size;
};

struct map {
    const char *p;
    uint64_t size, page_size, last;
};

static const char damaged[] = "its pages are damaged";

static bool is_tree_sane(const struct tree *tree, uint64_t last)
{
    if (tree->root == NO_PAGE)
        return tree->depth == 0 && tree->entries == 0;
    return tree->root >= 2 && tree->root <= last && tree->depth > 0 &&
           tree->depth < DEPTH_MAX && tree->leaves <= last &&
           tree->branches <= last && tree->overflows <= last;
}

/* The meta page i. last is the last page that its trees may reach; 0: the one
 * that it names itself. */
static const char *check_meta(const struct map *map, uint64_t i, uint64_t last)
{
    struct meta meta;
    long page_size = sysconf(_SC_PAGESIZE);

    memcpy(&meta, map->p + i * (uint64_t)page_size, sizeof meta);
    if (meta.magic != MAGIC || meta.page.flags != META || meta.page.number != i)
        return "it is no store, or its header is damaged";
    if (meta.version != 1)
        return "it is of another version of LMDB";
    if (meta.trees[0].pad != (uint64_t)page_size)
        return "it was made on a machine with pages of another size";
    if (meta.last < 1 || (meta.last + 1) * (uint64_t)page_size > map->size)
        return "its header is damaged, or its end is cut off";
    if (last == 0)
        last = meta.last;
    if (!is_tree_sane(&meta.trees[0], last) ||
        !is_tree_sane(&meta.trees[1], last))
        return "its header is damaged";
    return NULL;
}

static struct page page_at(const struct map *map, uint64_t number)
{
    struct page page;

    memcpy(&page, map->p + number * map->page_size, sizeof page);
    return page;
}

static bool is_run_sane(const struct map *map, const char *value)
{
    struct page page;
    uint64_t number;
    uint32_t pages;

    memcpy(&number, value, sizeof number);
    if (number < 2 || number > map->last)
        return false;
    page = page_at(map, number);
    memcpy(&pages, &page.lower, sizeof pages);
    return page.number == number && page.flags == OVERFLOW_PAGE && pages > 0 &&
           pages <= map->last && number + pages - 1 <= map->last;
}

static bool walk_tree(const struct map *map, const struct tree *tree);

/* The value of a leaf's node at p, of at most room bytes. */
static bool is_leaf_sane(const struct map *map, const struct node *node,
                         const char *value, uint64_t room)
{
    uint64_t n = node->low | (uint64_t)node->high << 16;
    struct tree tree;

    if (node->flags & BIG_DATA)
        return room >= sizeof(uint64_t) && is_run_sane(map, value);
    if (n > room)
        return false;
    if (!(node->flags & SUB_DATA))
        return true;
    if (n != sizeof tree)
        return false;
    memcpy(&tree, value, sizeof tree);
    return is_tree_sane(&tree, map->last) && walk_tree(map, &tree);
}

static bool walk(const struct map *map, uint64_t number, unsigned depth)
{
    const char *p = map->p + number * map->page_size;
    struct page page = page_at(map, number);
    unsigned kind = depth == 1 ? LEAF : BRANCH, i, count;

    if (page.number != number || page.flags != kind || page.lower < HEADER ||
        page.lower > page.upper || page.upper > map->page_size)
        return false;
    count = (page.lower - HEADER) / 2u;
    if (count == 0 || (kind == BRANCH && count < 2))
        return false;
    for (i = 0; i < count; i++) {
        struct node node;
        uint16_t at;
        uint64_t room, child;

        memcpy(&at, p + HEADER + 2 * i, sizeof at);
        if (at < page.upper || at + (uint64_t)NODE > map->page_size)
            return false;
        memcpy(&node, p + at, sizeof node);
        if (at + (uint64_t)NODE + node.key_size > map->page_size)
            return false;
        room = map->page_size - at - NODE - node.key_size;
        child =
            node.low | (uint64_t)node.high << 16 | (uint64_t)node.flags << 32;
        if (kind == LEAF
                ? !is_leaf_sane(map, &node, p + at + NODE + node.key_size, room)
                : child < 2 || child > map->last ||
                      !walk(map, child, depth - 1))
            return false;
    }
    return true;
}

static bool walk_tree(const struct map *map, const struct tree *tree)
{
    return tree->root == NO_PAGE || walk(map, tree->root, tree->depth);
}

static const char *check_pages(struct map *map)
{
    const char *wrong = NULL;
    struct meta metas[2];
    const struct meta *meta;
    uint64_t i;

    if (map->size < 2 * map->page_size)
        return "it is no store, or its header is damaged";
    memcpy(&metas[0], map->p, sizeof metas[0]);
    memcpy(&metas[1], map->p + map->page_size, sizeof metas[1]);
    meta = &metas[metas[1].transaction > metas[0].transaction];
    /* The older one may have been half written over by a process that was
     * killed: its trees may be those of a transaction that never was. */
    for (i = 0; i < 2 && wrong == NULL; i++)
        wrong = check_meta(
            map, i, meta == &metas[i] ? 0 : map->size / map->page_size - 1);
    if (wrong != NULL)
        return wrong;
    if (metas[0].transaction + 1 < metas[1].transaction ||
        metas[1].transaction + 1 < metas[0].transaction)
        return "its header is damaged";
    map->last = meta->last;
    if (!walk_tree(map, &meta->trees[0]) || !walk_tree(map, &meta->trees[1]))
        return damaged;
    return NULL;
}

const char *store_check(int fd, uint64_t size)
{
    struct map map = {NULL, size, (uint64_t)sysconf(_SC_PAGESIZE), 0};
    void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    const char *wrong;

    if (p == MAP_FAILED)
        return "it cannot be read";
    map.p = p;
    wrong = check_pages(&map);
    munmap(p, size);
    return wrong;
}
