/* Our own few lines instead of the parser's, because its limits are per call
 * and not per message: a body of one-byte chunks with long extensions costs
 * more than it carries (CVE-2024-22019), so everything that is not data counts
 * against one limit. */
#include "http/chunked.h"

#include "base/encode.h"

enum state {
    SIZE, /* hex digits */
    /* Extensions (RFC 9112 7.1.1), which may have white space in between. */
    SPACE,   /* where only ";" may follow */
    BEGIN,   /* behind ";" */
    NAME,    /* in a name */
    NAMED,   /* behind a name and a space */
    EQUALS,  /* behind "=" */
    VALUE,   /* in a token */
    QUOTED,  /* in a quoted string */
    ESCAPED, /* behind a backslash in one */
    CLOSED,  /* behind one */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    LINE,  /* at the start of a trailer line */
    FIELD, /* in a trailer line */
    FIELD_LF,
    LAST_LF,
    DONE,
    BAD
};

void chunked_init(struct chunked *c, uint64_t max)
{
    *c = (struct chunked){.state = SIZE, .max = max};
    bytes_init(&c->trailer);
}

void chunked_clear(struct chunked *c)
{
    bytes_clear(&c->trailer);
}

static bool is_space(char b)
{
    return b == ' ' || b == '\t';
}

static bool is_token(char b)
{
    return headers_name_valid((struct str){&b, 1});
}

static enum state in_size(struct chunked *c, char b)
{
    int value = encode_hex_value(b);

    if (value >= 0) {
        if (++c->digits > 16)
            return BAD;
        c->size = c->size * 16 + (unsigned)value;
        return c->size >> 62 ? BAD : SIZE;
    }
    if (c->digits == 0)
        return BAD;
    if (b == '\r')
        return SIZE_LF;
    if (b == ';')
        return BEGIN;
    return is_space(b) ? SPACE : BAD;
}

/* What may follow a complete extension, or a name; else BAD. */
static enum state behind(char b)
{
    return b == '\r' ? SIZE_LF : b == ';' ? BEGIN : BAD;
}

/* Within a quoted string (RFC 9110 5.6.4). */
static enum state in_quoted(enum state state, char b)
{
    if (((unsigned char)b < ' ' && b != '\t') || b == 0x7f)
        return BAD;
    if (state == ESCAPED)
        return QUOTED;
    return b == '\\' ? ESCAPED : b == '"' ? CLOSED : QUOTED;
}

static enum state in_extension(enum state state, char b)
{
    switch (state) {
    case SPACE:
        return is_space(b) ? SPACE : b == ';' ? BEGIN : BAD;
    case BEGIN:
        return is_space(b) ? BEGIN : is_token(b) ? NAME : BAD;
    case NAME:
        if (is_token(b))
            return NAME;
        return is_space(b) ? NAMED : b == '=' ? EQUALS : behind(b);
    case NAMED: /* "a ;b" or "a =1", but no end of line */
        return is_space(b) ? NAMED : b == '=' ? EQUALS : b == ';' ? BEGIN : BAD;
    case EQUALS:
        if (is_space(b))
            return EQUALS;
        return b == '"' ? QUOTED : is_token(b) ? VALUE : BAD;
    case VALUE:
        if (is_token(b))
            return VALUE;
        return is_space(b) ? SPACE : behind(b);
    case CLOSED:
        return is_space(b) ? SPACE : behind(b);
    default:
        return in_quoted(state, b);
    }
}

static enum state after_size(struct chunked *c, char b)
{
    if (b != '\n')
        return BAD;
    c->digits = 0;
    return c->size > 0 ? DATA : LINE;
}

/* A trailer byte; the text is collected and checked as a whole later. */
static enum state in_trailer(struct chunked *c, char b)
{
    if (c->state == LINE && b == '\r')
        return LAST_LF;
    if (b == '\r')
        return FIELD_LF;
    if (b == '\n')
        return BAD;
    bytes_append(&c->trailer, &b, 1);
    return FIELD;
}

static enum state step(struct chunked *c, char b)
{
    switch ((enum state)c->state) {
    case SIZE:
        return in_size(c, b);
    case SPACE:
    case BEGIN:
    case NAME:
    case NAMED:
    case EQUALS:
    case VALUE:
    case QUOTED:
    case ESCAPED:
    case CLOSED:
        return in_extension((enum state)c->state, b);
    case SIZE_LF:
        return after_size(c, b);
    case DATA_CR:
        return b == '\r' ? DATA_LF : BAD;
    case DATA_LF:
        return b == '\n' ? SIZE : BAD;
    case LINE:
    case FIELD:
        return in_trailer(c, b);
    case FIELD_LF:
        bytes_append(&c->trailer, "\n", 1);
        return b == '\n' ? LINE : BAD;
    case LAST_LF:
        return b == '\n' ? DONE : BAD;
    default:
        return BAD;
    }
}

enum chunked_result chunked_next(struct chunked *c, struct str *in,
                                 struct str *data)
{
    while (in->n > 0 && c->state != DONE && c->state != BAD) {
        if (c->state == DATA) {
            *data = (struct str){in->p, in->n};
            if (data->n > c->size)
                data->n = (size_t)c->size;
            *in = str_skip(*in, data->n);
            c->size -= data->n;
            if (c->size == 0)
                c->state = DATA_CR;
            return CHUNKED_DATA;
        }
        /* The CRLF behind data and a plain size line are the coding's own, with
         * the few leading zeros that some encoders write. */
        if (c->state >= SPACE && c->state != DATA_CR && c->state != DATA_LF &&
            c->state != SIZE_LF)
            c->overhead++;
        else if (c->state == SIZE && c->digits >= 8 && c->size == 0)
            c->overhead++;
        c->state = (uint8_t)step(c, in->p[0]);
        if (c->overhead > c->max)
            c->state = BAD;
        *in = str_skip(*in, 1);
    }
    if (c->state == DONE)
        return CHUNKED_END;
    return c->state == BAD ? CHUNKED_BAD : CHUNKED_MORE;
}

int chunked_trailers(struct chunked *c, struct headers *h, struct pool *pool,
                     uint64_t max)
{
    struct str rest = pool_copy(pool, (struct str){c->trailer.p, c->trailer.n});

    while (rest.n > 0) {
        struct str value = str_cut(&rest, '\n');
        struct str name = value.n ? str_cut(&value, ':') : value;

        if (value.p == NULL || !headers_name_valid(name))
            return -1;
        value = str_trim(value);
        if (!headers_value_valid(value))
            return -1;
        if (!headers_trailer_allowed(headers_id(name)))
            return -1;
        if (max > 0 && h->n >= max)
            return -1;
        headers_add(h, pool, name, value);
    }
    return 0;
}
