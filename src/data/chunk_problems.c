#include "data/chunk_problems.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { LINES_TOLD = 20 };

bool problems_wanted(const struct chunk_problems *problems) {
    return problems->count < PROBLEMS_KEPT;
}

const char *problem_file(const char *relative) {
    return strcmp(relative, "-") != 0 ? relative : "standard input";
}

const char *problem_code(enum json_fault fault, bool lines) {
    if (fault == SCAN_UNREADABLE)
        return "unreadable_file";
    if (fault == SCAN_NOT_UTF8)
        return "not_utf8";
    return lines ? "broken_line" : "broken_file";
}

/* What is to be done about a file that begins so, if that says it. */
static const char *by_start(struct str start) {
    static const char packed[] =
        "the file is compressed: unpack it, or pipe what comes out of it into "
        "`ensembed run -`";
    static const char utf16[] = "the file is UTF-16: convert it to UTF-8";
    static const struct {
        const char *start, *remedy;
    } starts[] = {{"\x1F\x8B", packed},         /* gzip */
                  {"\x28\xB5\x2F\xFD", packed}, /* zstd */
                  {"\xFD\x37zXZ", packed},      {"BZh", packed},
                  {"PK\x03\x04", packed},       {"\xFF\xFE", utf16},
                  {"\xFE\xFF", utf16}};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (str_starts(start, str_from(starts[i].start)))
            return starts[i].remedy;
    /* ASCII in two bytes, without a mark. */
    bool wide = start.size > 1 && !start.data[0] != !start.data[1];
    return wide ? utf16 : NULL;
}

/* A table, a page or a program: nothing of it is JSON. A document that does
 * begin as JSON may be broken anywhere. */
static bool begins_as_json(struct str start) {
    size_t blank = strspn(start.data, "\xEF\xBB\xBF \t\r\n");
    return blank == start.size || strchr("[{\"", start.data[blank]);
}

const char *problem_remedy(const struct json_scan *scan, int fd, bool lines) {
    char start[9] = "";
    size_t most = sizeof start - 1;
    ssize_t got = scan->fault_at < most ? pread(fd, start, most, 0) : 0;
    const char *foreign =
        got > 0 ? by_start((struct str){start, (size_t)got}) : NULL;
    if (foreign)
        return foreign;
    if (scan->fault == SCAN_NOT_UTF8)
        return lines ? "this line is left out: convert the file to UTF-8"
                     : "convert the file to UTF-8";
    if (lines)
        return "this line is left out";
    if (got > 0 && !begins_as_json((struct str){start, (size_t)got}))
        return "it is no JSON: chunk files are, or are JSON Lines (*.jsonl)";
    if (json_scan_has_more(scan))
        return "if it is JSON Lines, a chunk a line, call it *.jsonl; else "
               "none of its chunks are used until it is mended";
    return scan->fault == SCAN_CUT_OFF
               ? "it is cut off: get it again whole"
               : "none of its chunks are used until it is mended";
}

static char *with_place(struct arena *arena, const struct chunk_problem *p,
                        struct error *err) {
    const char *file = problem_file(p->file);
    if (p->line == 0)
        return arena_printf(arena, err, "%s: %s", file, p->message);
    return arena_printf(arena, err,
                        "%s: line %" PRIu64 ", column %" PRIu64 ": %s", file,
                        p->line, p->column, p->message);
}

static void tell(const struct chunk_problems *problems,
                 const struct chunk_problem *p) {
    if (problems->count <= LINES_TOLD)
        event_log(problems->sink, p->failed ? LOG_ERROR : LOG_WARNING, "%s: %s",
                  problems->collection, p->message);
    event_emit(problems->sink, "chunk_problem",
               json_pack("{s:s,s:s,s:I,s:I,s:s,s:s,s:b}", "collection",
                         problems->collection, "file", p->file, "line",
                         (json_int_t)p->line, "column", (json_int_t)p->column,
                         "code", p->code, "message", p->message, "failed",
                         (int)p->failed));
}

bool problems_add(struct chunk_problems *problems,
                  const struct chunk_problem *problem, struct error *err) {
    problems->total++;
    if (!problems_wanted(problems))
        return true;
    if (!problems->kept)
        problems->kept = arena_alloc(problems->arena, PROBLEMS_KEPT,
                                     sizeof *problems->kept, err);
    char *message = with_place(problems->arena, problem, err);
    char *file = arena_copy(problems->arena, str_from(problem->file), err);
    if (!problems->kept || !message || !file)
        return false;
    struct chunk_problem *p = &problems->kept[problems->count++];
    *p = *problem;
    p->message = message;
    p->file = file;
    tell(problems, p);
    return true;
}

void problems_end(const struct chunk_problems *problems) {
    if (problems->total > LINES_TOLD)
        event_log(problems->sink, LOG_WARNING,
                  "%s: %" PRIu64 " more problems; the summary lists the first "
                  "%d",
                  problems->collection, problems->total - LINES_TOLD,
                  (int)PROBLEMS_KEPT);
}
