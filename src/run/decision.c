#include "run/decision.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* What each decision says after "DEVICE: ". $NAME is a field of the event. */
struct line {
    const char *type;
    enum log_level level;
    const char *text;
};

static const struct line LINES[] = {
    {"budget_shrunk", LOG_INFO,
     "batches shrink from $from_tokens to $to_tokens tokens: $reason "
     "($free_bytes bytes free, margin $margin_bytes)"},
    {"budget_grown", LOG_INFO,
     "batches grow from $from_tokens to $to_tokens tokens: $reason"},
    {"batch_split", LOG_WARNING,
     "a batch of $texts texts is split: $reason ($free_bytes bytes free)"},
    {"batch_recomputed", LOG_WARNING,
     "a batch of $texts texts was computed again: $reason"},
    {"companion_moved", LOG_WARNING,
     "$model goes to $to_device: $reason ($free_bytes bytes free)"},
    {"companion_paused", LOG_WARNING,
     "$model pauses, its rows wait: $reason ($free_bytes bytes free)"},
    {"companion_resumed", LOG_INFO, "$model goes on on $to_device: $reason"},
    {"layers_streamed", LOG_WARNING,
     "$model keeps $layers_resident of $layers layers here and streams the "
     "others: $reason ($free_bytes bytes free)"},
    {"layers_restored", LOG_INFO, "$model has all of its layers back: $reason"},
    {"model_moved", LOG_WARNING, "$model goes to $to_device: $reason"},
    {"cpu_fallback", LOG_WARNING,
     "$model goes to the CPU, which is slower and gives the same vectors "
     "within rounding: $reason"},
    {"device_left_out", LOG_WARNING,
     "$model is not computed here: $reason ($free_bytes bytes free)"},
    {"device_lost", LOG_ERROR, "the device is lost: $reason"},
};

static void add_number(struct strbuf *text, json_int_t number) {
    char digits[32];
    snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, number);
    strbuf_add(text, str_from(digits));
}

static void add_field(struct strbuf *text, const json_t *value) {
    if (json_is_string(value))
        strbuf_add(text, str_from(json_string_value(value)));
    else if (json_is_integer(value))
        add_number(text, json_integer_value(value));
}

static void fill(struct strbuf *text, const char *pattern,
                 const json_t *fields) {
    while (*pattern) {
        size_t plain = strcspn(pattern, "$");
        strbuf_add(text, (struct str){pattern, plain});
        pattern += plain;
        if (*pattern != '$')
            break;
        size_t size = strspn(++pattern, "abcdefghijklmnopqrstuvwxyz_");
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)size, pattern);
        add_field(text, json_object_get(fields, name));
        pattern += size;
    }
}

json_t *decision_fields(const struct station *station, const char *reason,
                        uint64_t bytes_free) {
    return json_pack("{s:s, s:I, s:I}", "reason", reason, "free_bytes",
                     (json_int_t)bytes_free, "margin_bytes",
                     (json_int_t)station->margin);
}

void decision_log(const struct sink *sink, const char *type,
                  const json_t *fields) {
    const char *device = json_string_value(json_object_get(fields, "device"));
    for (size_t i = 0; i < sizeof LINES / sizeof LINES[0]; i++) {
        if (strcmp(LINES[i].type, type) != 0)
            continue;
        struct memory memory = {0};
        struct strbuf text = strbuf_make(&memory);
        fill(&text, LINES[i].text, fields);
        if (strbuf_ok(&text, NULL))
            event_log(sink, LINES[i].level, "%s: %.*s",
                      device ? device : "device", (int)text.size, text.data);
        strbuf_free(&text);
        return;
    }
}
