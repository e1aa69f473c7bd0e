#include "http/multipart.h"

#include "base/mem.h"
#include "test.h"

static const struct multipart_limits limits = {4, 256, 20};

#define BOUNDARY "AaB03x"
#define FIELD(name) "Content-Disposition: form-data; name=\"" name "\"\r\n"

/* What came out, as text: "name/filename/type=data;" for each part, ")" for the
 * last delimiter, "!" and the reason for an error. */
static struct bytes out;
static struct multipart m;

static void put(struct str s)
{
    if (s.n > 0)
        bytes_append(&out, s.p, s.n);
}

static void put_part(void)
{
    put(m.part.name);
    put(m.part.is_file ? STR("/") : STR(""));
    put(m.part.filename);
    put(m.part.type.n ? STR("|") : STR(""));
    put(m.part.type);
    put(STR("="));
}

/* Gives in to the parser and writes down what it says. False at an error. */
static bool feed(struct str in)
{
    enum multipart_event event;
    struct str data;

    while ((event = multipart_next(&m, &in, &data)) != MULTIPART_MORE) {
        if (event == MULTIPART_PART)
            put_part();
        else if (event == MULTIPART_DATA)
            put(data);
        else if (event == MULTIPART_END)
            put(STR(";"));
        else if (event == MULTIPART_CLOSE) {
            put(STR(")"));
            return true;
        } else {
            put(STR("!"));
            put(str_of(m.error));
            return false;
        }
    }
    return true;
}

/* Parses text in pieces of step bytes. */
static struct str parse_by(struct str text, size_t step)
{
    char *copy;

    bytes_clear(&out);
    if (!multipart_init(&m, STR(BOUNDARY), &limits))
        return STR("no boundary");
    while (text.n > 0) {
        size_t n = text.n < step ? text.n : step;
        bool went;

        copy = mem_alloc(n); /* as long as it is: no reading beyond */
        memcpy(copy, text.p, n);
        went = feed((struct str){copy, n});
        mem_free(copy);
        if (!went || multipart_complete(&m))
            break;
        text = str_skip(text, n);
    }
    multipart_clear(&m);
    return (struct str){out.n ? out.p : "", out.n};
}

static struct str parse(struct str text)
{
    return parse_by(text, text.n + 1);
}

#define PARSE(literal) parse(STR(literal))

static const struct str two = {
    "--" BOUNDARY
    "\r\n" FIELD("a") "\r\none\r\n--" BOUNDARY "\r\n"
                      "Content-Disposition: form-data; name=\"f\"; "
                      "filename=\"x.txt\"\r\n"
                      "Content-Type: "
                      "text/plain\r\n\r\nl1\r\n\r\n--Aa\r\n-\rl2\r\n--" BOUNDARY
                      "--\r\nepilogue",
    0};

static struct str both(void)
{
    return str_of(two.p);
}

#define BOTH "a=one;f/x.txt|text/plain=l1\r\n\r\n--Aa\r\n-\rl2;)"

static void reads_fields_and_files(void)
{
    CHECK_STR(parse(both()), BOTH);
}

static void is_the_same_however_it_is_cut(void)
{
    size_t step;

    for (step = 1; step < both().n; step++)
        CHECK_STR(parse_by(both(), step), BOTH);
}

static void is_the_same_cut_in_two_at_every_byte(void)
{
    size_t at;

    for (at = 1; at < both().n; at++) {
        bytes_clear(&out);
        CHECK(multipart_init(&m, STR(BOUNDARY), &limits));
        CHECK(feed((struct str){both().p, at}));
        if (!multipart_complete(&m))
            CHECK(feed(str_skip(both(), at)));
        multipart_clear(&m);
        CHECK_STR(((struct str){out.p, out.n}), BOTH);
    }
}

static bool takes_boundary(size_t n, char last)
{
    char text[128];
    bool taken;

    memset(text, 'x', sizeof text);
    if (n > 0)
        text[n - 1] = last;
    taken = multipart_init(&m, (struct str){text, n}, &limits);
    multipart_clear(&m);
    return taken;
}

