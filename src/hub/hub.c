#include "hub/hub.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"

enum { REDIRECTS_MAX = 10, JSON_BYTES_MAX = 32 << 20, NAP_MS = 50 };

bool hub_open(struct hub *hub, const struct hub_settings *settings,
              const char *model, struct memory *memory, const struct sink *sink,
              struct error *err) {
    *hub = (struct hub){.settings = settings,
                        .model = model,
                        .memory = memory,
                        .sink = sink,
                        .asked_ms = -1};
    hub->origin = http_origin(memory, settings->endpoint, err);
    if (hub->origin)
        hub->http = http_open(&settings->http, memory, err);
    if (hub->http)
        return true;
    hub_close(hub);
    return false;
}

void hub_close(struct hub *hub) {
    http_close(hub->http);
    if (hub->origin)
        memory_free(hub->memory, hub->origin);
    *hub = (struct hub){0};
}

/* ---- what an answer means ------------------------------------------------ */

static bool refused(const struct hub *hub, const char *what, int status,
                    struct error *err) {
    const char *id = hub->model;
    if (hub->settings->token)
        return error_set(err, ERROR_MISSING,
                         "%s: the hub does not give %s to this token (%d): the "
                         "model is gated, private or not there: check the "
                         "name, and accept the model's conditions on its page "
                         "with the account of the token",
                         id, what, status);
    return error_set(err, ERROR_MISSING,
                     "%s: the hub does not give %s to everybody (%d): the "
                     "model is gated, private or not there: check the name, "
                     "or log in (HF_TOKEN, or hf auth login) with an account "
                     "that has access",
                     id, what, status);
}

static bool not_there(const struct hub *hub, const char *what,
                      const struct http_answer *answer, struct error *err) {
    const char *code = http_header(answer, "x-error-code");
    if (code && strcmp(code, "RevisionNotFound") == 0)
        return error_set(err, ERROR_MISSING,
                         "%s: the model has no such revision (404 for %s): "
                         "check what stands after the @",
                         hub->model, what);
    if (code && strcmp(code, "RepoNotFound") == 0)
        return error_set(err, ERROR_MISSING,
                         "%s: the hub has no such model (404): check the name",
                         hub->model);
    return error_set(err, ERROR_MISSING,
                     "%s: the hub has no %s (404): check the name of the "
                     "model and its revision",
                     hub->model, what);
}

/* The sentence for a status that is no success. */
static bool status_error(struct hub *hub, const char *what,
                         const struct http_answer *answer, struct error *err) {
    int status = answer->status;
    const char *after = http_header(answer, "retry-after");
    if (status == 401 || status == 403)
        return refused(hub, what, status, err);
    if (status == 404 || status == 410)
        return not_there(hub, what, answer, err);
    if (status == 429 || status == 408 || status >= 500) {
        if (!after ||
            !http_retry_after(after, (int64_t)time(NULL), &hub->asked_ms))
            hub->asked_ms = -1;
        return error_set(err, ERROR_BUSY, "the hub answered %d%s", status,
                         status == 429 ? " (too many requests)" : "");
    }
    return error_set(err, ERROR_IO,
                     "%s: the hub answered %d for %s, which is not expected",
                     hub->model, status, what);
}

/* ---- one attempt --------------------------------------------------------- */

static bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 ||
           status == 308;
}

static bool at_endpoint(const struct hub *hub, const char *url, bool *own,
                        struct error *err) {
    char *origin = http_origin(hub->memory, url, err);
    *own = origin && strcmp(origin, hub->origin) == 0;
    memory_free(hub->memory, origin);
    return origin != NULL;
}

static bool send_to(struct hub *hub, const struct hub_request *request,
                    const char *url, bool own, struct http_answer *answer,
                    struct error *err) {
    struct http_request http = {.url = url,
                                .token = own ? hub->settings->token : NULL,
                                .head = request->metadata,
                                .from = request->from,
                                .body_max = request->body_max,
                                .sink = hub->sink,
                                .context = request->context,
                                .begin = request->begin,
                                .body = request->body};
    hub->requests++;
    hub->asked_ms = -1;
    return http_send(hub->http, &http, answer, err);
}

/* Where ANSWER leads to from URL, or NULL and no error: it is the last one. */
static bool next_stop(struct hub *hub, const struct hub_request *request,
                      const struct http_answer *answer, const char *url,
                      char **next, struct error *err) {
    const char *location = http_header(answer, "location");
    bool own;
    *next = NULL;
    if (!is_redirect(answer->status) || !location)
        return true;
    *next = http_resolve(hub->memory, url, location, err);
    if (!*next || !at_endpoint(hub, *next, &own, err))
        return false;
    if (request->metadata && !own) {
        memory_free(hub->memory, *next);
        *next = NULL;
    }
    return true;
}

/* Follow URL, which is owned and freed here. */
static bool follow(struct hub *hub, const struct hub_request *request,
                   char *url, struct http_answer *answer, struct error *err) {
    for (int i = 0; i <= REDIRECTS_MAX; i++) {
        bool own;
        char *next = NULL;
        http_answer_free(answer);
        bool fine = at_endpoint(hub, url, &own, err) &&
                    send_to(hub, request, url, own, answer, err) &&
                    next_stop(hub, request, answer, url, &next, err);
        memory_free(hub->memory, url);
        if (!fine || !next) {
            memory_free(hub->memory, next);
            return fine;
        }
        url = next;
    }
    memory_free(hub->memory, url);
    return error_set(err, ERROR_IO, "%s: the hub leads in a circle for %s",
                     hub->model, request->what);
}

