/* http.h - one request, one answer, by libcurl.
 *
 * Nothing happens that was not asked for: no redirect is followed, no cookie
 * kept, no password file read, no proxy taken from the environment, and only
 * http and https are spoken. Who calls decides where to go on, and so where a
 * token goes.
 *
 *     struct http *http = http_open(&settings, memory, err);
 *     struct http_request request = {.url = url, .token = token,
 *                                    .body_max = 1 << 20, .body = add_bytes};
 *     struct http_answer answer;
 *     if (http_send(http, &request, &answer, err))
 *         ... answer.status, http_header(&answer, "etag") ...
 *     http_answer_free(&answer);
 *     http_close(http);
 *
 * A server that answers anything at all is a success here, whatever its
 * status. ERROR_BUSY is a failure of the network that may pass (no such host
 * now, connection refused, cut, stalled), ERROR_IO one that will not (a
 * certificate, a broken address), ERROR_INPUT an answer that breaks a limit,
 * ERROR_INTERRUPTED the wish of the sink. Of an address only the host stands in
 * a message, and the token never does: the rest may be secret.
 *
 * Connections are kept and used again. Used by one thread at a time. libcurl's
 * own memory is not counted.
 */

#ifndef BASE_HTTP_H
#define BASE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/event.h"
#include "base/memory.h"
#include "base/str.h"

struct http_settings {
    const char *user_agent;
    const char *proxy_http;  /* for http://, NULL: none */
    const char *proxy_https; /* for https://, NULL: none */
    const char *no_proxy;    /* hosts that go without, as curl writes them */
    const char *ca_file;     /* certificates, NULL: the system's */
    long connect_seconds;    /* to connect at most */
    long stall_seconds;      /* without a byte at most */
};

struct http_answer {
    int status;          /* 200, 404; 0: none came */
    struct strbuf names; /* "name\0value\0" for each header, names in small
                            letters */
};

struct http_request {
    const char *url;
    const char *token;       /* sent as "Authorization: Bearer"; NULL: none */
    bool head;               /* HEAD instead of GET */
    uint64_t from;           /* ask for the bytes from here on; 0: all */
    uint64_t body_max;       /* more bytes are ERROR_INPUT */
    const struct sink *sink; /* its `interrupted` ends the transfer */
    void *context;           /* for the two below */
    /* Once before the first byte of a 2xx answer's body; NULL: not wanted. */
    bool (*begin)(void *context, const struct http_answer *answer,
                  struct error *err);
    /* Pieces of a 2xx answer's body; other bodies are thrown away. */
    bool (*body)(void *context, struct str piece, struct error *err);
};

struct http;

/* SETTINGS must outlive it. */
struct http *http_open(const struct http_settings *settings,
                       struct memory *memory, struct error *err);
void http_close(struct http *http); /* NULL is fine */

/* ANSWER is to be freed whether or not this succeeds. */
bool http_send(struct http *http, const struct http_request *request,
               struct http_answer *answer, struct error *err);
void http_answer_free(struct http_answer *answer); /* {0} is fine */

/* The value of the first header NAME (small letters), or NULL. Borrowed. */
const char *http_header(const struct http_answer *answer, const char *name);

/* A header that is a whole number; false if it is missing or none. */
bool http_header_size(const struct http_answer *answer, const char *name,
                      uint64_t *number);

/* "https://host:port" of URL in small letters, with the port that the scheme
 * implies; ERROR_IO for what is neither http nor https. The caller frees with
 * memory_free. */
char *http_origin(struct memory *memory, const char *url, struct error *err);

/* URL as seen from BASE: a redirect's Location. The caller frees. */
char *http_resolve(struct memory *memory, const char *base, const char *url,
                   struct error *err);

/* Retry-After: seconds, or a date that is compared with NOW (seconds since
 * 1970). False for anything else; a date that has passed is 0. */
bool http_retry_after(const char *text, int64_t now, int64_t *wait_ms);

/* The bytes of "bytes FIRST-LAST/TOTAL"; *TOTAL is UINT64_MAX for "*". */
bool http_content_range(const char *text, uint64_t *first, uint64_t *last,
                        uint64_t *total);

#endif
