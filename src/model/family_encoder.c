/* family_encoder.c - encoders other than BERT's line: rotary or relative
 * positions, gates, experts. */

#include "model/family_parts.h"

const struct family families_encoder[] = {{.model_type = ""}};
const size_t families_encoder_count = 0;
