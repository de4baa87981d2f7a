/* test_http.c - what a server says, in numbers and addresses, and requests to
 * a server in this process that says what it is told to. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/http.h"

static struct memory memory;

/* ---- numbers and addresses ----------------------------------------------- */

static void expect_wait(const char *text, int64_t now, int64_t expected) {
    int64_t wait = -7;
    bool fine = http_retry_after(text, now, &wait);
    if (expected < 0 ? fine : !fine || wait != expected)
        fail_msg("'%s' gives %d, %lld ms", text, fine, (long long)wait);
}

/* RFC 9110 10.2.3. Its example date is 784111777 seconds after 1970 began. */
static void times_to_wait(void **state) {
    (void)state;
    expect_wait("0", 0, 0);
    expect_wait("120", 5, 120000);
    expect_wait("9999999999999999999", 0, INT64_MAX);
    expect_wait("Sun, 06 Nov 1994 08:49:37 GMT", 784111770, 7000);
    expect_wait("Sun, 06 Nov 1994 08:49:37 GMT", 784111777, 0);
    expect_wait("Sun, 06 Nov 1994 08:49:37 GMT", 784199999, 0);
    /* A day so far away that its milliseconds do not fit. */
    int64_t wait = INT64_MAX; /* some libcurls take no such date */
    http_retry_after("Sun, 06 Nov901234567", 1000, &wait);
    assert_true(wait == INT64_MAX);
    expect_wait("Sunday, 06-Nov-94 08:49:37 GMT", 784111770, 7000);
    expect_wait("Sun Nov  6 08:49:37 1994", 784111770, 7000);
    expect_wait("", 0, -1);
    expect_wait("-1", 0, -1);
    expect_wait("1.5", 0, -1);
    expect_wait("1 ", 0, -1);
    expect_wait("99999999999999999999", 0, -1);
    expect_wait("soon", 0, -1);
}

static void expect_range(const char *text, uint64_t a, uint64_t b, uint64_t c) {
    uint64_t first = 0, last = 0, total = 0;
    if (!http_content_range(text, &first, &last, &total) || first != a ||
        last != b || total != c)
        fail_msg("%s", text);
}

static void ranges(void **state) {
    (void)state;
    expect_range("bytes 0-0/1", 0, 0, 1);
    expect_range("bytes 500-999/1234", 500, 999, 1234);
    expect_range("BYTES 500-999/*", 500, 999, UINT64_MAX);
    static const char *const bad[] = {"",
                                      "bytes",
                                      "bytes */10",
                                      "bytes 5-4/10",
                                      "bytes 0-9",
                                      "bytes 0-9/9",
                                      "bytes -9/10",
                                      "bytes 0-9/10x",
                                      "0-9/10",
                                      "bytes 0-99999999999999999999/100",
                                      "bytes 0 -9/10"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t a, b, c;
        if (http_content_range(bad[i], &a, &b, &c))
            fail_msg("taken: %s", bad[i]);
    }
}

static void expect_origin(const char *url, const char *expected) {
    struct error err = {0};
    char *origin = http_origin(&memory, url, &err);
    if (expected)
        assert_string_equal(origin, expected);
    else
        assert_null(origin);
    memory_free(&memory, origin);
}

static void origins(void **state) {
    (void)state;
    expect_origin("https://host/path?query", "https://host:443");
    expect_origin("HTTPS://HOST", "https://host:443");
    expect_origin("http://host:8080/", "http://host:8080");
    expect_origin("https://host:443/", "https://host:443");
    expect_origin("https://user:word@host/", "https://host:443");
    expect_origin("https://host.example@other/", "https://other:443");
    expect_origin("ftp://host/", NULL);
    expect_origin("file:///etc/passwd", NULL);
    expect_origin("", NULL);
    expect_origin("host/path", NULL);
}

