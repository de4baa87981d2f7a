#include "cli/hub_environment.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "cli/option_value.h"
#include "cli/places.h"

enum { TOKEN_BYTES_MAX = 64 << 10, TIMEOUT_SECONDS = 10, SECONDS_MAX = 86400 };

static const char default_endpoint[] = "https://huggingface.co";

/* As huggingface_hub reads a switch. */
static bool is_on(char *const *environment, const char *name) {
    static const char *const words[] = {"1", "ON", "YES", "TRUE"};
    const char *value = environment_get(environment, name);
    for (size_t i = 0; value && i < sizeof words / sizeof *words; i++)
        if (strcasecmp(value, words[i]) == 0)
            return true;
    return false;
}

static long seconds(char *const *environment, const char *name) {
    const char *value = environment_get(environment, name);
    uint64_t number = TIMEOUT_SECONDS;
    if (value && !value_number(value, 1, SECONDS_MAX, name, &number, NULL))
        number = TIMEOUT_SECONDS;
    return (long)number;
}

static const char *first_of(char *const *environment,
                            const char *const *names) {
    const char *value = NULL;
    for (; !value && *names; names++)
        value = environment_get(environment, *names);
    return value;
}

static void set_network(char *const *environment, struct http_settings *http) {
    static const char *const plain[] = {"http_proxy", "all_proxy", "ALL_PROXY",
                                        NULL};
    static const char *const secure[] = {"https_proxy", "HTTPS_PROXY",
                                         "all_proxy", "ALL_PROXY", NULL};
    static const char *const none[] = {"no_proxy", "NO_PROXY", NULL};
    *http = (struct http_settings){
        .user_agent = "ensembed/" ENS_VERSION,
        .proxy_http = first_of(environment, plain),
        .proxy_https = first_of(environment, secure),
        .no_proxy = first_of(environment, none),
        .ca_file = environment_get(environment, "SSL_CERT_FILE"),
        .connect_seconds = seconds(environment, "HF_HUB_ETAG_TIMEOUT"),
        .stall_seconds = seconds(environment, "HF_HUB_DOWNLOAD_TIMEOUT")};
}

static bool set_endpoint(char *const *environment, struct options *options,
                         struct error *err) {
    const char *value = environment_get(environment, "HF_ENDPOINT");
    struct str text = str_from(value ? value : default_endpoint);
    while (text.size && text.data[text.size - 1] == '/')
        text.size--;
    options->hub_endpoint = arena_copy(&options->arena, text, err);
    return options->hub_endpoint != NULL;
}

/* White space around it goes; a header can hold no more than ASCII. */
static struct str clean(struct str text) {
    while (text.size && strchr(" \t\r\n\v\f", text.data[text.size - 1]))
        text.size--;
    while (text.size && strchr(" \t\r\n\v\f", *text.data))
        text = (struct str){text.data + 1, text.size - 1};
    return text;
}

static bool keep_token(struct options *options, struct str text,
                       struct error *err) {
    text = clean(text);
    if (!text.size)
        return true;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 0x7F)
            return text_list_add(
                &options->warnings,
                "the hub token (HF_TOKEN or the token file) holds characters "
                "that no token has, and is not used",
                &options->arena, err);
    options->hub_token = arena_copy(&options->arena, text, err);
    return options->hub_token != NULL;
}

static bool set_token(char *const *environment, struct options *options,
                      struct error *err) {
    static const char *const names[] = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN",
                                        NULL};
    if (is_on(environment, "HF_HUB_DISABLE_IMPLICIT_TOKEN"))
        return true;
    const char *value = first_of(environment, names);
    if (value)
        return keep_token(options, str_from(value), err);
    char *path = hub_token_path(environment, &options->arena, err);
    struct strbuf text = strbuf_make(options->arena.memory);
    bool fine = path != NULL;
    if (fine && file_exists(path) &&
        file_read(path, TOKEN_BYTES_MAX, &text, NULL))
        fine = keep_token(options, strbuf_str(&text), err);
    strbuf_free(&text);
    return fine;
}

bool hub_environment(char *const *environment, struct options *options,
                     struct error *err) {
    /* A name that is set but empty says nothing, as in Python's `or`. */
    options->hub_offline = environment_get(environment, "HF_HUB_OFFLINE")
                               ? is_on(environment, "HF_HUB_OFFLINE")
                               : is_on(environment, "TRANSFORMERS_OFFLINE");
    set_network(environment, &options->hub_http);
    return set_endpoint(environment, options, err) &&
           set_token(environment, options, err);
}
