/* A backslash escapes a quote and itself, and nothing else: browsers do not
 * escape at all, so that one in front of anything else is a path's. */
#include "http/param.h"

#include "http/headers.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static char *skip_blanks(char *p, const char *end)
{
    while (p < end && is_blank(*p))
        p++;
    return p;
}

/* Reads a quoted string that begins at p, behind its quote; returns what is
 * behind its end, or NULL where it has none. */
static char *read_quoted(char *p, const char *end, struct str *value)
{
    char *out = p;

    value->p = p;
    while (p < end && *p != '"') {
        if (*p == '\\' && p + 1 < end && (p[1] == '"' || p[1] == '\\'))
            p++;
        *out++ = *p++;
    }
    value->n = (size_t)(out - value->p);
    return p < end ? p + 1 : NULL;
}

static char *read_plain(char *p, const char *end, struct str *value)
{
    value->p = p;
    while (p < end && *p != ';')
        p++;
    value->n = (size_t)(p - value->p);
    *value = str_trim(*value);
    return p;
}

int param_next(char **text, char *end, struct param *param)
{
    char *p = *text;

    while (p < end && (is_blank(*p) || *p == ';')) /* empty ones are skipped */
        p++;
    param->name.p = p;
    while (p < end && *p != '=' && *p != ';')
        p++;
    param->name.n = (size_t)(p - param->name.p);
    *text = p;
    if (param->name.n == 0)
        return p == end ? 0 : -1;
    param->name = str_trim(param->name);
    if (p == end || *p != '=' || !headers_name_valid(param->name))
        return -1;
    p = skip_blanks(p + 1, end);
    p = p < end && *p == '"' ? read_quoted(p + 1, end, &param->value)
                             : read_plain(p, end, &param->value);
    if (p == NULL)
        return -1;
    *text = skip_blanks(p, end);
    return *text == end || **text == ';' ? 1 : -1;
}
