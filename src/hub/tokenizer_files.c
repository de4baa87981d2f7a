/* tokenizer_files.c - see tokenizer_files.h. */

#include "hub/tokenizer_files.h"

#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "hub/reading.h"

/* The first one wins; the vocabularies are those that are one in its place. */
static const struct {
    const char *name;
    bool vocabulary;
} NAMES[] = {
    {"tokenizer.json", true},
    {"tokenizer_config.json", false},
    {"special_tokens_map.json", false},
    {"added_tokens.json", false},
    {"vocab.txt", true},
    {"vocab.json", true},
    {"merges.txt", false},
    {"sentencepiece.bpe.model", true},
    {"spiece.model", true},
    {"spm.model", true},
    {"tokenizer.model", true},
    {"tekken.json", true},
    {"tiktoken.model", true},
};
enum { NAMES_COUNT = sizeof NAMES / sizeof *NAMES };
_Static_assert((int)NAMES_COUNT <= (int)TOKENIZER_FILES_MAX, "all have room");

/* With tokenizer.json the vocabularies of old are not read; a StaticEmbedding
 * reads nothing else. */
static bool counts(const struct reading *r, size_t i, bool json) {
    return modules_table(r) ? i == 0 : i < 4 || !json;
}

bool tokenizer_files_need(struct reading *r, struct error *err) {
    const char *dir = modules_transformer(r);
    const char *path = reading_join(r, dir, NAMES[0].name, err);
    if (!path)
        return false;
    const char *json = path;
    bool has_json = whole_known(&r->whole, json), any = has_json;
    for (size_t i = 1; i < NAMES_COUNT; i++) {
        if (!(path = reading_join(r, dir, NAMES[i].name, err)))
            return false;
        bool may = counts(r, i, has_json);
        any |= may && NAMES[i].vocabulary && whole_known(&r->whole, path);
        if (may)
            whole_maybe(&r->whole, path);
    }
    if (has_json || !any)
        whole_need(&r->whole, json);
    return true;
}

bool tokenizer_files_read(struct reading *r, struct error *err) {
    struct model_files *files = &r->files;
    struct tokenizer_path *list =
        arena_alloc(&r->arena, NAMES_COUNT, sizeof *list, err);
    if (!list)
        return false;
    files->tokenizer_files = list;
    bool json = false;
    for (size_t i = 0; i < NAMES_COUNT; i++) {
        const char *path =
            reading_path(r, modules_transformer(r), NAMES[i].name, err);
        if (!path)
            return false;
        if (!counts(r, i, json) || !file_may_exist(path))
            continue;
        json |= i == 0;
        list[files->tokenizer_files_count++] =
            (struct tokenizer_path){NAMES[i].name, path};
    }
    const char *dir = modules_transformer(r);
    files->tokenizer_folder =
        *dir ? arena_printf(&r->arena, err, "%s/%s", files->folder, dir)
             : files->folder;
    files->tokenizer_bare = modules_table(r);
    return files->tokenizer_folder;
}

bool tokenizer_files_digest(const struct model_files *files, char hex[65],
                            struct error *err) {
    const struct reading *r = (const struct reading *)files;
    struct strbuf text = strbuf_make(r->memory);
    bool fine = true;
    for (size_t i = 0; fine && i < files->tokenizer_files_count; i++) {
        char one[65];
        fine =
            model_files_digest_file(files->tokenizer_files[i].path, one, err);
        strbuf_add(&text, str_from(files->tokenizer_files[i].name));
        strbuf_add(&text, str_from(fine ? one : ""));
    }
    fine = fine && strbuf_ok(&text, err);
    if (fine && files->tokenizer_files_count == 1) {
        fine =
            model_files_digest_file(files->tokenizer_files[0].path, hex, err);
    } else if (fine) {
        uint8_t digest[SHA256_BYTES];
        hash_sha256(strbuf_str(&text), digest);
        hash_hex(digest, sizeof digest, hex);
    }
    strbuf_free(&text);
    return fine;
}
