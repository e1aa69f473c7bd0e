/* All is cut and decoded where it lies, in the buffer of the head. Browsers
 * write a file's name as it is, but %22 for a quote (and %0D, %0A, which we
 * leave), others escape with backslashes; some send a path. What a program gets
 * is the last segment, so that joining it to a folder stays in the folder. */
#include "http/multipart_head.h"

#include <ctype.h>

#include "base/encode.h"
#include "http/headers.h"
#include "http/param.h"

static bool refuse(struct multipart *m, int status, const char *error)
{
    m->status = status;
    m->error = error;
    return false;
}

/* ---- fields */

/* A line that begins with a blank goes on with the one before it (RFC 5322
 * 2.2.3): the line ends between them become blanks. */
static void unfold(char *p, size_t n)
{
    size_t i;

    for (i = 2; i + 2 < n; i++)
        if (p[i - 2] == '\r' && p[i - 1] == '\n' &&
            (p[i] == ' ' || p[i] == '\t'))
            p[i - 2] = p[i - 1] = ' ';
}

static bool add_field(struct multipart *m, char *line, size_t n)
{
    struct multipart_part *part = &m->part;
    struct str value = {line, n}, name = str_cut(&value, ':');
    size_t i;

    /* another reader would end the part here */
    if (str_starts(name,
                   str_skip((struct str){m->delimiter, m->ndelimiter}, 2)))
        return refuse(m, 400, "a boundary lies within the headers of a part");
    if (value.p == NULL || !headers_name_valid(name))
        return refuse(m, 400, "a header of a part is malformed");
    value = str_trim(value);
    if (!headers_value_valid(value))
        return refuse(m, 400, "a header of a part has control characters");
    if (part->nfields == MULTIPART_FIELDS)
        return refuse(m, 413, "a part has too many headers");
    for (i = 0; i < name.n; i++)
        line[i] = (char)tolower((unsigned char)line[i]);
    part->fields[part->nfields].name = name;
    part->fields[part->nfields++].value = value;
    return true;
}

static bool read_fields(struct multipart *m)
{
    char *p = m->head.p, *end = p + m->head.n - 2, *eol;

    unfold(p, m->head.n);
    for (; p < end; p = eol + 2) {
        eol = memmem(p, (size_t)(end - p), "\r\n", 2);
        if (eol == NULL) /* cannot be: the head ends in two of them */
            eol = end;
        if (!add_field(m, p, (size_t)(eol - p)))
            return false;
    }
    return true;
}

static struct str field(const struct multipart_part *part, struct str name)
{
    unsigned i;

    for (i = 0; i < part->nfields; i++)
        if (str_eq(part->fields[i].name, name))
            return part->fields[i].value;
    return (struct str){NULL, 0};
}

/* ---- names of files */

static struct str last_segment(struct str name)
{
    size_t i;

    for (i = name.n; i > 0; i--)
        if (name.p[i - 1] == '/' || name.p[i - 1] == '\\')
            return str_skip(name, i);
    return name;
}

/* The name without a path and control characters; empty where it would be one
 * of the folder itself. */
static struct str clean(struct str name)
{
    char *out;
    size_t i, n = 0;

    name = last_segment(name);
    out = (char *)(uintptr_t)name.p;
    for (i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] >= 0x20 && name.p[i] != 0x7f)
            out[n++] = name.p[i];
    name.n = n;
    if (str_eq(name, STR(".")) || str_eq(name, STR("..")))
        name.n = 0;
    return name;
}

/* %22, as browsers write a quote (HTML 4.10.22.8). */
static struct str unquote(struct str s)
{
    char *out = (char *)(uintptr_t)s.p;
    size_t i, n = 0;

    for (i = 0; i < s.n; i++) {
        bool is_quote = i + 2 < s.n && memcmp(s.p + i, "%22", 3) == 0;

        out[n++] = is_quote ? '"' : s.p[i];
        i += is_quote ? 2 : 0;
    }
    return (struct str){s.p, n};
}

/* ISO-8859-1 becomes UTF-8: what was a % and two digits has room for that. */
static struct str widen(struct str s, char *out)
{
    size_t i, n = 0;

    for (i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c >= 0x80)
            out[n++] = (char)(0xc0 | c >> 6);
        out[n++] = c < 0x80 ? (char)c : (char)(0x80 | (c & 0x3f));
    }
    return (struct str){out, n};
}

/* charset'language'percent-encoded (RFC 8187 3.2). False where it is not. */
static bool decode_extended(struct bytes *spare, struct str value,
                            struct str *name)
{
    struct str charset = str_cut(&value, '\'');
    bool is_latin = str_ieq(charset, STR("iso-8859-1"));
    char *room;
    ssize_t n;

    if (value.p == NULL || (!is_latin && !str_ieq(charset, STR("utf-8"))))
        return false;
    str_cut(&value, '\''); /* the language */
    if (value.p == NULL)
        return false;
    room = bytes_reserve(spare, value.n * 3 + 1);
    n = encode_unpercent(value.p, value.n, room, 0);
    if (n < 0)
        return false;
    *name = (struct str){room, (size_t)n};
    if (is_latin)
        *name = widen(*name, room + n);
    return true;
}

/* ---- Content-Disposition */

static bool read_param(struct multipart *m, const struct param *param,
                       struct str *extended)
{
    struct multipart_part *part = &m->part;

    if (str_ieq(param->name, STR("name"))) {
        if (part->name.p != NULL)
            return refuse(m, 400, "a part has two names");
        if (param->value.n > m->limits.name)
            return refuse(m, 413, "the name of a field is too long");
        part->name = unquote(param->value);
    } else if (str_ieq(param->name, STR("filename"))) {
        part->filename = unquote(param->value);
        part->is_file = true;
    } else if (str_ieq(param->name, STR("filename*"))) {
        *extended = param->value;
    }
    return true;
}

static bool read_disposition(struct multipart *m, struct str value)
{
    char *p = (char *)(uintptr_t)value.p, *end = p + value.n;
    struct str extended = {NULL, 0}, kind = str_cut(&value, ';');
    struct param param;
    int found;

    if (!str_ieq(str_trim(kind), STR("form-data")))
        return refuse(m, 400, "a part is not form-data");
    p += kind.n;
    while ((found = param_next(&p, end, &param)) > 0)
        if (!read_param(m, &param, &extended))
            return false;
    if (found < 0)
        return refuse(m, 400, "the Content-Disposition of a part is malformed");
    /* RFC 8187 4.2, RFC 6266 4.3: it is the better one where both are there */
    if (extended.p != NULL)
        m->part.is_file |=
            decode_extended(&m->spare, extended, &m->part.filename);
    m->part.filename = clean(m->part.filename);
    return true;
}

bool multipart_head_read(struct multipart *m)
{
    struct str disposition;

    memset(&m->part, 0, sizeof m->part);
    m->spare.n = 0;
    if (!read_fields(m))
        return false;
    m->part.type = field(&m->part, STR("content-type"));
    disposition = field(&m->part, STR("content-disposition"));
    if (disposition.p == NULL)
        return refuse(m, 400, "a part has no Content-Disposition");
    if (!read_disposition(m, disposition))
        return false;
    if (m->part.name.p == NULL)
        return refuse(m, 400, "a part has no name");
    return true;
}
