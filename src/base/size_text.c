#include "base/size_text.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* The factor of a unit; 0: there is no such unit. */
static uint64_t unit_bytes(const char *unit) {
    static const char letters[] = "kmgt";
    if (!*unit || strcasecmp(unit, "b") == 0)
        return 1;
    const char *at = strchr(letters, tolower((unsigned char)*unit));
    bool binary = at && strcasecmp(unit + 1, "ib") == 0;
    if (!at || (!binary && strcasecmp(unit + 1, "b") != 0))
        return 0;
    uint64_t bytes = 1;
    for (const char *l = letters; l <= at; l++)
        bytes *= binary ? 1024 : 1000;
    return bytes;
}

/* ".5" and the like as thousandths; false if there are more decimals. */
static bool decimals(const char **at, uint64_t *thousandths) {
    const char *c = *at;
    uint64_t place = 100;
    *thousandths = 0;
    if (*c != '.')
        return true;
    for (c++; isdigit((unsigned char)*c); c++, place /= 10) {
        if (!place)
            return false;
        *thousandths += (uint64_t)(*c - '0') * place;
    }
    bool some = c > *at + 1;
    *at = c;
    return some;
}

bool size_text_parse(const char *text, const char *where, uint64_t *bytes,
                     struct error *err) {
    uint64_t whole = 0, thousandths = 0, unit = 0, total = 0;
    const char *at = text;
    bool fine = isdigit((unsigned char)*at);
    for (; fine && isdigit((unsigned char)*at); at++)
        fine = !__builtin_mul_overflow(whole, (uint64_t)10, &whole) &&
               !__builtin_add_overflow(whole, (uint64_t)(*at - '0'), &whole);
    fine = fine && decimals(&at, &thousandths);
    while (*at == ' ')
        at++;
    fine = fine && (unit = unit_bytes(at)) != 0 &&
           !__builtin_mul_overflow(whole, unit, &total) &&
           !__builtin_add_overflow(total, unit * thousandths / 1000, &total) &&
           total > 0;
    if (!fine)
        return error_set(err, ERROR_USAGE,
                         "%s: '%s' is not a number of bytes such as 2GiB, "
                         "500MB or 1073741824",
                         where, text);
    *bytes = total;
    return true;
}
