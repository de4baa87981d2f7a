#include "run/artefact_set.h"

#include <stdio.h>

#include "base/file.h"
#include "base/json.h"
#include "run/artefact_ragged.h"

bool artefact_path(char path[PATH_MAX], const struct artefacts *a,
                   const char *name, struct error *err) {
    return path_join(path, a->folder, name, err);
}

unsigned artefact_exports(const struct artefacts *a) {
    unsigned exports = a->session->options->exports;
    return exports ? exports : EXPORT_ALL;
}

/* A run with one dense model has only embeddings.npy. */
static bool alone(const struct artefacts *a) {
    return a->roster->dense == 1;
}

void artefact_array_name(const struct artefacts *a, const struct member *member,
                         char name[NAME_MAX + 1]) {
    if (alone(a))
        snprintf(name, NAME_MAX + 1, "embeddings.npy");
    else
        snprintf(name, NAME_MAX + 1, "%.200s.npy", member->key);
}

static bool note_file(struct artefacts *a, const char *name,
                      struct error *err) {
    char path[PATH_MAX];
    if (!artefact_path(path, a, name, err))
        return false;
    json_object_set_new(a->files, name, json_any_text(path));
    return true;
}

static bool is_wanted(const struct artefacts *a, size_t member,
                      enum row_kind head) {
    return a->stores ? a->stores[member].of[head] != NULL
                     : member_has(&a->roster->members[member], head);
}

static bool note_arrays(struct artefacts *a, size_t member, struct error *err) {
    const struct member *of = &a->roster->members[member];
    char dense[NAME_MAX + 1], names[RAGGED_FILES_MAX][NAME_MAX + 1];
    artefact_array_name(a, of, dense);
    if (is_wanted(a, member, ROW_DENSE) && !note_file(a, dense, err))
        return false;
    for (enum row_kind h = ROW_SPARSE; h < ROW_KINDS; h++) {
        size_t count =
            is_wanted(a, member, h) ? ragged_file_names(of->key, h, names) : 0;
        for (size_t n = 0; n < count; n++)
            if (!note_file(a, names[n], err))
                return false;
    }
    return true;
}

bool artefact_set_list(struct artefacts *a, struct error *err) {
    json_decref(a->files);
    a->files = json_object();
    unsigned exports = artefact_exports(a);
    bool fine = true;
    for (size_t i = 0; fine && i < a->roster->count; i++)
        if (exports & EXPORT_NPY)
            fine = note_arrays(a, i, err);
    if (fine && (exports & EXPORT_NPY) && (exports & EXPORT_TERMS))
        fine = note_file(a, TERMS_KEY ".sparse.npz", err);
    if (fine && (exports & EXPORT_NPY) && a->roster->fused_width)
        fine = note_file(a, "embeddings.npy", err);
    if (fine && (exports & EXPORT_POINTS))
        fine = note_file(a, "points.jsonl", err);
    if (fine && (exports & EXPORT_TEXTS))
        fine = note_file(a, "texts.jsonl", err);
    if (fine && (exports & EXPORT_METADATA))
        fine = note_file(a, "metadata.jsonl", err);
    return fine && note_file(a, "stats.json", err);
}
