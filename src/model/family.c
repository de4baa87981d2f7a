/* family.c - the table of families, from its parts. */

#include "model/family.h"

#include <stddef.h>
#include <string.h>

#include "model/family_parts.h"

const struct family *family_at(size_t i) {
    if (i < families_bert_count)
        return &families_bert[i];
    i -= families_bert_count;
    if (i < families_encoder_count)
        return &families_encoder[i];
    i -= families_encoder_count;
    return i < families_decoder_count ? &families_decoder[i] : NULL;
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
