/* multipart/form-data (http/multipart.h): however a body is cut, the parts are
 * the same; what lies between two delimiters of a plain reading is what comes
 * out; names of files stay in their folder. */
#include "fuzz.h"

#include "base/bytes.h"
#include "http/multipart.h"

#define BOUNDARY "b"
#define DELIMITER "\r\n--" BOUNDARY

static const struct multipart_limits limits = {8, 512, 32};

/* What has come out: the data of all parts, a NUL behind each, and a note of
 * each part in front of it. */
struct seen {
    struct bytes notes, data;
    bool bad;
    const char *error;
};

static void add(struct bytes *b, struct str s)
{
    if (s.n > 0)
        bytes_append(b, s.p, s.n);
}

static void check_filename(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        FUZZ_CHECK((unsigned char)name.p[i] >= 0x20);
        FUZZ_CHECK(name.p[i] != '/' && name.p[i] != '\\');
    }
    FUZZ_CHECK(!str_eq(name, STR(".")) && !str_eq(name, STR("..")));
}

static void note_part(struct seen *seen, const struct multipart_part *part)
{
    FUZZ_CHECK(part->name.p != NULL && part->name.n <= limits.name);
    FUZZ_CHECK(part->nfields > 0 && part->nfields <= MULTIPART_FIELDS);
    FUZZ_CHECK(part->is_file || part->filename.n == 0);
    check_filename(part->filename);
    add(&seen->notes, part->name);
    add(&seen->notes, STR("\n"));
    add(&seen->notes, part->filename);
    add(&seen->notes, STR("\n"));
    for (unsigned i = 0; i < part->nfields; i++) {
        add(&seen->notes, part->fields[i].name);
        add(&seen->notes, STR(":"));
        add(&seen->notes, part->fields[i].value);
        add(&seen->notes, STR("\n"));
    }
}

/* Gives one piece to m. False where nothing more is wanted. */
static bool feed(struct multipart *m, struct str in, struct seen *seen)
{
    enum multipart_event event;
    struct str data;

    while ((event = multipart_next(m, &in, &data)) != MULTIPART_MORE) {
        if (event == MULTIPART_PART)
            note_part(seen, &m->part);
        else if (event == MULTIPART_DATA)
            FUZZ_CHECK(data.n > 0), add(&seen->data, data);
        else if (event == MULTIPART_END)
            bytes_append(&seen->data, "", 1);
        else if (event == MULTIPART_CLOSE)
            return false;
        else {
            FUZZ_CHECK(m->error != NULL);
            FUZZ_CHECK(m->status == 400 || m->status == 413);
            seen->bad = true;
            seen->error = m->error;
            return false;
        }
    }
    FUZZ_CHECK(in.n == 0);
    return true;
}

/* Parses text in pieces, whose lengths the script says. */
static void parse(struct str text, struct fuzz_input *in, struct seen *seen,
                  bool *whole)
{
    struct multipart m;
    bool wants = true;

    memset(seen, 0, sizeof *seen);
    FUZZ_CHECK(multipart_init(&m, STR(BOUNDARY), &limits));
    while (wants && text.n > 0) {
        size_t n = in != NULL && in->left > 0 ? fuzz_take(in) % 32 + 1 : text.n;
        char *copy;

        n = n > text.n ? text.n : n;
        copy = fuzz_copy((struct str){text.p, n});
        wants = feed(&m, (struct str){copy, n}, seen);
        mem_free(copy);
        text = str_skip(text, n);
    }
    *whole = multipart_complete(&m);
    multipart_clear(&m);
}

/* A plain reading: cut at every delimiter, each head at its blank line. */
static void read_plainly(struct str text, struct bytes *data)
{
    struct bytes all;
    const char *p, *end, *next, *body;

    bytes_init(&all);
    add(&all, STR("\r\n"));
    add(&all, text);
    end = all.p + all.n;
    p = memmem(all.p, all.n, DELIMITER, strlen(DELIMITER));
    while (p != NULL) {
        p += strlen(DELIMITER);
        if (end - p >= 2 && memcmp(p, "--", 2) == 0)
            break;
        next = memmem(p, (size_t)(end - p), DELIMITER, strlen(DELIMITER));
        body = memmem(p, (size_t)(end - p), "\r\n\r\n", 4);
        if (next == NULL || body == NULL)
            break;
        if (body + 4 < next)
            bytes_append(data, body + 4, (size_t)(next - body - 4));
        bytes_append(data, "", 1);
        p = next;
    }
    bytes_clear(&all);
}

static struct str text_of(const struct bytes *b)
{
    return (struct str){b->n ? b->p : "", b->n};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = fuzz_open(data, size);
    struct bytes plain;
    struct seen all, cut;
    bool whole, whole_cut;

    parse(in.text, NULL, &all, &whole);
    parse(in.text, &in, &cut, &whole_cut);
    FUZZ_CHECK(all.bad == cut.bad && whole == whole_cut);
    FUZZ_CHECK(all.error == cut.error);
    FUZZ_CHECK(str_eq(text_of(&all.notes), text_of(&cut.notes)));
    FUZZ_CHECK(str_eq(text_of(&all.data), text_of(&cut.data)));
    bytes_init(&plain);
    read_plainly(in.text, &plain);
    FUZZ_CHECK(!whole || str_eq(text_of(&all.data), text_of(&plain)));
    bytes_clear(&plain);
    bytes_clear(&all.notes);
    bytes_clear(&all.data);
    bytes_clear(&cut.notes);
    bytes_clear(&cut.data);
    return 0;
}
