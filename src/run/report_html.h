/* report_html.h - pieces of the report's page: escaped text, numbers with
 * units a person reads (the exact number stands in the title), tables.
 *
 *     html_table(out, "Model|#Tokens|#Time");
 *     html_row(out);
 *     html_cell_text(out, model);
 *     html_cell_count(out, tokens);
 *     html_cell_ms(out, ms);
 *     html_row_end(out);
 *     html_table_end(out);
 *
 * What stands before or behind these is text of our own and needs no escape.
 */

#ifndef RUN_REPORT_HTML_H
#define RUN_REPORT_HTML_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* TEXT, safe between tags and in attributes with quotes: what HTML gives a
 * meaning is escaped; bytes that are not UTF-8, control characters and marks
 * that turn the direction of writing are shown as U+FFFD. */
void html_text(struct strbuf *out, const char *text);

void html_count(struct strbuf *out, uint64_t count); /* 12,345 */
void html_bytes(struct strbuf *out, uint64_t bytes); /* 1.25 GiB */
void html_ms(struct strbuf *out, double ms);         /* 2 min 06 s */

/* The same without tags, into SIZE bytes. */
enum { HTML_NUMBER_BYTES = 48 };
void text_count(char text[HTML_NUMBER_BYTES], uint64_t count);
void text_bytes(char text[HTML_NUMBER_BYTES], uint64_t bytes);
void text_ms(char text[HTML_NUMBER_BYTES], double ms);

/* COLUMNS are separated by |; those of numbers begin with #. */
void html_table(struct strbuf *out, const char *columns);
void html_row(struct strbuf *out);
void html_row_end(struct strbuf *out);
void html_table_end(struct strbuf *out);
void html_cell_text(struct strbuf *out, const char *text);
void html_cell_count(struct strbuf *out, uint64_t count);
void html_cell_bytes(struct strbuf *out, uint64_t bytes);
void html_cell_ms(struct strbuf *out, double ms);
void html_cell_none(struct strbuf *out); /* a number that is not known */

/* Take back what was added since OUT had SIZE bytes. */
void html_rewind(struct strbuf *out, size_t size);

#endif
