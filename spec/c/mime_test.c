/* Media types: every extension of the table is found (so it is sorted), and the
 * ways a name may be given. */
#include "http/mime.h"

#include "test.h"

static void knows_the_web(void)
{
    CHECK_STR(mime_type(STR("index.html")), "text/html; charset=utf-8");
    CHECK_STR(mime_type(STR("a.css")), "text/css; charset=utf-8");
    CHECK_STR(mime_type(STR("a.js")), "text/javascript; charset=utf-8");
    CHECK_STR(mime_type(STR("a.mjs")), "text/javascript; charset=utf-8");
    CHECK_STR(mime_type(STR("a.json")), "application/json; charset=utf-8");
    CHECK_STR(mime_type(STR("a.txt")), "text/plain; charset=utf-8");
    CHECK_STR(mime_type(STR("a.png")), "image/png");
    CHECK_STR(mime_type(STR("a.svg")), "image/svg+xml");
    CHECK_STR(mime_type(STR("a.wasm")), "application/wasm");
    CHECK_STR(mime_type(STR("a.woff2")), "font/woff2");
    CHECK_STR(mime_type(STR("a.webmanifest")),
              "application/manifest+json; charset=utf-8");
}

static void finds_the_extension(void)
{
    CHECK_STR(mime_type(STR("/srv/www.d/a.b/page.html")),
              "text/html; charset=utf-8");
    CHECK_STR(mime_type(STR("archive.tar.gz")), "application/gzip");
    CHECK_STR(mime_type(STR("PHOTO.JPG")), "image/jpeg");
    CHECK_STR(mime_type(STR(".png")), "image/png");
    CHECK_STR(mime_type(STR("png")), "image/png");
    CHECK_STR(mime_type(STR("3gp")), "video/3gpp");
    CHECK_STR(mime_type(STR("zst")), "application/zstd");
}

static void falls_back_to_bytes(void)
{
    static const char *const unknown[] = {"",
                                          ".",
                                          "file.",
                                          "file.unknown",
                                          "/a.html/file",
                                          "/etc/html",
                                          "a.html/",
                                          ".htaccess",
                                          "README",
                                          "a.htmlx",
                                          "a.htm l",
                                          "a.ht",
                                          "webmanifestx",
                                          "a.7",
                                          "a.zzz",
                                          "a.html ",
                                          "\xff.\xff",
                                          "a.0"};

    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        CHECK_STR(mime_type(str_of(unknown[i])), "application/octet-stream");
    CHECK_STR(mime_type((struct str){NULL, 0}), "application/octet-stream");
    CHECK_STR(mime_type(STR("a.png\0")), "application/octet-stream");
    CHECK_STR(mime_type(STR("a.png\0x")), "application/octet-stream");
}

static void finds_every_entry(void)
{
    static const char *const known[] = {
        "3gp",   "7z",   "aac",         "apk",      "apng",    "atom",
        "avi",   "avif", "bmp",         "bz2",      "cjs",     "conf",
        "css",   "csv",  "deb",         "dmg",      "doc",     "docx",
        "eot",   "eps",  "epub",        "flac",     "geojson", "gif",
        "glb",   "gltf", "gpx",         "gz",       "heic",    "heif",
        "htm",   "html", "ico",         "ics",      "ini",     "iso",
        "jar",   "jpeg", "jpg",         "js",       "json",    "jsonld",
        "jxl",   "kml",  "log",         "lua",      "m3u8",    "m4a",
        "m4s",   "m4v",  "map",         "markdown", "md",      "mid",
        "midi",  "mjs",  "mkv",         "mov",      "mp3",     "mp4",
        "mpd",   "mpeg", "mpg",         "odp",      "ods",     "odt",
        "oga",   "ogg",  "ogv",         "opus",     "otf",     "pdf",
        "png",   "ppt",  "pptx",        "ps",       "rar",     "rss",
        "rtf",   "sh",   "sql",         "svg",      "svgz",    "tar",
        "tgz",   "tif",  "tiff",        "toml",     "ts",      "ttc",
        "ttf",   "txt",  "vcf",         "vtt",      "wasm",    "wav",
        "weba",  "webm", "webmanifest", "webp",     "woff",    "woff2",
        "xhtml", "xls",  "xlsx",        "xml",      "xsl",     "xz",
        "yaml",  "yml",  "zip",         "zst"};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (str_eq(mime_type(str_of(known[i])),
                   STR("application/octet-stream")))
            CHECK_STR(str_of(known[i]), "known");
}

int main(void)
{
    RUN(knows_the_web);
    RUN(finds_the_extension);
    RUN(falls_back_to_bytes);
    RUN(finds_every_entry);
    return test_finish();
}
