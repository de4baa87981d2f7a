/* family_decoder.c - models that were decoders: RMS norms, rotary positions,
 * shared keys. */

#include "model/family_parts.h"

const struct family families_decoder[] = {{.model_type = ""}};
const size_t families_decoder_count = 0;
