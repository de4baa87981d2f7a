#include "run/report_html.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/utf8.h"

static bool is_invisible(uint32_t code) {
    return (code < 0x20 && code != '\t' && code != '\n') ||
           (code >= 0x7f && code < 0xa0) ||
           (code >= 0x200e && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069);
}

static void add_code(struct strbuf *out, uint32_t code) {
    char bytes[UTF8_MAX_BYTES];
    size_t size = utf8_put(code, bytes);
    strbuf_add(out, (struct str){bytes, size});
}

void html_text(struct strbuf *out, const char *text) {
    struct str bytes = str_from(text);
    for (size_t at = 0; at < bytes.size;) {
        uint32_t code = utf8_next(bytes, &at);
        if (code == '<')
            strbuf_add(out, STR("&lt;"));
        else if (code == '>')
            strbuf_add(out, STR("&gt;"));
        else if (code == '&')
            strbuf_add(out, STR("&amp;"));
        else if (code == '"')
            strbuf_add(out, STR("&quot;"));
        else if (code == '\'')
            strbuf_add(out, STR("&#39;"));
        else
            add_code(out, is_invisible(code) ? UTF8_REPLACEMENT : code);
    }
}

/* ---- numbers ------------------------------------------------------------ */

void text_count(char text[HTML_NUMBER_BYTES], uint64_t count) {
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%" PRIu64, count), to = 0;
    for (int i = 0; i < size; i++) {
        if (i && (size - i) % 3 == 0)
            text[to++] = ',';
        text[to++] = digits[i];
    }
    text[to] = '\0';
}

void text_bytes(char text[HTML_NUMBER_BYTES], uint64_t bytes) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
    if (bytes < 1024) {
        snprintf(text, HTML_NUMBER_BYTES, "%d B", (int)bytes);
        return;
    }
    double amount = (double)bytes / 1024;
    size_t unit = 0;
    while (amount >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
        amount /= 1024;
        unit++;
    }
    int digits = amount < 9.995 ? 2 : amount < 99.95 ? 1 : 0;
    snprintf(text, HTML_NUMBER_BYTES, "%.*f %s", digits, amount, units[unit]);
}

void text_ms(char text[HTML_NUMBER_BYTES], double ms) {
    if (!(ms > 0) || ms > 1e15)
        ms = 0;
    uint64_t seconds = (uint64_t)(ms / 1000 + 0.5);
    if (ms < 9.95)
        snprintf(text, HTML_NUMBER_BYTES, "%.1f ms", ms);
    else if (ms < 999.5)
        snprintf(text, HTML_NUMBER_BYTES, "%.0f ms", ms);
    else if (ms < 59950)
        snprintf(text, HTML_NUMBER_BYTES, "%.1f s", ms / 1000);
    else if (seconds < 3600)
        snprintf(text, HTML_NUMBER_BYTES, "%" PRIu64 " min %02" PRIu64 " s",
                 seconds / 60, seconds % 60);
    else
        snprintf(text, HTML_NUMBER_BYTES, "%" PRIu64 " h %02" PRIu64 " min",
                 seconds / 3600, seconds / 60 % 60);
}

void html_count(struct strbuf *out, uint64_t count) {
    char text[HTML_NUMBER_BYTES];
    text_count(text, count);
    strbuf_add(out, str_from(text));
}

void html_bytes(struct strbuf *out, uint64_t bytes) {
    char text[HTML_NUMBER_BYTES], exact[HTML_NUMBER_BYTES];
    text_bytes(text, bytes);
    text_count(exact, bytes);
    strbuf_printf(out, "<span title=\"%s bytes\">%s</span>", exact, text);
}

void html_ms(struct strbuf *out, double ms) {
    char text[HTML_NUMBER_BYTES];
    text_ms(text, ms);
    strbuf_printf(out, "<span title=\"%.3f ms\">%s</span>",
                  isfinite(ms) ? ms : 0, text);
}

/* ---- tables ------------------------------------------------------------- */

void html_table(struct strbuf *out, const char *columns) {
    strbuf_add(out, STR("<div class=scroll><table><thead><tr>"));
    while (*columns) {
        size_t size = strcspn(columns, "|");
        bool number = *columns == '#';
        strbuf_printf(out, "<th%s scope=col>%.*s</th>",
                      number ? " class=n" : "", (int)size - number,
                      columns + number);
        columns += size + (columns[size] == '|');
    }
    strbuf_add(out, STR("</tr></thead><tbody>\n"));
}

void html_row(struct strbuf *out) {
    strbuf_add(out, STR("<tr>"));
}

void html_row_end(struct strbuf *out) {
    strbuf_add(out, STR("</tr>\n"));
}

void html_table_end(struct strbuf *out) {
    strbuf_add(out, STR("</tbody></table></div>\n"));
}

void html_cell_text(struct strbuf *out, const char *text) {
    strbuf_add(out, STR("<td>"));
    html_text(out, text);
    strbuf_add(out, STR("</td>"));
}

static const char number_cell[] = "<td class=n>";

void html_cell_count(struct strbuf *out, uint64_t count) {
    strbuf_add(out, str_from(number_cell));
    html_count(out, count);
    strbuf_add(out, STR("</td>"));
}

void html_cell_bytes(struct strbuf *out, uint64_t bytes) {
    strbuf_add(out, str_from(number_cell));
    html_bytes(out, bytes);
    strbuf_add(out, STR("</td>"));
}

void html_cell_ms(struct strbuf *out, double ms) {
    strbuf_add(out, str_from(number_cell));
    html_ms(out, ms);
    strbuf_add(out, STR("</td>"));
}

void html_cell_none(struct strbuf *out) {
    strbuf_add(out, str_from(number_cell));
    strbuf_add(out, STR("&ndash;</td>"));
}

void html_rewind(struct strbuf *out, size_t size) {
    if (out->failed || !out->data)
        return;
    out->size = size;
    out->data[size] = '\0';
}
