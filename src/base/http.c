#include "base/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEADERS_BYTES_MAX = 256 << 10, NUMBER_DIGITS_MAX = 19 };

struct http {
    const struct http_settings *settings; /* borrowed */
    struct memory *memory;
    CURL *curl;
};

/* One transfer, as libcurl's callbacks see it. */
struct transfer {
    const struct http_request *request;
    struct http_answer *answer;
    uint64_t received;
    bool begun;
    struct error error; /* why a callback ended it */
};

/* ---- open and close ------------------------------------------------------ */

/* Counted inside of libcurl, and safe from several threads since 7.84. */
struct http *http_open(const struct http_settings *settings,
                       struct memory *memory, struct error *err) {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        error_set(err, ERROR_IO, "libcurl does not start on this machine");
        return NULL;
    }
    struct http *http = memory_zalloc(memory, 1, sizeof *http, err);
    if (http) {
        *http = (struct http){
            .settings = settings, .memory = memory, .curl = curl_easy_init()};
        if (http->curl)
            return http;
        error_set(err, ERROR_MEMORY, "no memory for a connection");
    }
    memory_free(memory, http);
    curl_global_cleanup();
    return NULL;
}

void http_close(struct http *http) {
    if (!http)
        return;
    curl_easy_cleanup(http->curl);
    memory_free(http->memory, http);
    curl_global_cleanup();
}

/* ---- callbacks ----------------------------------------------------------- */

static bool succeeded(const struct http_answer *answer) {
    return answer->status >= 200 && answer->status < 300;
}

/* "HTTP/1.1 206 Partial Content" begins an answer: what came before it was an
 * interim one. */
static void begin_answer(struct transfer *t, struct str line) {
    const char *space = memchr(line.data, ' ', line.size);
    strbuf_clear(&t->answer->names);
    t->answer->status = 0;
    for (const char *c = space ? space + 1 : NULL;
         c && c < line.data + line.size && isdigit((unsigned char)*c) &&
         t->answer->status < 1000;
         c++)
        t->answer->status = t->answer->status * 10 + (*c - '0');
}

static struct str trimmed(const char *data, size_t size) {
    while (size && isspace((unsigned char)*data))
        data++, size--;
    while (size && isspace((unsigned char)data[size - 1]))
        size--;
    return (struct str){data, size};
}

static size_t on_header(char *data, size_t size, size_t count, void *context) {
    struct transfer *t = context;
    struct strbuf *names = &t->answer->names;
    struct str line = {data, size * count};
    const char *colon = memchr(line.data, ':', line.size);
    if (str_starts(line, STR("HTTP/"))) {
        begin_answer(t, line);
    } else if (colon && !memchr(line.data, '\0', line.size) &&
               names->size + line.size < HEADERS_BYTES_MAX) {
        for (const char *c = line.data; c < colon; c++)
            strbuf_add_char(names, (char)tolower((unsigned char)*c));
        strbuf_add_char(names, '\0');
        strbuf_add(names,
                   trimmed(colon + 1, line.size - (size_t)(colon + 1 - data)));
        strbuf_add_char(names, '\0');
    }
    return line.size;
}

static bool take(struct transfer *t, struct str piece) {
    const struct http_request *request = t->request;
    t->received += piece.size;
    if (!succeeded(t->answer))
        return true;
    if (!t->begun && request->begin &&
        !request->begin(request->context, t->answer, &t->error))
        return false;
    t->begun = true;
    if (t->received > request->body_max)
        return error_set(&t->error, ERROR_INPUT,
                         "the server sent more than %llu bytes",
                         (unsigned long long)request->body_max);
    return !request->body || request->body(request->context, piece, &t->error);
}

static size_t on_body(char *data, size_t size, size_t count, void *context) {
    struct transfer *t = context;
    struct str piece = {data, size * count};
    return take(t, piece) ? piece.size : 0;
}

static int on_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c,
                       curl_off_t d) {
    struct transfer *t = context;
    (void)a, (void)b, (void)c, (void)d;
    if (!event_interrupted(t->request->sink))
        return 0;
    error_set(&t->error, ERROR_INTERRUPTED, "interrupted");
    return 1;
}

