#include "cli/places.h"

#include <ctype.h>
#include <glob.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/option_value.h"

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

char *kernel_cache_path(char *const *environment, struct arena *arena,
                        struct error *err) {
    static const struct place places[] = {
        {"XDG_CACHE_HOME", "/ensembed/kernels"}};
    return find_place(environment, places, sizeof places / sizeof *places,
                      "/.cache/ensembed/kernels", arena, err);
}

/* ---- NVIDIA's libraries -------------------------------------------------- */

struct folders {
    struct text_list list;
    struct arena *arena;
    struct error *err;
    bool fine;
};

static void add_folder(struct folders *f, const char *path) {
    if (!f->fine || !folder_exists(path))
        return;
    char *copy = arena_copy(f->arena, str_from(path), f->err);
    f->fine = copy && text_list_add(&f->list, copy, f->arena, f->err);
}

/* site-packages and dist-packages of each Python whose prefix is FOLDER/UP. */
static void add_python(struct folders *f, const char *folder, const char *up) {
    static const char *const kinds[] = {"site-packages", "dist-packages"};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        char pattern[PATH_MAX];
        glob_t found = {0};
        if (snprintf(pattern, sizeof pattern, "%s%s/lib/python3*/%s", folder,
                     up, kinds[k]) < PATH_MAX &&
            glob(pattern, 0, NULL, &found) == 0)
            for (size_t i = 0; i < found.gl_pathc; i++)
                add_folder(f, found.gl_pathv[i]);
        globfree(&found);
    }
}

/* The Python that `python3` starts is where people pip install. */
static void add_python_of_path(struct folders *f, const char *path) {
    char folder[PATH_MAX], program[PATH_MAX + 16];
    for (; path && *path; path += strspn(path, ":")) {
        size_t size = strcspn(path, ":");
        if (size && size < sizeof folder) {
            memcpy(folder, path, size);
            folder[size] = '\0';
            snprintf(program, sizeof program, "%s/python3", folder);
            if (file_exists(program)) {
                add_python(f, folder, "/..");
                return;
            }
        }
        path += size;
    }
}

const char *const *cuda_library_folders(char *const *environment,
                                        const struct text_list *named,
                                        struct arena *arena,
                                        struct error *err) {
    static const char *const toolkits[] = {"CUDA_HOME", "CUDA_PATH"};
    static const char *const pythons[] = {"VIRTUAL_ENV", "CONDA_PREFIX"};
    struct folders f = {.arena = arena, .err = err, .fine = true};
    char local[PATH_MAX];
    for (size_t i = 0; f.fine && i < named->count; i++)
        f.fine = text_list_add(&f.list, named->items[i], arena, err);
    for (size_t i = 0; i < sizeof toolkits / sizeof *toolkits; i++) {
        const char *value = environment_get(environment, toolkits[i]);
        if (value)
            add_folder(&f, value);
    }
    add_folder(&f, "/usr/local/cuda");
    for (size_t i = 0; i < sizeof pythons / sizeof *pythons; i++) {
        const char *value = environment_get(environment, pythons[i]);
        if (value) {
            add_python(&f, value, "");
            add_folder(&f, value); /* conda's own packages: lib below it */
        }
    }
    add_python_of_path(&f, environment_get(environment, "PATH"));
    if (snprintf(local, sizeof local, "%s/.local", home_folder(environment)) <
        PATH_MAX)
        add_python(&f, local, "");
    add_python(&f, "/usr/local", "");
    add_python(&f, "/usr", "");
    return f.fine && text_list_add(&f.list, NULL, arena, err) ? f.list.items
                                                              : NULL;
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
