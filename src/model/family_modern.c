/* family_modern.c - encoders with rotary positions: ModernBERT, NomicBERT, GTE,
 * EuroBERT. */

#include "model/family_parts.h"

const struct family families_modern[] = {{.model_type = ""}};
const size_t families_modern_count = 0;
