/* model_files.c - see model_files.h. Finds the folder and has its parts read;
 * what each part says is in modules.c, weights.c, table.c, limits.c, prompts.c,
 * sentence.c and head_*.c. */

#include "hub/model_files.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "hub/reading.h"
#include "hub/registry.h"

/* Helpers of all parts. */

const char *reading_join(struct reading *r, const char *dir, const char *name,
                         struct error *err) {
    size_t size = strlen(dir);
    const char *slash = size == 0 || dir[size - 1] == '/' ? "" : "/";
    return arena_printf(&r->arena, err, "%s%s%s", dir, slash, name);
}

const char *reading_path(struct reading *r, const char *dir, const char *name,
                         struct error *err) {
    const char *inner = reading_join(r, dir, name, err);
    return inner ? arena_printf(&r->arena, err, "%s/%s", r->files.folder, inner)
                 : NULL;
}

bool reading_object(struct reading *r, const char *dir, const char *name,
                    json_t **object, const char **path, struct error *err) {
    *object = NULL;
    *path = reading_path(r, dir, name, err);
    if (!*path || !file_may_exist(*path))
        return *path != NULL;
    *object = json_read_file(*path, CONFIG_BYTES_MAX, err);
    if (!*object || json_is_object(*object))
        return *object != NULL;
    json_decref(*object);
    *object = NULL;
    return error_set(err, ERROR_INPUT, "%s: expected a JSON object", *path);
}

bool reading_knows(struct reading *r, const char *name) {
    return whole_known(&r->whole, name);
}

bool reading_must_be(const json_t *object, const char *key, const char *value,
                     const char *name, struct error *err) {
    const char *text = NULL;
    if (!json_member_string(object, key, name, &text, err))
        return false;
    return !text || strcmp(text, value) == 0 ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: %s is %s, and only %s can be run here", name, key,
                     text, value);
}

bool reading_architecture(const struct reading *r, struct str end) {
    const json_t *list = json_object_get(r->config, "architectures");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name && str_ends(str_from(name), end))
            return true;
    }
    return false;
}

bool reading_activation(struct reading *r, const char *type,
                        const char *otherwise, const char **activation,
                        struct error *err) {
    const char *dot = type ? strrchr(type, '.') : NULL;
    bool torch = dot && strncmp(type, "torch.", 6) == 0;
    return reading_keep(r, torch ? dot + 1 : otherwise, activation, err);
}

bool reading_keep(struct reading *r, const char *text, const char **kept,
                  struct error *err) {
    *kept = text ? arena_copy(&r->arena, str_from(text), err) : NULL;
    return !text || *kept;
}

/* Where the model lies. */

static bool is_model_folder(const char *path) {
    char file[PATH_MAX];
    static const char *const NAMES[] = {"config.json", "modules.json"};
    for (size_t i = 0; i < 2; i++) {
        int size = snprintf(file, sizeof file, "%s/%s", path, NAMES[i]);
        if (size > 0 && (size_t)size < sizeof file && file_exists(file))
            return true;
    }
    return false;
}

/* Last component of PATH, slashes at its end left out. */
static struct str base_name(const char *path) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    return (struct str){path + begin, end - begin};
}

static bool open_folder(struct reading *r, const char *reference,
                        struct error *err) {
    char *real = realpath(reference, NULL);
    if (!real)
        return error_errno(err, "open %s", reference);
    bool fine = reading_keep(r, real, &r->files.folder, err);
    free(real);
    if (!fine ||
        !snapshot_recognise(&r->arena, r->files.folder, &r->snapshot, err))
        return false;
    r->files.id = r->snapshot.id;
    r->files.commit = r->snapshot.commit;
    return true;
}

static bool open_cached(struct reading *r, const char *id, const char *revision,
                        const struct hub_places *places, struct error *err) {
    const char *cache = places ? places->cache : NULL;
    char *real = cache ? realpath(cache, NULL) : NULL;
    bool fine = snapshot_find(&r->arena, real ? real : cache, id, revision,
                              &r->snapshot, err);
    free(real);
    r->files.id = r->snapshot.id;
    r->files.commit = r->snapshot.commit;
    r->files.folder = r->snapshot.folder;
    return fine;
}

/* The key: characters that a file name or a vector name may have. */
static bool set_key(struct reading *r, struct str name, struct error *err) {
    char *key = arena_copy(&r->arena, name, err);
    for (char *c = key; c && *c; c++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                    "0123456789._-",
                    *c))
            *c = '-';
    r->files.key = key;
    return key != NULL;
}

/* The registry's word on ID itself, not on what runs in its place. */
static const struct registry_entry *entry_of(const char *id) {
    const struct registry_entry *entry = id ? registry_find(id) : NULL;
    return entry && registry_find_replaced(id) == entry ? NULL : entry;
}

static bool name_folder(struct reading *r, const char *reference,
                        struct error *err) {
    struct str base = base_name(reference);
    const char *id = r->files.id;
    const struct registry_entry *entry = entry_of(id);
    if (entry)
        return set_key(r, str_from(entry->key), err);
    if (str_equal(base, STR(".")) || str_equal(base, STR("..")) ||
        str_equal(base, STR("/")))
        base = base_name(r->files.folder);
    if (id && base.size == COMMIT_DIGITS)
        base = str_from(id);
    return set_key(r, base, err);
}