/* ---- one request --------------------------------------------------------- */

/* Of an address the scheme and the host: a name and password before it are
 * secret, and what is behind it may hold a signature. */
static struct str shown(const char *url) {
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t size = strcspn(host, "/?#");
    const char *at = memchr(host, '@', size);
    if (at)
        return (struct str){at + 1, size - (size_t)(at + 1 - host)};
    return (struct str){url, (size_t)(host - url) + size};
}

static bool explain(const struct transfer *t, CURLcode code, const char *detail,
                    struct error *err) {
    struct str url = shown(t->request->url);
    enum error_code kind;
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL: /* addresses are checked before */
        return error_set(err, ERROR_IO,
                         "%.*s: what answers there does not speak HTTP (%s)",
                         STR_ARG(url), detail);
    case CURLE_URL_MALFORMAT:
        return error_set(err, ERROR_IO,
                         "%.*s is not an address of http or https",
                         STR_ARG(url));
    case CURLE_OPERATION_TIMEDOUT:
        return error_set(err, ERROR_BUSY, "%.*s: the server fell silent (%s)",
                         STR_ARG(url), detail);
    case CURLE_PEER_FAILED_VERIFICATION:
        return error_set(err, ERROR_IO,
                         "%.*s: %s: a network with certificates of its own "
                         "wants their file in SSL_CERT_FILE",
                         STR_ARG(url), detail);
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_FAILED_INIT:
        kind = ERROR_IO;
        break;
    case CURLE_OUT_OF_MEMORY:
        kind = ERROR_MEMORY;
        break;
    default:
        kind = ERROR_BUSY;
    }
    return error_set(err, kind, "%.*s: %s", STR_ARG(url), detail);
}

static void set_network(const struct http *http, const char *url) {
    const struct http_settings *s = http->settings;
    CURL *curl = http->curl;
    bool secure = strncasecmp(url, "https:", 6) == 0;
    const char *proxy = secure ? s->proxy_https : s->proxy_http;
    /* An empty text keeps libcurl from asking the environment. */
    curl_easy_setopt(curl, CURLOPT_PROXY, proxy ? proxy : "");
    curl_easy_setopt(curl, CURLOPT_NOPROXY, s->no_proxy ? s->no_proxy : "");
    if (s->ca_file)
        curl_easy_setopt(curl, CURLOPT_CAINFO, s->ca_file);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, s->connect_seconds);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, s->stall_seconds);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS,
                     (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    if (s->user_agent)
        curl_easy_setopt(curl, CURLOPT_USERAGENT, s->user_agent);
}

static void set_callbacks(CURL *curl, struct transfer *t) {
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

static void set_request(CURL *curl, const struct http_request *request) {
    char range[32];
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_NOBODY, request->head ? 1L : 0L);
    if (request->token) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, request->token);
    }
    if (request->from) {
        snprintf(range, sizeof range, "%llu-",
                 (unsigned long long)request->from);
        curl_easy_setopt(curl, CURLOPT_RANGE, range);
    }
}

bool http_send(struct http *http, const struct http_request *request,
               struct http_answer *answer, struct error *err) {
    char detail[CURL_ERROR_SIZE] = "";
    *answer = (struct http_answer){.names = strbuf_make(http->memory)};
    struct transfer t = {.request = request, .answer = answer};
    if (event_interrupted(request->sink))
        return error_set(err, ERROR_INTERRUPTED, "interrupted");
    curl_easy_reset(http->curl); /* keeps the connections */
    set_network(http, request->url);
    set_callbacks(http->curl, &t);
    set_request(http->curl, request);
    curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, detail);
    CURLcode code = curl_easy_perform(http->curl);
    curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, NULL);
    if (code == CURLE_OK && succeeded(answer) && !t.begun && !request->head)
        take(&t, STR("")); /* an empty body begins too */
    if (t.error.code)
        return error_set(err, t.error.code, "%s", t.error.message);
    if (code != CURLE_OK)
        return explain(&t, code, *detail ? detail : curl_easy_strerror(code),
                       err);
    return strbuf_ok(&answer->names, err);
}