static void knows_boundaries(void)
{
    CHECK(!takes_boundary(0, 'x'));
    CHECK(takes_boundary(1, 'x'));
    CHECK(takes_boundary(70, '?'));
    CHECK(!takes_boundary(71, 'x'));
    CHECK(!takes_boundary(10, ' '));
    CHECK(!takes_boundary(10, '\0'));
    CHECK(!takes_boundary(10, '\r'));
    CHECK(!takes_boundary(10, '"'));
}

static void takes_preamble_padding_and_no_parts(void)
{
    CHECK_STR(PARSE("hello\r\n--" BOUNDARY
                    " \t\r\n" FIELD("a") "\r\n1\r\n--" BOUNDARY "--"),
              "a=1;)");
    CHECK_STR(PARSE("--" BOUNDARY "--\r\n"), ")");
    CHECK_STR(PARSE("x--" BOUNDARY "\r\n\r\n--" BOUNDARY "--"), ")");
}

static void takes_empty_parts(void)
{
    CHECK_STR(PARSE("--" BOUNDARY "\r\n" FIELD("a") "\r\n\r\n--" BOUNDARY "--"),
              "a=;)");
    /* the blank line is the delimiter's: there is no body at all */
    CHECK_STR(PARSE("--" BOUNDARY "\r\n" FIELD("a") "\r\n--" BOUNDARY "--"),
              "a=;)");
}

static void is_told_of_a_missing_end(void)
{
    CHECK_STR(PARSE("--" BOUNDARY "\r\n" FIELD("a") "\r\none\r\n--AaB03"),
              "a=one");
    CHECK(!multipart_complete(&m));
    CHECK_STR(PARSE(""), "");
    CHECK(!multipart_complete(&m));
    PARSE("--" BOUNDARY "--");
    CHECK(multipart_complete(&m));
}

static void refuses_malformed_boundaries(void)
{
    CHECK_STR(PARSE("--" BOUNDARY "y\r\n"), "!a boundary is malformed");
    CHECK_STR(PARSE("--" BOUNDARY "\n"), "!a boundary is malformed");
    CHECK_STR(PARSE("--" BOUNDARY "-\r\n"), "!a boundary is malformed");
    CHECK_STR(PARSE("--" BOUNDARY " --"), "!a boundary is malformed");
    CHECK_STR(PARSE("--" BOUNDARY "\r\r\n"), "!a boundary is malformed");
}

#define HEAD(text) PARSE("--" BOUNDARY "\r\n" text "\r\nx\r\n--" BOUNDARY "--")

static void refuses_malformed_heads(void)
{
    CHECK_STR(HEAD(""), "!a part has no Content-Disposition");
    CHECK_STR(HEAD("Content-Disposition: form-data\r\n"),
              "!a part has no name");
    CHECK_STR(HEAD("Content-Disposition: attachment; name=a\r\n"),
              "!a part is not form-data");
    CHECK_STR(HEAD("Content-Disposition: form-data; name=a; name=b\r\n"),
              "!a part has two names");
    CHECK_STR(HEAD("Content-Disposition: form-data; name=\"a\r\n"),
              "!the Content-Disposition of a part is malformed");
    CHECK_STR(HEAD("Content-Disposition: form-data; name\r\n"),
              "!the Content-Disposition of a part is malformed");
    CHECK_STR(HEAD("nothing\r\n"), "!a header of a part is malformed");
    CHECK_STR(HEAD(FIELD("a") "--" BOUNDARY "x: y\r\n"),
              "!a boundary lies within the headers of a part");
    CHECK_STR(HEAD(" : b\r\n"), "!a header of a part is malformed");
    CHECK_STR(HEAD(FIELD("a") "b: c\nd: e\r\n"),
              "!a header of a part has control characters");
    CHECK_STR(HEAD("Content-Disposition: form-data; name=\"a\0b\"\r\n"),
              "!a header of a part has control characters");
}