static void expect_resolved(const char *base, const char *url,
                            const char *expected) {
    struct error err = {0};
    char *whole = http_resolve(&memory, base, url, &err);
    assert_string_equal(whole, expected);
    memory_free(&memory, whole);
}

static void redirects(void **state) {
    (void)state;
    expect_resolved("http://h/a/b?c", "/d", "http://h/d");
    expect_resolved("http://h/a/b", "d", "http://h/a/d");
    expect_resolved("http://h/a", "https://o/x?y=1", "https://o/x?y=1");
    expect_resolved("https://h/a", "//o/x", "https://o/x");
}

/* ---- a server ------------------------------------------------------------ */

struct server {
    int fd;
    char url[64];
    const char *says; /* the whole answer */
    char heard[4096];
    pthread_t thread;
};

static void *serve(void *context) {
    struct server *s = context;
    int client = accept(s->fd, NULL, NULL);
    size_t size = 0;
    while (size + 1 < sizeof s->heard && !strstr(s->heard, "\r\n\r\n")) {
        ssize_t got = read(client, s->heard + size, sizeof s->heard - 1 - size);
        if (got <= 0)
            break;
        size += (size_t)got;
        s->heard[size] = '\0';
    }
    for (size_t at = 0, all = strlen(s->says); at < all;) {
        ssize_t sent = send(client, s->says + at, all - at, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        at += (size_t)sent;
    }
    close(client);
    return NULL;
}

static void begin(struct server *s, const char *says) {
    *s = (struct server){.says = says};
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(s->fd, 1), 0);
    getsockname(s->fd, (struct sockaddr *)&address, &size);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d/p?secret=1",
             ntohs(address.sin_port));
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void end(struct server *s) {
    pthread_join(s->thread, NULL);
    close(s->fd);
}

static bool add(void *context, struct str piece, struct error *err) {
    strbuf_add(context, piece);
    return strbuf_ok(context, err);
}

static const struct http_settings settings = {
    .user_agent = "test/1", .connect_seconds = 10, .stall_seconds = 10};

/* SAYS is the answer to REQUEST, whose url is filled in; BODY gets the body. */
static bool exchange(const char *says, struct http_request request,
                     struct http_answer *answer, struct strbuf *body,
                     char heard[4096], struct error *err) {
    struct server server;
    begin(&server, says);
    struct http *http = http_open(&settings, &memory, err);
    assert_non_null(http);
    *body = strbuf_make(&memory);
    request.url = server.url;
    request.body_max = request.body_max ? request.body_max : 1000;
    request.context = body;
    request.body = add;
    bool fine = http_send(http, &request, answer, err);
    http_close(http);
    end(&server);
    strcpy(heard, server.heard);
    return fine;
}

static void an_answer(void **state) {
    (void)state;
    struct http_answer answer;
    struct strbuf body;
    struct error err = {0};
    char heard[4096];
    assert_true(exchange("HTTP/1.1 103 Early Hints\r\nETag: \"early\"\r\n\r\n"
                         "HTTP/1.1 200 OK\r\nETag:  \"late\" \r\nX-Size: 12\r\n"
                         "X-Bad: 1x\r\nContent-Length: 5\r\n\r\nhello",
                         (struct http_request){.token = "tok", .from = 7},
                         &answer, &body, heard, &err));
    assert_int_equal(answer.status, 200);
    assert_string_equal(http_header(&answer, "etag"), "\"late\"");
    assert_null(http_header(&answer, "x-none"));
    uint64_t number = 0;
    assert_true(http_header_size(&answer, "x-size", &number));
    assert_int_equal(number, 12);
    assert_false(http_header_size(&answer, "x-bad", &number));
    assert_string_equal(body.data, "hello");
    assert_non_null(strstr(heard, "GET /p?secret=1 "));
    assert_non_null(strstr(heard, "Authorization: Bearer tok\r\n"));
    assert_non_null(strstr(heard, "Range: bytes=7-\r\n"));
    assert_non_null(strstr(heard, "User-Agent: test/1\r\n"));
    assert_null(strstr(heard, "Accept-Encoding"));
    http_answer_free(&answer);
    strbuf_free(&body);
}

