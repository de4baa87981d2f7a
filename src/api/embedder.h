/* embedder.h - what stands behind an ens_embedder. */

#ifndef API_EMBEDDER_H
#define API_EMBEDDER_H

#include "base/arena.h"
#include "base/event.h"
#include "ensembed.h"
#include "run/engine.h"
#include "run/roster.h"
#include "run/search.h"
#include "run/session.h"

struct ens_embedder {
    struct memory memory;
    struct arena arena; /* copies of the configuration */
    struct run_options options;
    unsigned exports;
    struct ens_callbacks callbacks;
    struct sink sink; /* ours: keeps the history, calls the callbacks */
    char **events;    /* [events_count], each malloc'ed by jansson */
    size_t events_count, events_capacity;
    char *summary; /* malloc'ed by jansson */
    struct search_result search;
    ens_hit *hits;
    /* ens_embed's model */
    struct session session;
    struct roster roster;
    struct engine *engine;
    ens_role role;
    bool open; /* session and roster are */
};

bool embedder_fail(ens_error *error, const struct error *cause);

#endif
