/* pass_rows.c - the stores of a pass, one a head: what they lack, what goes
 * into them, and the lists beside them. */

#include <stdio.h>
#include <string.h>

#include "run/digest_list.h"
#include "run/dtype.h"
#include "run/pass_parts.h"

/* ---- what is there ------------------------------------------------------ */

bool pass_lacking(struct pass *pass, const uint8_t digest[SHA256_BYTES],
                  unsigned *lacking, struct error *err) {
    *lacking = 0;
    for (enum row_kind h = 0; h < ROW_KINDS; h++) {
        struct store *store = pass->stores.of[h];
        bool found = false;
        uint64_t row;
        if (!store)
            continue;
        if (!pass->lacks_all && !store_find(store, digest, &found, &row, err))
            return false;
        *lacking |= found ? 0 : head_bit(h);
    }
    return true;
}

uint64_t pass_rows(const struct pass *pass) {
    uint64_t rows = 0;
    for (enum row_kind h = 0; h < ROW_KINDS; h++)
        if (pass->stores.of[h])
            rows += store_rows(pass->stores.of[h]);
    return rows;
}

bool pass_prepare_stores(struct pass *pass, uint64_t more, struct error *err) {
    for (enum row_kind h = 0; h < ROW_KINDS; h++)
        if ((pass->heads & head_bit(h)) &&
            !store_prepare(pass->stores.of[h], more, err))
            return false;
    return true;
}

bool pass_missing(struct pass *pass, uint64_t *texts, struct error *err) {
    uint64_t unique = pass->intake->counts.unique, have = 0, point;
    *texts = unique;
    pass->heads = unique ? pass->member->heads : 0;
    /* A text is read once, so rows that come meanwhile are of others. */
    pass->lacks_all = pass_rows(pass) == 0;
    if (pass->lacks_all)
        return true; /* no need to ask */
    struct chunk_reader *reader = chunk_reader_open(pass->intake, err);
    uint8_t digest[SHA256_BYTES];
    enum chunk_step step = reader ? CHUNK_OK : CHUNK_ERROR;
    pass->heads = 0;
    while (step == CHUNK_OK) {
        step = chunk_reader_digest(reader, true, &point, digest, err);
        unsigned lacking = 0;
        if (step == CHUNK_OK && !pass_lacking(pass, digest, &lacking, err))
            step = CHUNK_ERROR;
        pass->heads |= lacking;
        have += step == CHUNK_OK && !lacking;
        if (step == CHUNK_OK && event_interrupted(pass->sink)) {
            error_set(err, ERROR_INTERRUPTED, "interrupted");
            step = CHUNK_ERROR;
        }
    }
    chunk_reader_close(reader);
    *texts = unique - have;
    return step != CHUNK_ERROR;
}

/* ---- lists -------------------------------------------------------------- */

static bool add_to_list(const struct pass *pass, enum row_kind head,
                        const char *name, const uint8_t *digests, size_t count,
                        struct error *err) {
    char path[PATH_MAX];
    return !count || (member_store_path(path, pass->folder, pass->member, head,
                                        name, err) &&
                      digest_list_add(path, digests, count, err));
}

static bool list_cut(const struct pass *pass, const struct batch *batch,
                     struct error *err) {
    for (enum row_kind h = 0; h < ROW_KINDS; h++)
        if ((pass->heads & head_bit(h)) &&
            !add_to_list(pass, h, "truncated", batch->cut_digests,
                         batch->cut_count, err))
            return false;
    return true;
}

/* Rows that another device computed than was planned. */
static bool list_elsewhere(const struct pass *pass, const struct batch *batch,
                           enum row_kind head, const uint8_t *digests,
                           size_t count, struct error *err) {
    size_t station = (size_t)(batch->station - pass->session->stations);
    return pass->planned[station] ||
           add_to_list(pass, head, "elsewhere", digests, count, err);
}

/* And rows of another type than the others. */
static bool list_other_type(const struct pass *pass, const struct batch *batch,
                            enum row_kind head, const uint8_t *digests,
                            size_t count, struct error *err) {
    enum number_type type = dtype_of(batch->station->device);
    return type == pass->member->types[head] ||
           add_to_list(pass, head, "other_dtype", digests, count, err);
}