static void use_entry(struct reading *r, const struct registry_entry *entry) {
    size_t count = 0;
    while (count < 8 && entry->matryoshka[count])
        count++;
    r->files.matryoshka = count ? entry->matryoshka : NULL;
    r->files.matryoshka_count = count;
}

/* The cache did not have REFERENCE, and ERR says so: where we know more than
 * that, it is more use. */
static bool explain(const char *reference, struct error *err) {
    const struct registry_entry *entry = registry_find_replaced(reference);
    if (entry)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s has its weights as ONNX, and only safetensors and "
                         "pytorch_model.bin are read: use %s",
                         reference, entry->id);
    entry = registry_find(reference);
    if (entry && entry->gated && err && err->code == ERROR_MISSING) {
        struct error before = *err;
        return error_set(err, ERROR_MISSING,
                         "%s; it is gated: take its terms on its page with an "
                         "account and log in (HF_TOKEN, or hf auth login) "
                         "first",
                         before.message);
    }
    if (folder_exists(reference))
        return error_set(err, ERROR_MISSING,
                         "%s: the folder has neither config.json nor "
                         "modules.json, so it holds no model",
                         reference);
    return false;
}

const char *model_hub_id(const char *reference) {
    const struct registry_entry *entry = registry_find_key(reference);
    if (is_model_folder(reference))
        return NULL;
    if (entry)
        return entry->id;
    return hub_id_valid(reference) ? reference : NULL;
}

static bool locate_id(struct reading *r, const char *reference,
                      const struct hub_places *places, struct error *err) {
    const struct registry_entry *entry = registry_find_key(reference);
    if (!entry && !hub_id_valid(reference) && folder_exists(reference))
        return explain(reference, err);
    if (!entry && !hub_id_valid(reference))
        return error_set(err, ERROR_MISSING,
                         "%s: not a folder with config.json or modules.json, "
                         "and neither a model's key nor a hub id (ORG/NAME)",
                         reference);
    const struct registry_entry *known = registry_find(reference);
    if (known && known->kind == REGISTRY_BM25)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s is BM25, which has no weights to read: it is "
                         "computed here, with --sparse %s",
                         reference, known->key);
    if (!open_cached(r, entry ? entry->id : reference, r->files.revision,
                     places, err))
        return explain(reference, err);
    if (!entry)
        entry = entry_of(r->files.id);
    if (entry)
        use_entry(r, entry);
    return set_key(r, str_from(entry ? entry->key : r->files.id), err);
}

static bool locate(struct reading *r, const char *reference,
                   const char *revision, const struct hub_places *places,
                   struct error *err) {
    if (!reading_keep(r, revision ? revision : "main", &r->files.revision, err))
        return false;
    if (!is_model_folder(reference))
        return locate_id(r, reference, places, err);
    if (!open_folder(r, reference, err) || !name_folder(r, reference, err))
        return false;
    const struct registry_entry *entry = entry_of(r->files.id);
    if (entry)
        use_entry(r, entry);
    return true;
}

/* Reading, once the folder is known. */

static bool need_config(struct reading *r, struct error *err) {
    if (modules_table(r)) /* see table.c */
        return true;
    const char *name =
        reading_join(r, modules_transformer(r), "config.json", err);
    r->files.config_path =
        reading_path(r, modules_transformer(r), "config.json", err);
    if (!name || !r->files.config_path)
        return false;
    whole_need(&r->whole, name);
    return true;
}

/* What is said of the model's kind, before its modules are known: where there
 * is none, whole_check will say so. */
static bool read_root_config(struct reading *r, struct error *err) {
    const char *path;
    return reading_object(r, "", "config.json", &r->config, &path, err);
}

static bool check_files(struct reading *r, struct error *err) {
    return whole_make(&r->whole, &r->arena, &r->snapshot, err) &&
           read_root_config(r, err) && modules_list(r, err) &&
           need_config(r, err) && modules_need(r, err) &&
           weights_need(r, err) && tokenizer_files_need(r, err) &&
           limits_need(r, err) && whole_check(&r->whole, err);
}

static bool read_config(struct reading *r, struct error *err) {
    const char *path;
    json_decref(r->config);
    r->config = NULL;
    if (modules_table(r))
        return table_read(r, err);
    return reading_object(r, modules_transformer(r), "config.json", &r->config,
                          &path, err) &&
           limits_read(r, err);
}

static bool read_files(struct reading *r, struct error *err) {
    bool fine = read_config(r, err);
    r->files.config = r->config;
    return fine && tokenizer_files_read(r, err) && prompts_read(r, err) &&
           sentence_read(r, err) && sparse_read(r, err) && multi_read(r, err) &&
           rerank_read(r, err) && tasks_read(r, err);
}

