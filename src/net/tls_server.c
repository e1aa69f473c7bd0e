/* Names are few, so they stand in a list. A client's name only ever selects
 * among what was added; it is checked before anybody sees it (tls.c). */
#include "net/tls_server.h"

#include <ctype.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/mem.h"
#include "net/tls.h"
#include "net/tls_context.h"

struct name {
    struct list link;
    SSL_CTX *ctx;
    char text[]; /* lower case, without a final dot */
};

static void name_free(struct name *name)
{
    list_remove(&name->link);
    SSL_CTX_free(name->ctx);
    mem_free(name);
}

struct tls_server *tls_server_new(void)
{
    static const struct tls_options none;
    struct tls_server *s = mem_zalloc(sizeof *s);
    char error[TLS_CONTEXT_ERROR];

    list_init(&s->names);
    list_init(&s->asked);
    s->bare = tls_context_new(&none, error);
    return s;
}

void tls_server_free(struct tls_server *s)
{
    while (!list_empty(&s->names))
        name_free(LIST_ITEM(s->names.next, struct name, link));
    SSL_CTX_free(s->standard);
    SSL_CTX_free(s->bare);
    mem_free(s);
}

void tls_server_set(struct tls_server *s, SSL_CTX *ctx)
{
    SSL_CTX_up_ref(ctx);
    SSL_CTX_free(s->standard);
    s->standard = ctx;
}

void tls_server_demand(struct tls_server *s, const SSL_CTX *ctx)
{
    s->verify = SSL_CTX_get_verify_mode(ctx);
    s->verify_any = SSL_CTX_get_verify_callback(ctx);
}

static struct name *find(const struct tls_server *s, const char *text)
{
    struct list *at;

    for (at = s->names.next; at != &s->names; at = at->next) {
        struct name *name = LIST_ITEM(at, struct name, link);

        if (strcmp(name->text, text) == 0)
            return name;
    }
    return NULL;
}

/* Labels of letters, digits, hyphens and underscores; a first one may be "*".
 */
static bool is_name(const char *text, size_t n)
{
    size_t i = strncmp(text, "*.", 2) == 0 ? 2 : 0;

    if (n <= i || n >= TLS_CONTEXT_NAME_MAX)
        return false;
    for (; i < n; i++)
        if (!isalnum((unsigned char)text[i]) && strchr("-_.", text[i]) == NULL)
            return false;
    return true;
}

int tls_server_add(struct tls_server *s, const char *text, SSL_CTX *ctx)
{
    size_t i, n = strlen(text);
    struct name *name, *old;

    if (n > 1 && text[n - 1] == '.')
        n--;
    if (!is_name(text, n))
        return -1;
    name = mem_alloc(sizeof *name + n + 1);
    for (i = 0; i < n; i++)
        name->text[i] = (char)tolower((unsigned char)text[i]);
    name->text[n] = '\0';
    SSL_CTX_up_ref(ctx);
    name->ctx = ctx;
    old = find(s, name->text);
    if (old != NULL)
        name_free(old);
    list_push(&s->names, &name->link);
    return 0;
}

SSL_CTX *tls_server_find(const struct tls_server *s, const char *text)
{
    char wildcard[TLS_CONTEXT_NAME_MAX + 1] = "*";
    const char *dot = strchr(text, '.');
    struct name *name = find(s, text);

    if (name == NULL && dot != NULL) {
        strncat(wildcard, dot, sizeof wildcard - 2);
        name = find(s, wildcard);
    }
    return name != NULL ? name->ctx : s->standard;
}

int tls_server_offer(struct tls_server *s, struct str name)
{
    if (name.n == 0 || name.n > 255 ||
        s->alpn_size + 1 + name.n > sizeof s->alpn)
        return -1;
    s->alpn[s->alpn_size] = (unsigned char)name.n;
    memcpy(s->alpn + s->alpn_size + 1, name.p, name.n);
    s->alpn_size += 1 + (unsigned)name.n;
    return 0;
}

bool tls_server_offers(const struct tls_server *s, struct str name)
{
    unsigned i;

    for (i = 0; i < s->alpn_size; i += 1u + s->alpn[i])
        if (s->alpn[i] == name.n &&
            memcmp(s->alpn + i + 1, name.p, name.n) == 0)
            return true;
    return s->alpn_size == 0;
}

void tls_server_offer_none(struct tls_server *s)
{
    s->alpn_size = 0;
}

static struct tls *find_asked(const struct tls_server *s, uint64_t id)
{
    struct list *at;

    for (at = s->asked.next; at != &s->asked; at = at->next)
        if (LIST_ITEM(at, struct tls, link)->id == id)
            return LIST_ITEM(at, struct tls, link);
    return NULL;
}

const char *tls_server_question(const struct tls_server *s, uint64_t id)
{
    const struct tls *t = find_asked(s, id);

    return t != NULL ? t->name : NULL;
}

void tls_server_answer(struct tls_server *s, uint64_t id, SSL_CTX *ctx,
                       bool refused)
{
    struct tls *t = find_asked(s, id);

    if (t == NULL)
        return;
    list_remove(&t->link);
    t->naming = refused ? TLS_REFUSED : TLS_ANSWERED;
    if (ctx != NULL) {
        SSL_CTX_up_ref(ctx);
        t->chosen = ctx;
    }
    if (t->c->paused)
        conn_resume(t->c);
}
