/* use.c - vectors of single texts, and search. */

#include <string.h>

#include "api/embedder.h"
#include "base/utf8.h"

static const char *const role_names[] = {
    [ENS_DOCUMENT] = "document", [ENS_QUERY] = "query", [ENS_PLAIN] = ""};

static void close_model(ens_embedder *e) {
    engine_free(e->engine);
    e->engine = NULL;
    if (e->open) {
        roster_free(&e->roster);
        session_close(&e->session);
    }
    e->open = false;
}

/* The session and the roster with the prompts of ROLE. */
static bool open_model(ens_embedder *e, ens_role role, struct error *err) {
    if (e->open && e->role == role)
        return true;
    close_model(e);
    e->options.one_device = true;
    if (!session_open(&e->session, &e->options, &e->sink, err))
        return false;
    if (!roster_open(&e->roster, &e->session, role_names[role], false, err)) {
        session_close(&e->session);
        return false;
    }
    e->open = true;
    e->role = role;
    if (!e->roster.members[0].error.code)
        return true;
    *err = e->roster.members[0].error;
    return false;
}

size_t ens_width(ens_embedder *e, ens_error *error) {
    struct error err = {0};
    if (open_model(e, e->open ? e->role : ENS_DOCUMENT, &err))
        return e->roster.members[0].width;
    embedder_fail(error, &err);
    return 0;
}

bool ens_embed(ens_embedder *e, const char *const *texts, size_t count,
               ens_role role, float *vectors, ens_error *error) {
    struct error err = {0};
    bool fine =
        (int)role >= 0 && role <= ENS_PLAIN
            ? open_model(e, role, &err)
            : error_set(&err, ERROR_USAGE, "%d is no ens_role", (int)role);
    const struct member *member = fine ? &e->roster.members[0] : NULL;
    if (fine && !e->engine)
        e->engine =
            engine_load(&e->session, member, member->request->budget, &err);
    fine = fine && e->engine;
    for (size_t i = 0; fine && i < count; i++)
        fine =
            (texts[i] || error_set(&err, ERROR_USAGE, "text %zu is NULL", i)) &&
            utf8_check(str_from(texts[i]), "text", &err) &&
            engine_embed_text(e->engine, str_from(texts[i]),
                              vectors + i * member->width, &err);
    return fine || embedder_fail(error, &err);
}

bool ens_search(ens_embedder *e, const char *question, size_t top,
                const ens_hit **hits, size_t *count, ens_error *error) {
    struct error err = {0};
    *hits = NULL;
    *count = 0;
    search_result_free(&e->search);
    memory_free(&e->memory, e->hits);
    e->hits = NULL;
    if (!e->options.out || !question || top < 1) {
        error_set(&err, ERROR_USAGE,
                  "search needs config.out, a question and top >= 1");
        return embedder_fail(error, &err);
    }
    if (!utf8_check(str_from(question), "question", &err))
        return embedder_fail(error, &err);
    struct search_request request = {
        .folder = e->options.out,
        .question = question,
        .top = top,
        .collections = e->options.chunk.collections,
        .collections_count = e->options.chunk.collections_count,
        .machine = &e->options};
    if (!search_run(&request, &e->sink, &e->search, &err))
        return embedder_fail(error, &err);
    e->hits = memory_alloc(&e->memory, e->search.count, sizeof *e->hits, &err);
    if (!e->hits)
        return embedder_fail(error, &err);
    for (size_t i = 0; i < e->search.count; i++) {
        const struct search_hit *hit = &e->search.hits[i];
        e->hits[i] = (ens_hit){.collection = hit->collection,
                               .chunk_id = hit->chunk_id.data,
                               .text = hit->text.data,
                               .source_file = hit->source.data,
                               .score = hit->score,
                               .row = hit->row};
    }
    *hits = e->hits;
    *count = e->search.count;
    return true;
}
