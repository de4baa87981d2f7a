/* chunk_line.c - the text of one line of input; see chunk_line_text. */

#include <inttypes.h>

#include "data/chunks.h"
#include "data/json_scan.h"

static bool broken_line(struct json_scan *scan, const char *name,
                        uint64_t number, struct memory *memory,
                        struct error *err) {
    uint64_t line, column;
    struct strbuf words = strbuf_make(memory);
    json_scan_explain(scan, &words, &line, &column);
    error_set(err, ERROR_INPUT,
              "%s: line %" PRIu64 ", column %" PRIu64
              ": %s; a line is a JSON string or an object with \"text\"",
              name, number, column, words.size ? words.data : "broken");
    strbuf_free(&words);
    return false;
}

/* The value that is the text, as with chunk files; {0} if there is none. */
static struct json_item find_text(struct str value, enum json_event event) {
    struct json_item text, content;
    if (event == SCAN_STRING)
        return (struct json_item){.value = value, .kind = event};
    json_find(value, "text", &text);
    if ((text.kind == SCAN_ERROR || text.kind == SCAN_NULL) &&
        json_find(value, "content", &content))
        return content;
    return text;
}

bool chunk_line_text(struct str line, const char *name, uint64_t number,
                     struct strbuf *out, struct error *err) {
    struct json_scan scan;
    strbuf_clear(out);
    json_scan_memory(&scan, line);
    scan.lines = true;
    enum json_event event = json_scan_next(&scan);
    uint64_t begin = scan.begin;
    bool fine = json_scan_skip(&scan, event);
    uint64_t end = scan.end;
    if (!fine || json_scan_next(&scan) != SCAN_END)
        return broken_line(&scan, name, number, out->memory, err);
    struct json_item text = find_text(
        (struct str){line.data + begin, (size_t)(end - begin)}, event);
    if (text.kind != SCAN_STRING)
        return error_set(err, ERROR_INPUT,
                         "%s: line %" PRIu64 ": expected a JSON string or an "
                         "object with a string under \"text\"",
                         name, number);
    json_decode_add(text.value, out);
    return strbuf_ok(out, err);
}
