#include "run/report.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/str.h"

/* The page itself comes next; the summary's text stands in for it. */
static void add_escaped(struct strbuf *out, const char *text) {
    for (const char *c = text; *c; c++) {
        if (*c == '<')
            strbuf_add(out, STR("&lt;"));
        else if (*c == '&')
            strbuf_add(out, STR("&amp;"));
        else
            strbuf_add_char(out, *c);
    }
}

bool report_write(const char *path, const json_t *summary,
                  const struct recorder *recorder, const struct samples *series,
                  struct memory *memory, struct error *err) {
    (void)recorder;
    (void)series;
    struct strbuf out = strbuf_make(memory);
    char *text = json_dumps(summary, JSON_INDENT(1));
    strbuf_add(&out, STR("<!doctype html><meta charset=utf-8>"
                         "<title>ensembed run</title><pre>"));
    add_escaped(&out, text ? text : "");
    free(text);
    bool fine =
        strbuf_ok(&out, err) && file_write(path, strbuf_str(&out), memory, err);
    strbuf_free(&out);
    return fine;
}