struct model_files *model_files_open_for(struct memory *memory,
                                         const char *reference,
                                         const char *revision,
                                         enum model_use use, const char *task,
                                         const struct hub_places *places,
                                         struct error *err) {
    struct reading *r = memory_zalloc(memory, 1, sizeof *r, err);
    if (!r)
        return NULL;
    r->memory = memory;
    r->arena = arena_make(memory);
    r->files.use = use;
    r->route = task;
    bool fine = locate(r, reference, revision, places, err) &&
                check_files(r, err) && read_files(r, err);
    whole_free(&r->whole);
    if (fine)
        return &r->files;
    model_files_free(&r->files);
    return NULL;
}

struct model_files *model_files_open(struct memory *memory,
                                     const char *reference,
                                     const char *revision, enum model_use use,
                                     const struct hub_places *places,
                                     struct error *err) {
    return model_files_open_for(memory, reference, revision, use, "", places,
                                err);
}

void model_files_free(struct model_files *files) {
    struct reading *r = (struct reading *)files;
    if (!r)
        return;
    json_decref(r->config);
    json_decref(r->sentence);
    json_decref(r->limits);
    arena_free(&r->arena);
    memory_free(r->memory, r);
}

/* Digests. */

/* The digest in the name of the blob that PATH links to: the cache names
 * large files so, and a git digest (40 digits) is no use here. */
static bool digest_of_blob(const char *path, char hex[65]) {
    char target[PATH_MAX];
    ssize_t size = readlink(path, target, sizeof target - 1);
    if (size <= 0)
        return false;
    target[size] = '\0';
    struct str name = base_name(target);
    if (name.size != 64 || strspn(name.data, "0123456789abcdef") != 64 ||
        !str_ends((struct str){target, (size_t)size - name.size},
                  STR("/blobs/")))
        return false;
    memcpy(hex, name.data, 64);
    hex[64] = '\0';
    return true;
}

bool model_files_digest_file(const char *path, char hex[65],
                             struct error *err) {
    uint8_t digest[SHA256_BYTES];
    if (digest_of_blob(path, hex))
        return true;
    if (!hash_file_sha256(path, digest, err))
        return false;
    hash_hex(digest, sizeof digest, hex);
    return true;
}

/* Adds the digests of PATHS to TEXT, which has room. */
static bool add_digests(const char *const *paths, size_t count,
                        struct strbuf *text, struct error *err) {
    for (size_t i = 0; i < count; i++) {
        char hex[65];
        if (!model_files_digest_file(paths[i], hex, err))
            return false;
        strbuf_add(text, str_from(hex));
    }
    return true;
}

static bool add_source(const struct tensor_source *source, struct strbuf *text,
                       struct error *err) {
    return add_digests(source->paths, source->paths_count, text, err);
}

static bool add_sources(const struct tensor_source *sources, size_t count,
                        const struct model_files *files, struct strbuf *text,
                        struct error *err) {
    bool fine = true;
    for (size_t i = 0; fine && i < count; i++)
        fine = sources[i].paths == files->weights ||
               add_source(&sources[i], text, err);
    return fine;
}

/* The files of the heads of USE; a dense model's further heads are others'. */
static bool add_heads(const struct model_files *files, struct strbuf *text,
                      struct error *err) {
    bool fine = true;
    for (size_t i = 0; fine && i < files->sentence_count; i++)
        fine = add_source(&files->sentence[i].source, text, err);
    if (files->use == MODEL_SPARSE)
        return fine && add_source(&files->sparse.linear, text, err) &&
               add_source(&files->sparse.static_weights, text, err);
    if (files->use == MODEL_MULTI)
        return fine && add_sources(files->multi.dense, files->multi.dense_count,
                                   files, text, err);
    return fine;
}

static bool digest_weights(const struct model_files *files, struct strbuf *text,
                           char hex[65], struct error *err) {
    bool fine = add_digests(files->weights, files->weights_count, text, err) &&
                add_heads(files, text, err);
    if (!fine || !strbuf_ok(text, err))
        return false;
    struct str all = strbuf_str(text);
    uint8_t digest[SHA256_BYTES];
    if (all.size == 64) { /* one file is its own digest */
        memcpy(hex, all.data, 64);
        hex[64] = '\0';
        return true;
    }
    hash_sha256(all, digest);
    hash_hex(digest, sizeof digest, hex);
    return true;
}

bool model_files_digest_weights(const struct model_files *files,
                                enum model_use use, char weights[65],
                                struct error *err) {
    const struct reading *r = (const struct reading *)files;
    struct model_files as = *files;
    struct strbuf text = strbuf_make(r->memory);
    as.use = use;
    if (use != files->use)
        as.sentence_count = 0;
    bool fine = digest_weights(&as, &text, weights, err);
    strbuf_free(&text);
    return fine;
}

bool model_files_digest(const struct model_files *files, char weights[65],
                        char tokenizer[65], struct error *err) {
    const struct reading *r = (const struct reading *)files;
    struct strbuf text = strbuf_make(r->memory);
    bool fine = digest_weights(files, &text, weights, err) &&
                tokenizer_files_digest(files, tokenizer, err);
    strbuf_free(&text);
    return fine;
}