static void a_redirect_is_an_answer(void **state) {
    (void)state;
    struct http_answer answer;
    struct strbuf body;
    struct error err = {0};
    char heard[4096];
    assert_true(exchange("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/"
                         "\r\nContent-Length: 3\r\n\r\nyes",
                         (struct http_request){.head = false}, &answer, &body,
                         heard, &err));
    assert_int_equal(answer.status, 302);
    assert_int_equal(body.size, 0); /* not the body that was asked for */
    assert_null(strstr(heard, "Authorization"));
    http_answer_free(&answer);
    strbuf_free(&body);
}

static void a_head_has_no_body(void **state) {
    (void)state;
    struct http_answer answer;
    struct strbuf body;
    struct error err = {0};
    char heard[4096];
    assert_true(exchange("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n",
                         (struct http_request){.head = true}, &answer, &body,
                         heard, &err));
    assert_int_equal(answer.status, 200);
    assert_int_equal(strncmp(heard, "HEAD ", 5), 0);
    http_answer_free(&answer);
    strbuf_free(&body);
}

static void expect_failure(const char *says, struct http_request request,
                           enum error_code code) {
    struct http_answer answer;
    struct strbuf body;
    struct error err = {0};
    char heard[4096];
    assert_false(exchange(says, request, &answer, &body, heard, &err));
    if (err.code != code)
        fail_msg("%s instead of %s: %s", error_name(err.code), error_name(code),
                 err.message);
    assert_null(strstr(err.message, "secret"));
    assert_null(strstr(err.message, "/p"));
    assert_null(strstr(err.message, "hush"));
    http_answer_free(&answer);
    strbuf_free(&body);
}

static bool stop(void *context) {
    (void)context;
    return true;
}

static bool refuse(void *context, const struct http_answer *answer,
                   struct error *err) {
    (void)context;
    return error_set(err, ERROR_CONFLICT, "status %d", answer->status);
}

static void failures(void **state) {
    (void)state;
    const struct http_request plain = {.token = "hush"};
    expect_failure("", plain, ERROR_BUSY);
    expect_failure("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", plain,
                   ERROR_BUSY);
    expect_failure("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                   (struct http_request){.token = "hush", .body_max = 4},
                   ERROR_INPUT);
    expect_failure("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                   (struct http_request){.begin = refuse}, ERROR_CONFLICT);
}

static void an_interrupted_one_is_not_sent(void **state) {
    (void)state;
    const struct sink sink = {.interrupted = stop};
    struct error err = {0};
    struct http *http = http_open(&settings, &memory, &err);
    struct http_request request = {.url = "http://127.0.0.1:1/", .sink = &sink};
    struct http_answer answer;
    assert_false(http_send(http, &request, &answer, &err));
    assert_int_equal(err.code, ERROR_INTERRUPTED);
    http_answer_free(&answer);
    static const char *const bad[] = {"file:///etc/passwd", "ftp://127.0.0.1/",
                                      "nonsense://x", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        request = (struct http_request){.url = bad[i]};
        assert_false(http_send(http, &request, &answer, &err));
        assert_int_equal(err.code, ERROR_IO);
        http_answer_free(&answer);
    }
    http_close(http);
}

static int nothing_is_left(void **state) {
    (void)state;
    return memory_live(&memory) != 0;
}

#define TEST(f) cmocka_unit_test_teardown(f, nothing_is_left)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(times_to_wait),
        TEST(ranges),
        TEST(origins),
        TEST(redirects),
        TEST(an_answer),
        TEST(a_redirect_is_an_answer),
        TEST(a_head_has_no_body),
        TEST(failures),
        TEST(an_interrupted_one_is_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
