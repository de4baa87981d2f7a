/* spec_bert.c - what config.json says of BERT and its relatives besides sizes.
 */

#include "model/spec_parts.h"

bool read_bert(const struct config_source *from, struct model_spec *spec,
               struct error *err) {
    (void)spec;
    return config_only(from, "position_embedding_type", "absolute", err) &&
           config_only(from, "is_decoder", "false", err) &&
           config_only(from, "add_cross_attention", "false", err);
}
