/* hub.h - a conversation with a hub server: requests that are tried again, lead
 * where they may, and fail with a sentence for the person who waits.
 *
 *     struct hub hub;
 *     if (!hub_open(&hub, &settings, "org/name", memory, sink, err)) ...
 *     json_t *info =
 *         hub_json(&hub, "the commit of main", url, &arena, NULL, err);
 *     hub_close(&hub);
 *
 * Redirects are followed here. The token goes to the endpoint's own scheme,
 * host and port and nowhere else, whatever the server says.
 *
 * What may pass (no network, 408, 429, 5xx, a transfer that is cut or stalls)
 * is tried again after a wait; each time a line is logged and a `retrying`
 * event emitted: model, file, attempt n of N, cause, wait_ms.
 *
 * Used by one thread.
 */

#ifndef HUB_HUB_H
#define HUB_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/event.h"
#include "base/http.h"
#include "base/memory.h"
#include "hub/retry.h"

/* The cli reads the environment into this. Strings are borrowed. */
struct hub_settings {
    const char *endpoint; /* "https://host", no slash at the end. NULL: never
                             make a request */
    const char *token;    /* NULL: none. Never shown */
    struct http_settings http;
    struct retry_rules retry;
};

struct hub {
    const struct hub_settings *settings; /* borrowed */
    const char *model;                   /* borrowed: its id, for messages */
    struct memory *memory;
    const struct sink *sink;
    struct http *http;
    char *origin;      /* of the endpoint */
    int64_t asked_ms;  /* by the last answer's Retry-After; < 0: nothing */
    uint64_t requests; /* sent so far */
};

bool hub_open(struct hub *hub, const struct hub_settings *settings,
              const char *model, struct memory *memory, const struct sink *sink,
              struct error *err);
void hub_close(struct hub *hub); /* {0} is fine */

struct hub_request {
    const char *what; /* "config.json", for messages and events */
    const char *url;
    bool metadata; /* HEAD, which ends at a redirect to another host */
    uint64_t from; /* first byte that is wanted */
    uint64_t body_max;
    void *context;
    bool (*begin)(void *context, const struct http_answer *answer,
                  struct error *err);
    bool (*body)(void *context, struct str piece, struct error *err);
};

/* One attempt, redirects followed: 2xx, or 3xx for `metadata`. ERROR_BUSY is
 * worth another one. The caller frees ANSWER whether or not it succeeds. */
bool hub_once(struct hub *hub, const struct hub_request *request,
              struct http_answer *answer, struct error *err);

/* After a failed attempt: wait and answer true if it is worth another one,
 * else false with CAUSE, in the words for the person, in ERR. */
bool hub_again(struct hub *hub, struct retry *retry, const char *what,
               const struct error *cause, struct error *err);

/* hub_once until it succeeds or is not worth it. */
bool hub_ask(struct hub *hub, const struct hub_request *request,
             struct http_answer *answer, struct error *err);

/* A small JSON document. *NEXT (may be NULL) is the address of the page that
 * follows, from ARENA, or NULL. The caller drops the document. */
json_t *hub_json(struct hub *hub, const char *what, const char *url,
                 struct arena *arena, const char **next, struct error *err);

/* TEXT as a part of an address; bytes of KEEP stay as they are. */
void hub_quote(struct strbuf *out, const char *text, const char *keep);

/* The address of rel="next" in a Link header, or size 0. */
struct str hub_next_link(const char *link);

#endif
