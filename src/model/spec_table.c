/* spec_table.c - what hub/table.c says of a StaticEmbedding besides sizes. */

#include "model/spec_parts.h"

bool read_table(const struct config_source *from, struct model_spec *spec,
                struct error *err) {
    return !json_object_get(from->config, "rows") ||
           config_size(from, "rows", &spec->folded_rows, err);
}
