/* report_drift.c - the list of passes in a narrow type, against f32. */

#include "run/lookup.h"
#include "run/report_html.h"
#include "run/report_parts.h"

static void cells_model(struct strbuf *out, const json_t *collection,
                        const json_t *pass) {
    html_row(out);
    html_cell_text(out, lookup_text(collection, "collection"));
    html_cell_text(out, lookup_text(pass, "model"));
    html_cell_text(out, lookup_text(pass, "drift.dtype"));
}

static void cell_cosine(struct strbuf *out, double cosine) {
    strbuf_printf(out, "<td class=n>%.5f</td>", cosine);
}

static void head_row(struct strbuf *out, const json_t *collection,
                     const json_t *pass, const char *head,
                     const json_t *cosines) {
    double lowest = lookup_real(cosines, "lowest_cosine");
    double bound = lookup_real(pass, "drift.bound");
    cells_model(out, collection, pass);
    html_cell_text(out, head);
    html_cell_count(out, lookup_count(pass, "drift.texts"));
    cell_cosine(out, lowest);
    cell_cosine(out, lookup_real(cosines, "median_cosine"));
    strbuf_add(out, STR("<td class=w>"));
    if (lowest < bound)
        strbuf_printf(out, "<span class=\"status bad\">below %g</span>", bound);
    strbuf_add(out, STR("</td>"));
    html_row_end(out);
}

static void skipped_row(struct strbuf *out, const json_t *collection,
                        const json_t *pass) {
    cells_model(out, collection, pass);
    for (int i = 0; i < 4; i++)
        html_cell_none(out);
    strbuf_add(out, STR("<td class=w>"));
    html_text(out, lookup_text(pass, "drift.skipped"));
    strbuf_add(out, STR("</td>"));
    html_row_end(out);
}

static void pass_rows(struct strbuf *out, const json_t *collection,
                      const json_t *pass) {
    const char *head;
    json_t *cosines;
    if (*lookup_text(pass, "drift.skipped"))
        skipped_row(out, collection, pass);
    const json_t *drift = json_object_get(pass, "drift");
    json_object_foreach(json_object_get(drift, "heads"), head, cosines) {
        head_row(out, collection, pass, head, cosines);
    }
}

void report_drift(const struct report *report) {
    struct strbuf *out = report->out;
    size_t before = out->size, i, j;
    json_t *collection, *pass;
    strbuf_add(out, STR("<h3>Drift</h3>\n<p class=soft>How near the rows are "
                        "to those in f32: cosines of texts that were computed "
                        "in both.</p>"));
    html_table(out, "Collection|Model|In|Gives|#Texts|#Lowest|#Median|Note");
    size_t head = out->size;
    json_array_foreach(lookup_list(report->summary, "collections"), i,
                       collection) {
        json_array_foreach(lookup_list(collection, "passes"), j, pass) {
            pass_rows(out, collection, pass);
        }
    }
    if (out->size == head)
        html_rewind(out, before);
    else
        html_table_end(out);
}