/* Of all heads together, each text once. */
static bool count_list(struct pass *pass, const char *name, const char *scratch,
                       uint64_t *count, json_t **ids, struct error *err) {
    char paths[ROW_KINDS][PATH_MAX];
    const char *list[ROW_KINDS];
    size_t lists = 0;
    for (enum row_kind h = 0; h < ROW_KINDS; h++) {
        if (!member_has(pass->member, h))
            continue;
        list[lists] = paths[lists];
        if (!member_store_path(paths[lists++], pass->folder, pass->member, h,
                               name, err))
            return false;
    }
    if (!*ids)
        *ids = json_array();
    return digest_list_count(list, lists, true, pass->intake, scratch, count,
                             *ids, err);
}

bool pass_count_lists(struct pass *pass, const char *scratch,
                      struct error *err) {
    struct pass_report *report = &pass->report;
    return count_list(pass, "truncated", scratch, &report->truncated,
                      &report->truncated_chunks, err) &&
           count_list(pass, "elsewhere", scratch, &report->elsewhere,
                      &report->elsewhere_chunks, err) &&
           count_list(pass, "other_dtype", scratch, &report->other_dtype,
                      &report->other_dtype_chunks, err);
}

/* ---- rows --------------------------------------------------------------- */

/* A text without a sound vector is left out of every output and named. */
static void list_failed(struct pass *pass, const uint8_t *digest,
                        const char *reason) {
    char hex[2 * SHA256_BYTES + 1];
    hash_hex(digest, SHA256_BYTES, hex);
    pass->report.failed++;
    if (json_array_size(pass->report.failed_chunks) < FAILED_LISTED)
        json_array_append_new(
            pass->report.failed_chunks,
            json_pack("{s:s, s:s}", "text_sha256", hex, "reason", reason));
    event_emit(pass->sink, "vector_failed",
               json_pack("{s:s, s:s, s:s}", "model", pass->member->key,
                         "text_sha256", hex, "reason", reason));
}

/* The rows of HEAD that its store lacks, closed up in place: *COUNT of them,
 * their digests in DIGESTS [texts, 32]. */
static bool gather(struct pass *pass, const struct batch *batch,
                   enum row_kind head, uint8_t *digests, size_t *count,
                   struct error *err) {
    const struct batch_rows *rows = &batch->rows;
    size_t width = pass->member->spec.width, kept = 0;
    for (size_t i = 0; i < batch->texts; i++) {
        const uint8_t *digest = batch->digests + i * SHA256_BYTES;
        bool found = false;
        uint64_t row;
        /* With several heads a text may lack only the others. */
        if (pass->heads != head_bit(head) &&
            !store_find(pass->stores.of[head], digest, &found, &row, err))
            return false;
        if (rows->why[i] || found)
            continue;
        memcpy(digests + kept * SHA256_BYTES, digest, SHA256_BYTES);
        if (head == ROW_DENSE && kept < i)
            memcpy(rows->dense + kept * width, rows->dense + i * width,
                   width * sizeof *rows->dense);
        if (head == ROW_SPARSE)
            rows->pairs_of[kept] = rows->pairs_of[i];
        if (head == ROW_MULTI)
            rows->vectors_of[kept] = rows->vectors_of[i];
        pass->report.empty +=
            head == ROW_SPARSE && rows->pairs_of[kept].count == 0;
        kept++;
    }
    *count = kept;
    return true;
}

static bool store_head(struct pass *pass, const struct batch *batch,
                       enum row_kind head, struct error *err) {
    uint8_t *digests = batch->cut_digests; /* listed by now */
    struct row_batch out = rows_by_head(&batch->rows, pass->member, head);
    return gather(pass, batch, head, digests, &out.count, err) &&
           list_elsewhere(pass, batch, head, digests, out.count, err) &&
           list_other_type(pass, batch, head, digests, out.count, err) &&
           store_append_rows(pass->stores.of[head], digests, &out, err);
}

bool pass_store_rows(struct pass *pass, const struct batch *batch,
                     struct error *err) {
    if (!list_cut(pass, batch, err))
        return false;
    for (size_t i = 0; i < batch->texts; i++)
        if (batch->rows.why[i])
            list_failed(pass, batch->digests + i * SHA256_BYTES,
                        batch->rows.why[i]);
    for (enum row_kind h = 0; h < ROW_KINDS; h++)
        if ((pass->heads & head_bit(h)) && !store_head(pass, batch, h, err))
            return false;
    return true;
}
