/* Intrusive lists: order, removal from anywhere, removal twice. */
#include "base/list.h"

#include "test.h"

struct member {
    int number;
    struct list node;
};

static int shift_number(struct list *head)
{
    struct list *node = list_shift(head);

    return node ? LIST_ITEM(node, struct member, node)->number : -1;
}

static void keeps_the_order(void)
{
    struct member a = {.number = 1}, b = {.number = 2};
    struct list head;

    list_init(&head);
    CHECK(list_empty(&head));
    list_push(&head, &a.node);
    list_push(&head, &b.node);
    CHECK(!list_empty(&head));
    CHECK_INT(shift_number(&head), 1);
    CHECK_INT(shift_number(&head), 2);
    CHECK_INT(shift_number(&head), -1);
    CHECK(list_empty(&head));
}

static void removes_from_the_middle(void)
{
    struct member m[3] = {{.number = 1}, {.number = 2}, {.number = 3}};
    struct list head;

    list_init(&head);
    for (int i = 0; i < 3; i++)
        list_push(&head, &m[i].node);
    list_remove(&m[1].node);
    CHECK(list_empty(&m[1].node));
    CHECK_INT(shift_number(&head), 1);
    CHECK_INT(shift_number(&head), 3);
    CHECK(list_empty(&head));
}

static void removes_twice_safely(void)
{
    struct member a = {.number = 1}, b = {.number = 2};
    struct list head;

    list_init(&head);
    list_init(&a.node);
    list_remove(&a.node);
    list_push(&head, &a.node);
    list_push(&head, &b.node);
    list_remove(&a.node);
    list_remove(&a.node);
    CHECK_INT(shift_number(&head), 2);
    CHECK(list_empty(&head));
}

int main(void)
{
    RUN(keeps_the_order);
    RUN(removes_from_the_middle);
    RUN(removes_twice_safely);
    return test_finish();
}
