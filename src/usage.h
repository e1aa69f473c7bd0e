/* The table of options: what each is called, what it takes, where its value
 * goes and what the help says of it. options.c parses by it; main prints the
 * help from it. An option is added by adding its row in usage.c. */
#ifndef USAGE_H
#define USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { USAGE_NAME_SIZE = 32 }; /* more than the longest name and a NUL */

enum usage_page { USAGE_MAIN, USAGE_SERVICE, USAGE_LIMITS, USAGE_COMMANDS };

enum usage_kind {
    USAGE_FLAG,    /* bool */
    USAGE_TEXT,    /* const char *, not empty */
    USAGE_CODE,    /* const char *, may be empty */
    USAGE_SIZE,    /* uint64_t */
    USAGE_COUNT,   /* uint64_t */
    USAGE_SECONDS, /* double */
    USAGE_TEXTS,   /* struct options_texts: adds up */
    USAGE_LISTEN,
    USAGE_WORKERS, /* uint64_t, or auto: OPTIONS_AUTO */
    USAGE_LOG_LEVEL,
    USAGE_LOG_FORMAT,
    USAGE_HELP,
    USAGE_VERSION
};

struct usage_row {
    char letter; /* 0: none */
    enum usage_kind kind;
    const char *name;     /* without the dashes */
    const char *argument; /* what the help calls it; NULL: takes none */
    const char *example;  /* a right value */
    size_t at;            /* offset in struct options */
    double min, max;
    const char *help;     /* lines of up to 52 columns */
    const char *standard; /* what the help says instead of the default */
};

/* The row of the option called name, without its dashes, or NULL. */
const struct usage_row *usage_find(const char *name);

/* Whether that is a command, which runs in place of a script. */
bool usage_command(const char *name);

/* The page of the help that is called name; the first where none is. */
enum usage_page usage_find_page(const char *name);

/* The row of a letter, or NULL. */
const struct usage_row *usage_find_letter(char letter);

/* The name of the option that was probably meant by said, without dashes, or
 * NULL where nothing comes near. */
const char *usage_suggest(const char *said);

/* Prints a page of help to out; each fits a screen of 80 by 24. */
void usage_print(enum usage_page page, FILE *out);

#endif