static void keeps_its_limits(void)
{
    CHECK_STR(HEAD("Content-Disposition: form-data; name=123456789012345678901"
                   "\r\n"),
              "!the name of a field is too long");
    CHECK_STR(HEAD(FIELD("a") "1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n6:\r\n7:\r\n8:\r\n"
                              "9:\r\na:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\n"),
              "a=x;)");
    CHECK_STR(HEAD(FIELD("a") "1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n6:\r\n7:\r\n8:\r\n"
                              "9:\r\na:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:"
                              "\r\n"),
              "!a part has too many headers");
    CHECK_INT(m.status, 413);
#define FIFTY "0123456789012345678901234567890123456789012345678\x39"
    CHECK_STR(HEAD("x: " FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY),
              "!the headers of a part are too long");
#define PART "--" BOUNDARY "\r\n" FIELD("p") "\r\n\r\n"
    CHECK_STR(PARSE(PART PART PART PART "--" BOUNDARY "--"), "p=;p=;p=;p=;)");
    CHECK_STR(PARSE(PART PART PART PART PART),
              "p=;p=;p=;p=;!there are too many parts");
}

#define FILE_NAMED(text)                                                       \
    HEAD("Content-Disposition: form-data; name=f; " text "\r\n")

static void cleans_names_of_files(void)
{
    CHECK_STR(FILE_NAMED("filename=\"../../etc/passwd\""), "f/passwd=x;)");
    CHECK_STR(FILE_NAMED("filename=\"C:\\Users\\a.txt\""), "f/a.txt=x;)");
    CHECK_STR(FILE_NAMED("filename=\"..\""), "f/=x;)");
    CHECK_STR(FILE_NAMED("filename=\"/\""), "f/=x;)");
    CHECK_STR(FILE_NAMED("filename=\"\""), "f/=x;)");
    CHECK_STR(FILE_NAMED("filename=a.b"), "f/a.b=x;)");
    CHECK_STR(FILE_NAMED("filename=\"a\\\"b%22c\""), "f/a\"b\"c=x;)");
    CHECK_STR(FILE_NAMED("filename=\"a;b=c\""), "f/a;b=c=x;)");
    CHECK_STR(FILE_NAMED("FileName=\"\xc3\xa4.txt\""), "f/\xc3\xa4.txt=x;)");
}

static void knows_extended_names_of_files(void)
{
    CHECK_STR(FILE_NAMED("filename=\"a\"; filename*=UTF-8''%e2%82%ac.txt"),
              "f/\xe2\x82\xac.txt=x;)");
    CHECK_STR(FILE_NAMED("filename*=utf-8'en'..%2f..%2Fetc%2fx%00y"),
              "f/xy=x;)");
    CHECK_STR(FILE_NAMED("filename*=iso-8859-1'en'%A3%20rates; filename=b"),
              "f/\xc2\xa3 rates=x;)");
    CHECK_STR(FILE_NAMED("filename=a; filename*=koi8-r''b"), "f/a=x;)");
    CHECK_STR(FILE_NAMED("filename=a; filename*=utf-8''%zz"), "f/a=x;)");
    CHECK_STR(FILE_NAMED("filename=a; filename*=none"), "f/a=x;)");
}

static void unfolds_headers(void)
{
    CHECK_STR(HEAD("Content-Disposition: form-data;\r\n name=\"a\";\r\n\t"
                   "filename=\"b\"\r\n"),
              "a/b=x;)");
    CHECK_STR(HEAD(" folded: x\r\n" FIELD("a")),
              "!a header of a part is malformed");
}

static void takes_a_nested_multipart_as_data(void)
{
    CHECK_STR(PARSE("--" BOUNDARY
                    "\r\nContent-Disposition: form-data; name=\"all\"\r\n"
                    "Content-Type: multipart/mixed; boundary=In\r\n\r\n"
                    "--In\r\n\r\n1\r\n--In--\r\n--" BOUNDARY "--"),
              "all|multipart/mixed; boundary=In=--In\r\n\r\n1\r\n--In--;)");
}

int main(void)
{
    bytes_init(&out);
    RUN(reads_fields_and_files);
    RUN(is_the_same_however_it_is_cut);
    RUN(is_the_same_cut_in_two_at_every_byte);
    RUN(knows_boundaries);
    RUN(takes_preamble_padding_and_no_parts);
    RUN(takes_empty_parts);
    RUN(is_told_of_a_missing_end);
    RUN(refuses_malformed_boundaries);
    RUN(refuses_malformed_heads);
    RUN(keeps_its_limits);
    RUN(cleans_names_of_files);
    RUN(knows_extended_names_of_files);
    RUN(unfolds_headers);
    RUN(takes_a_nested_multipart_as_data);
    bytes_clear(&out);
    return test_finish();
}