bool hub_once(struct hub *hub, const struct hub_request *request,
              struct http_answer *answer, struct error *err) {
    *answer = (struct http_answer){0};
    char *url = memory_alloc(hub->memory, strlen(request->url) + 1, 1, err);
    if (!url)
        return false;
    strcpy(url, request->url);
    if (!follow(hub, request, url, answer, err))
        return false;
    if ((answer->status >= 200 && answer->status < 300) ||
        (request->metadata && is_redirect(answer->status)))
        return true;
    return status_error(hub, request->what, answer, err);
}

/* ---- more than one ------------------------------------------------------- */

static uint64_t chance(void) {
    int64_t now = clock_now_ns();
    return hash_bytes(&now, sizeof now);
}

static bool wait_for(struct hub *hub, int64_t wait_ms, struct error *err) {
    int64_t end = clock_now_ms() + wait_ms;
    for (int64_t left = wait_ms; left > 0; left = end - clock_now_ms()) {
        if (event_interrupted(hub->sink))
            return error_set(err, ERROR_INTERRUPTED, "interrupted");
        clock_sleep_ms(left < NAP_MS ? left : NAP_MS);
    }
    return true;
}

static bool give_up(const struct hub *hub, const struct retry *retry,
                    const char *what, const struct error *cause,
                    struct error *err) {
    if (hub->asked_ms > retry->rules.asked_ms)
        return error_set(err, ERROR_BUSY,
                         "%s: %s: %s and wants to be left alone for %lld s: "
                         "run the same command again after that",
                         hub->model, what, cause->message,
                         (long long)(hub->asked_ms / 1000));
    return error_set(err, ERROR_BUSY,
                     "%s: %s: %s; gave up after %u attempts: run the same "
                     "command again, it goes on where it stopped",
                     hub->model, what, cause->message, retry->failed);
}

bool hub_again(struct hub *hub, struct retry *retry, const char *what,
               const struct error *cause, struct error *err) {
    int64_t wait_ms;
    if (cause->code != ERROR_BUSY)
        return error_set(err, cause->code, "%s", cause->message);
    if (!retry_next(retry, hub->asked_ms, chance(), &wait_ms))
        return give_up(hub, retry, what, cause, err);
    event_log(hub->sink, LOG_WARNING, "%s: %s: %s; attempt %u of %u in %.1f s",
              hub->model, what, cause->message, retry->failed + 1,
              retry->rules.attempts, (double)wait_ms / 1000);
    event_emit(hub->sink, "retrying",
               json_pack("{s:s, s:o, s:i, s:i, s:s, s:I}", "model", hub->model,
                         "file", json_any_text(what), "attempt",
                         (int)retry->failed + 1, "of",
                         (int)retry->rules.attempts, "cause", cause->message,
                         "wait_ms", (json_int_t)wait_ms));
    return wait_for(hub, wait_ms, err);
}

bool hub_ask(struct hub *hub, const struct hub_request *request,
             struct http_answer *answer, struct error *err) {
    struct retry retry = retry_begin(&hub->settings->retry);
    struct error cause = {0};
    while (!hub_once(hub, request, answer, &cause)) {
        http_answer_free(answer);
        if (!hub_again(hub, &retry, request->what, &cause, err))
            return false;
    }
    return true;
}

/* ---- JSON ---------------------------------------------------------------- */

static bool add_piece(void *context, struct str piece, struct error *err) {
    strbuf_add(context, piece);
    return strbuf_ok(context, err);
}

/* An attempt that was cut leaves half a body behind. */
static bool begin_again(void *context, const struct http_answer *answer,
                        struct error *err) {
    (void)answer, (void)err;
    strbuf_clear(context);
    return true;
}

/* <https://host/path?cursor=x>; rel="next" */
struct str hub_next_link(const char *link) {
    const char *open = link;
    while (open && (open = strchr(open, '<'))) {
        const char *close = strchr(open, '>');
        const char *end = close ? close + strcspn(close, ",") : NULL;
        const char *rel = close ? strstr(close, "rel=\"next\"") : NULL;
        if (rel && rel < end)
            return (struct str){open + 1, (size_t)(close - open) - 1};
        open = close;
    }
    return (struct str){"", 0};
}

static bool keep_next(struct hub *hub, const struct http_answer *answer,
                      const char *url, struct arena *arena, const char **next,
                      struct error *err) {
    const char *header = http_header(answer, "link");
    struct str link = header ? hub_next_link(header) : STR("");
    if (!next || !link.size)
        return true;
    char *relative = arena_copy(arena, link, err);
    char *whole =
        relative ? http_resolve(hub->memory, url, relative, err) : NULL;
    if (whole)
        *next = arena_copy(arena, str_from(whole), err);
    memory_free(hub->memory, whole);
    return *next != NULL;
}

json_t *hub_json(struct hub *hub, const char *what, const char *url,
                 struct arena *arena, const char **next, struct error *err) {
    struct strbuf text = strbuf_make(hub->memory);
    struct hub_request request = {.what = what,
                                  .url = url,
                                  .body_max = JSON_BYTES_MAX,
                                  .context = &text,
                                  .begin = begin_again,
                                  .body = add_piece};
    struct http_answer answer;
    char name[256];
    snprintf(name, sizeof name, "%s: the hub's answer (%s)", hub->model, what);
    json_t *document = NULL;
    if (next)
        *next = NULL;
    if (hub_ask(hub, &request, &answer, err) &&
        keep_next(hub, &answer, url, arena, next, err))
        document = json_parse(strbuf_str(&text), name, err);
    http_answer_free(&answer);
    strbuf_free(&text);
    return document;
}

void hub_quote(struct strbuf *out, const char *text, const char *keep) {
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     (c >= '0' && c <= '9') || strchr("_.-~", c) ||
                     strchr(keep, c);
        if (plain)
            strbuf_add_char(out, *text);
        else
            strbuf_printf(out, "%%%02X", c);
    }
}
