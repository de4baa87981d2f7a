/* family.c - the table of families, from its parts. */

#include "model/family.h"

#include <stddef.h>
#include <string.h>

#include "model/family_parts.h"

const struct family *family_at(size_t i) {
    const struct {
        const struct family *rows;
        size_t count;
    } parts[] = {{families_bert, families_bert_count},
                 {families_modern, families_modern_count},
                 {families_relative, families_relative_count},
                 {families_decoder, families_decoder_count},
                 {families_table, families_table_count}};
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
        if (i < parts[p].count)
            return &parts[p].rows[i];
        i -= parts[p].count;
    }
    return NULL;
}

const struct family *family_of(const char *model_type, const json_t *config) {
    const struct family *found = NULL;
    for (size_t i = 0; family_at(i); i++) {
        const struct family *family = family_at(i);
        if (strcmp(family->model_type, model_type) != 0)
            continue;
        if (family->is && family->is(config))
            return family;
        if (!family->is)
            found = family;
    }
    return found;
}

const struct family *family_find(const char *model_type) {
    for (size_t i = 0; family_at(i); i++)
        if (!strcmp(family_at(i)->model_type, model_type))
            return family_at(i);
    return NULL;
}

bool family_has(const struct family *family, enum dim dim) {
    for (size_t i = 0; i < family->rules_count; i++)
        if (family->rules[i].rows == dim || family->rules[i].columns == dim)
            return true;
    return false;
}
