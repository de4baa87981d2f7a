/* family_relative.c - encoders with relative positions: T5, DeBERTa, JinaBERT;
 * and those whose layers have adapters (LoRA). */

#include "model/family_parts.h"

const struct family families_relative[] = {{.model_type = ""}};
const size_t families_relative_count = 0;
