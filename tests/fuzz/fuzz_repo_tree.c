/* layer: hub. Any bytes as the hub's list of files, as the cache's copy of it
 * and as headers: what is taken stays inside of its folder, and what is written
 * is read again as it was. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "hub/blob.h"
#include "hub/choose.h"
#include "hub/hub.h"
#include "hub/repo_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* By the definition, once more: no way out. */
static void check_path(const char *path) {
    char copy[2048];
    if (strlen(path) >= sizeof copy || path[0] == '/')
        abort();
    strcpy(copy, path);
    for (char *rest = copy, *part; (part = strsep(&rest, "/"));)
        if (!*part || strcmp(part, ".") == 0 || strcmp(part, "..") == 0)
            abort();
}

static void check_tree(struct arena *arena, const struct repo_tree *tree,
                       const json_t *modules) {
    struct choice choice;
    struct error err = {0};
    for (size_t i = 0; i < tree->count; i++) {
        check_path(tree->files[i].path);
        if (i && strcmp(tree->files[i - 1].path, tree->files[i].path) >= 0)
            abort();
    }
    if (!choose_files(arena, tree, modules, "org/name", &choice, &err) &&
        err.code != ERROR_UNSUPPORTED)
        abort();
    struct strbuf text = strbuf_make(arena->memory);
    repo_tree_text(tree, &text);
    json_t *again = json_parse(strbuf_str(&text), "again", NULL);
    if (json_object_size(json_object_get(again, "files")) != tree->count)
        abort();
    json_decref(again);
    strbuf_free(&text);
}

static void headers(struct arena *arena, const char *text) {
    struct strbuf quoted = strbuf_make(arena->memory);
    const char *etag = blob_etag(arena, text, NULL);
    if (etag)
        check_path(etag);
    struct str link = hub_next_link(text);
    if (link.size > strlen(text))
        abort();
    hub_quote(&quoted, text, "/");
    int64_t wait = 0;
    if (http_retry_after(text, 1000, &wait) && wait < 0)
        abort();
    uint64_t first, last, total;
    if (http_content_range(text, &first, &last, &total) &&
        (last < first || total <= last))
        abort();
    strbuf_free(&quoted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct memory memory = {0};
    struct arena arena = arena_make(&memory);
    struct error err = {0};
    struct str text = {(const char *)data, size};
    json_t *page = json_parse(text, "fuzz", &err);
    struct repo_tree tree = repo_tree_make(&arena);
    if (page && repo_tree_add_page(&tree, page, "fuzz", &err) &&
        repo_tree_finish(&tree, "fuzz", &err))
        check_tree(&arena, &tree, page);
    else if (!err.code)
        abort();
    char *copy = arena_copy(&arena, text, &err);
    headers(&arena, copy);
    json_decref(page);
    arena_free(&arena);
    if (memory_live(&memory))
        abort();
    return 0;
}
