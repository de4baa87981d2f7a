#include "cli/places.h"

#include <ctype.h>
#include <pwd.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

const char *environment_get(char *const *environment, const char *name) {
    size_t size = strlen(name);
    for (; environment && *environment; environment++)
        if (strncmp(*environment, name, size) == 0 &&
            (*environment)[size] == '=')
            return (*environment)[size + 1] ? *environment + size + 1 : NULL;
    return NULL;
}

static const char *home_folder(char *const *environment) {
    const char *home = environment_get(environment, "HOME");
    if (home)
        return home;
    const struct passwd *user = getpwuid(getuid());
    return user && user->pw_dir ? user->pw_dir : "/";
}

/* The length of the name after a '$' at AT; *BEGIN is where the name begins
 * and *END where the text goes on. 0: no name, the '$' stands for itself. */
static size_t variable(const char *at, const char **begin, const char **end) {
    bool braces = at[1] == '{';
    const char *c = *begin = at + 1 + braces;
    while (isalnum((unsigned char)*c) || *c == '_')
        c++;
    if (braces && *c != '}')
        return 0;
    *end = c + braces;
    return (size_t)(c - *begin);
}

static void expand(struct strbuf *out, const char *text,
                   char *const *environment) {
    if (text[0] == '~' && (!text[1] || text[1] == '/'))
        strbuf_add(out, str_from(home_folder(environment))), text++;
    while (*text) {
        char name[256];
        const char *begin = NULL, *end = NULL;
        size_t size = *text == '$' ? variable(text, &begin, &end) : 0;
        const char *value = NULL;
        if (size && size < sizeof name) {
            memcpy(name, begin, size);
            name[size] = '\0';
            value = environment_get(environment, name);
        }
        if (value) {
            strbuf_add(out, str_from(value));
            text = end;
        } else {
            strbuf_add_char(out, *text++);
        }
    }
}

/* A name in the environment, and what lies below the folder it names. */
struct place {
    const char *name, *below;
};

/* The first of PLACES that is set wins; OTHERWISE is below HOME. */
static char *find_place(char *const *environment, const struct place *places,
                        size_t count, const char *otherwise,
                        struct arena *arena, struct error *err) {
    const char *base = "~", *below = otherwise;
    for (size_t i = 0; i < count; i++) {
        const char *value = environment_get(environment, places[i].name);
        if (value) {
            base = value;
            below = places[i].below;
            break;
        }
    }
    struct strbuf path = strbuf_make(arena->memory);
    expand(&path, base, environment);
    while (path.size > 1 && path.data[path.size - 1] == '/')
        path.size--;
    strbuf_add(&path, str_from(below));
    char *copy = strbuf_ok(&path, err)
                     ? arena_copy(arena, strbuf_str(&path), err)
                     : NULL;
    strbuf_free(&path);
    return copy;
}

char *hub_cache_path(char *const *environment, struct arena *arena,
                     struct error *err) {
    static const struct place places[] = {
        {"HF_HUB_CACHE", ""},
        {"HUGGINGFACE_HUB_CACHE", ""},
        {"HF_HOME", "/hub"},
        {"XDG_CACHE_HOME", "/huggingface/hub"}};
    return find_place(environment, places, sizeof places / sizeof *places,
                      "/.cache/huggingface/hub", arena, err);
}

char *hub_token_path(char *const *environment, struct arena *arena,
                     struct error *err) {
    static const struct place places[] = {
        {"HF_TOKEN_PATH", ""},
        {"HF_HOME", "/token"},
        {"XDG_CACHE_HOME", "/huggingface/token"}};
    return find_place(environment, places, sizeof places / sizeof *places,
                      "/.cache/huggingface/token", arena, err);
}

void terminal_traits(char *const *environment, struct options *options) {
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    const char *locale = NULL;
    for (size_t i = 0; !locale && i < sizeof names / sizeof *names; i++)
        locale = environment_get(environment, names[i]);
    const char *charset = locale ? strchr(locale, '.') : NULL;
    options->utf8 = charset && (strncasecmp(charset, ".utf-8", 6) == 0 ||
                                strncasecmp(charset, ".utf8", 5) == 0);
    const char *term = environment_get(environment, "TERM");
    options->dumb = !term || strcmp(term, "dumb") == 0;
    options->color =
        !options->dumb && !environment_get(environment, "NO_COLOR");
}
