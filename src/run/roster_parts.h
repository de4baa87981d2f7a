/* roster_parts.h - what roster_member.c needs of roster_describe.c. */

#ifndef RUN_ROSTER_PARTS_H
#define RUN_ROSTER_PARTS_H

#include "run/roster.h"

/* The fingerprint of each head that was asked for: what its rows depend on, for
 * store_open. Hashes the model's files. */
bool member_fingerprint(struct member *member, struct error *err);

#endif
