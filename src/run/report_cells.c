#include "run/lookup.h"
#include "run/report_html.h"
#include "run/report_parts.h"

void report_cell_count(struct strbuf *out, const json_t *of, const char *path) {
    if (lookup_has(of, path))
        html_cell_count(out, lookup_count(of, path));
    else
        html_cell_none(out);
}

void report_cell_bytes(struct strbuf *out, const json_t *of, const char *path) {
    if (lookup_has(of, path))
        html_cell_bytes(out, lookup_count(of, path));
    else
        html_cell_none(out);
}

void report_cell_ms(struct strbuf *out, const json_t *of, const char *path) {
    if (lookup_has(of, path))
        html_cell_ms(out, lookup_real(of, path));
    else
        html_cell_none(out);
}

void report_cell_text(struct strbuf *out, const json_t *of, const char *path) {
    html_cell_text(out, lookup_text(of, path));
}
