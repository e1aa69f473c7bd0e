/* A tool of the build: compiles the Lua files to bytecode, with the Lua that
 * luaserve is linked with, and writes them as the C source of
 * script/modules.h: "embed OUT.c lua/node/http.lua ...". Bytecode keeps its
 * debug information, so tracebacks name lines. No cross compiling: bytecode is
 * that of the machine the tool runs on. Files of other folders below lua/ are
 * written as they are. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script/compat.h"

enum {
    NAME_MAX_SIZE = 256, /* of a module's name and path, with the NUL */
    BYTES_PER_LINE = 20
};

struct source {
    char name[NAME_MAX_SIZE]; /* "luaserve.session" */
    const char *path;         /* below lua/: "luaserve/session.lua" */
    const char *file;         /* as given */
    int is_text;              /* no module: its name is its path */
};

struct output {
    FILE *file;
    size_t n; /* bytes of the module written so far */
};

static _Noreturn void fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static const char *skip_prefix(const char *s, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

/* Cuts suffix off the end of s; true where s had it. */
static int cut_suffix(char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    if (n <= m || strcmp(s + n - m, suffix) != 0)
        return 0;
    s[n - m] = '\0';
    return 1;
}

/* Fills source for a file below lua/node or lua/luaserve, which is a module,
 * or any other below lua, which is a text. The files of node have Node's bare
 * names, the others their folder's. */
static void name_source(struct source *source, const char *file)
{
    const char *path = skip_prefix(file, "lua/");
    const char *node = path ? skip_prefix(path, "node/") : NULL;
    const char *from = node ? node : path;

    if (from == NULL || strlen(from) >= sizeof(source->name))
        fail("embed: %s: not below lua/, or too long a name", file);
    source->file = file;
    source->path = path;
    strcpy(source->name, from);
    source->is_text = node == NULL && skip_prefix(path, "luaserve/") == NULL;
    if (source->is_text)
        return;
    if (!cut_suffix(source->name, ".lua"))
        fail("embed: %s: not a Lua file", file);
    cut_suffix(source->name, "/init");
    for (char *p = source->name; *p; p++)
        if (*p == '/')
            *p = '.';
}

/* Modules come first, then texts, each sorted by name. */
static int compare_sources(const void *a, const void *b)
{
    const struct source *one = a, *other = b;

    if (one->is_text != other->is_text)
        return one->is_text - other->is_text;
    return strcmp(one->name, other->name);
}

/* Reads a whole file; the caller owns the text. */
static char *read_file(const char *name, size_t *size)
{
    FILE *file = fopen(name, "rb");
    char *text = NULL;
    size_t room = 0, n = 0, got;

    if (file == NULL)
        fail("embed: %s: %s", name, strerror(errno));
    do {
        if (n == room && (text = realloc(text, room += 65536)) == NULL)
            fail("embed: out of memory");
        got = fread(text + n, 1, room - n, file);
        n += got;
    } while (got > 0);
    if (ferror(file))
        fail("embed: %s: %s", name, strerror(errno));
    fclose(file);
    *size = n;
    return text;
}

/* lua_Writer: bytes as the numbers of a C array. */
static int write_bytes(lua_State *L, const void *p, size_t n, void *arg)
{
    struct output *out = arg;
    const unsigned char *bytes = p;

    (void)L;
    for (size_t i = 0; i < n; i++)
        fprintf(out->file, ++out->n % BYTES_PER_LINE ? "%d," : "%d,\n",
                bytes[i]);
    return 0;
}

static int dump(lua_State *L, struct output *out)
{
#if COMPAT_LUAJIT
    return lua_dump(L, write_bytes, out);
#else
    return lua_dump(L, write_bytes, out, 0);
#endif
}

/* Compiles one file and writes its bytecode as the array code_I. */
static void write_code(lua_State *L, const struct source *source, size_t i,
                       FILE *file)
{
    struct output out = {file, 0};
    char chunk[NAME_MAX_SIZE + 16];
    size_t size;
    char *text = read_file(source->file, &size);

    snprintf(chunk, sizeof(chunk), "@luaserve:%s", source->path);
    if (luaL_loadbufferx(L, text, size, chunk, "t") != 0) {
        snprintf(chunk, sizeof(chunk), "@%s", source->file); /* for editors */
        luaL_loadbufferx(L, text, size, chunk, "t");
        fail("%s", lua_tostring(L, -1));
    }
    free(text);
    fprintf(file, "static const unsigned char code_%zu[] = {\n", i);
    if (dump(L, &out) != 0)
        fail("embed: %s: cannot be dumped", source->file);
    fputs("};\n", file);
    lua_settop(L, 0);
}

static void write_texts(FILE *file, const struct source *sources, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct output out = {file, 0};
        size_t size;
        char *text = read_file(sources[i].file, &size);

        fprintf(file, "static const unsigned char text_%zu[] = {\n", i);
        write_bytes(NULL, text, size, &out);
        fputs("0};\n", file);
        free(text);
    }
    fputs("const struct text modules_texts[] = {\n", file);
    for (size_t i = 0; i < n; i++)
        fprintf(file, "    {\"%s\", text_%zu, sizeof(text_%zu) - 1},\n",
                sources[i].path, i, i);
    fprintf(file,
            "    {0},\n};\n"
            "const size_t modules_texts_count = %zu;\n",
            n);
}

static void write_modules(FILE *file, const struct source *sources, size_t n)
{
    lua_State *L = luaL_newstate();

    if (L == NULL)
        fail("embed: out of memory");
    fputs("/* Made by src/embed.c. */\n#include \"script/modules.h\"\n", file);
    for (size_t i = 0; i < n; i++)
        write_code(L, &sources[i], i, file);
    fputs("const struct module modules_embedded[] = {\n", file);
    for (size_t i = 0; i < n; i++)
        fprintf(file, "    {\"%s\", \"%s\", code_%zu, sizeof(code_%zu)},\n",
                sources[i].name, sources[i].path, i, i);
    fprintf(file,
            "    {0}, /* an array has at least one element */\n};\n"
            "const size_t modules_embedded_count = %zu;\n",
            n);
    lua_close(L);
}

int main(int argc, char **argv)
{
    size_t n = argc < 2 ? 0 : (size_t)argc - 2, modules = 0;
    struct source *sources = calloc(n + 1, sizeof(*sources));
    FILE *file;

    if (argc < 2 || sources == NULL)
        fail("usage: embed OUT.c FILE...");
    for (size_t i = 0; i < n; i++)
        name_source(&sources[i], argv[i + 2]);
    qsort(sources, n, sizeof(*sources), compare_sources);
    for (size_t i = 1; i < n; i++)
        if (compare_sources(&sources[i - 1], &sources[i]) == 0)
            fail("embed: %s and %s are one module", sources[i - 1].file,
                 sources[i].file);
    file = fopen(argv[1], "w");
    if (file == NULL)
        fail("embed: %s: %s", argv[1], strerror(errno));
    while (modules < n && !sources[modules].is_text)
        modules++;
    write_modules(file, sources, modules);
    write_texts(file, sources + modules, n - modules);
    if (fclose(file) != 0)
        fail("embed: %s: %s", argv[1], strerror(errno));
    free(sources);
    return 0;
}