void http_answer_free(struct http_answer *answer) {
    if (answer->names.memory)
        strbuf_free(&answer->names);
    *answer = (struct http_answer){0};
}

/* ---- headers ------------------------------------------------------------- */

const char *http_header(const struct http_answer *answer, const char *name) {
    const char *at = answer->names.data, *end = at + answer->names.size;
    while (at && at < end) {
        const char *value = at + strlen(at) + 1;
        if (strcmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

/* Digits at *AT, moved behind them. */
static bool digits(const char **at, uint64_t *number) {
    size_t count = strspn(*at, "0123456789");
    *number = 0;
    if (count == 0 || count > NUMBER_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        *number = *number * 10 + (uint64_t)((*at)[i] - '0');
    *at += count;
    return true;
}

bool http_header_size(const struct http_answer *answer, const char *name,
                      uint64_t *number) {
    const char *at = http_header(answer, name);
    return at && digits(&at, number) && !*at;
}

static int64_t in_ms(uint64_t seconds) {
    return seconds < INT64_MAX / 1000 ? (int64_t)seconds * 1000 : INT64_MAX;
}

bool http_retry_after(const char *text, int64_t now, int64_t *wait_ms) {
    const char *at = text;
    uint64_t seconds;
    if (digits(&at, &seconds) && !*at) {
        *wait_ms = in_ms(seconds);
        return true;
    }
    /* curl_getdate would take "5 2" for a date of some kind. */
    time_t date = isalpha((unsigned char)*text) ? curl_getdate(text, NULL) : -1;
    if (date < 0)
        return false;
    *wait_ms = date > now ? in_ms((uint64_t)(date - now)) : 0;
    return true;
}

bool http_content_range(const char *text, uint64_t *first, uint64_t *last,
                        uint64_t *total) {
    const char *at = text;
    if (strncasecmp(at, "bytes ", 6) != 0)
        return false;
    at += 6;
    if (!digits(&at, first) || *at++ != '-' || !digits(&at, last) ||
        *at++ != '/' || *last < *first)
        return false;
    if (strcmp(at, "*") == 0) {
        *total = UINT64_MAX;
        return true;
    }
    return digits(&at, total) && !*at && *last < *total;
}

/* ---- addresses ----------------------------------------------------------- */

static bool is_http(const char *scheme) {
    return strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0;
}

/* The parts of a parsed address that ORIGIN is made of. */
static char *join_origin(struct memory *memory, CURLU *parsed) {
    char *scheme = NULL, *host = NULL, *port = NULL;
    struct strbuf text = strbuf_make(memory);
    if (curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) ==
            CURLUE_OK &&
        is_http(scheme))
        strbuf_printf(&text, "%s://%s:%s", scheme, host, port);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    for (size_t i = 0; i < text.size; i++)
        text.data[i] = (char)tolower((unsigned char)text.data[i]);
    if (text.size && strbuf_ok(&text, NULL))
        return text.data; /* handed over */
    strbuf_free(&text);
    return NULL;
}

char *http_origin(struct memory *memory, const char *url, struct error *err) {
    CURLU *parsed = curl_url();
    char *origin = NULL;
    if (parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK)
        origin = join_origin(memory, parsed);
    if (!origin)
        error_set(err, ERROR_IO, "%.*s is not an address of http or https",
                  STR_ARG(shown(url)));
    curl_url_cleanup(parsed);
    return origin;
}

char *http_resolve(struct memory *memory, const char *base, const char *url,
                   struct error *err) {
    CURLU *parsed = curl_url();
    char *whole = NULL, *copy = NULL;
    if (parsed && curl_url_set(parsed, CURLUPART_URL, base, 0) == CURLUE_OK &&
        curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_URL, &whole, 0) == CURLUE_OK) {
        copy = memory_alloc(memory, strlen(whole) + 1, 1, err);
        if (copy)
            strcpy(copy, whole);
    } else {
        error_set(err, ERROR_IO,
                  "the server leads to %.*s, which is no address",
                  STR_ARG(shown(url)));
    }
    curl_free(whole);
    curl_url_cleanup(parsed);
    return copy;
}
