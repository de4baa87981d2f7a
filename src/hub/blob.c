#include "hub/blob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "hub/cache_lock.h"

enum { ETAG_BYTES_MAX = 128 };

/* One file on its way. */
struct download {
    struct hub *hub;
    struct arena *arena;
    const struct blob_place *place;
    const struct repo_file *file;
    const struct blob_watch *watch;
    struct blob_report *report;
    const char *url;
    const char *blob; /* REPO/blobs/ETAG */
    const char *part; /* the same, .incomplete */
    int fd;           /* of PART */
    uint64_t here;    /* bytes in it */
    uint64_t size;    /* that it will have */
    bool trusted;     /* all of PART came in this call */
};

/* ---- names --------------------------------------------------------------- */

static bool etag_char(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

const char *blob_etag(struct arena *arena, const char *header,
                      struct error *err) {
    struct str text = str_from(header);
    while (text.size && strchr("W/", *text.data))
        text = (struct str){text.data + 1, text.size - 1};
    while (text.size && *text.data == '"')
        text = (struct str){text.data + 1, text.size - 1};
    while (text.size && text.data[text.size - 1] == '"')
        text.size--;
    bool fine = text.size && text.size <= ETAG_BYTES_MAX && *text.data != '.';
    for (size_t i = 0; fine && i < text.size; i++)
        fine = etag_char(text.data[i]);
    if (fine)
        return arena_copy(arena, text, err);
    error_set(err, ERROR_INPUT, "the hub's ETag is no name for a file");
    return NULL;
}

/* What the list of files says the content's digest is. */
static const char *digest_of(const struct repo_file *file) {
    return file->lfs_sha256 ? file->lfs_sha256 : file->blob_id;
}

static const char *pointer_path(struct arena *arena,
                                const struct blob_place *place,
                                const struct repo_file *file,
                                struct error *err) {
    return arena_printf(arena, err, "%s/snapshots/%s/%s", place->repo,
                        place->commit, file->path);
}

static bool has_size(const char *path, uint64_t size) {
    struct stat status;
    return path && stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
           (uint64_t)status.st_size == size;
}

bool blob_present(struct arena *arena, const struct blob_place *place,
                  const struct repo_file *file) {
    return has_size(pointer_path(arena, place, file, NULL),
                    repo_file_bytes(file));
}

uint64_t blob_bytes_here(struct arena *arena, const struct blob_place *place,
                         const struct repo_file *file) {
    uint64_t all = repo_file_bytes(file);
    struct stat status;
    const char *blob =
        arena_printf(arena, NULL, "%s/blobs/%s", place->repo, digest_of(file));
    const char *part = arena_printf(arena, NULL, "%s/blobs/%s.incomplete",
                                    place->repo, digest_of(file));
    if (blob_present(arena, place, file) || has_size(blob, all))
        return all;
    if (!part || stat(part, &status) != 0 || status.st_size < 0)
        return 0;
    return (uint64_t)status.st_size < all ? (uint64_t)status.st_size : all;
}

/* ---- what the server says of it ------------------------------------------ */

static bool check_metadata(const struct download *d, const char *etag,
                           const struct http_answer *answer,
                           struct error *err) {
    const char *path = d->file->path, *digest = digest_of(d->file);
    const char *commit = http_header(answer, "x-repo-commit");
    uint64_t size;
    if (commit && strcmp(commit, d->place->commit) != 0)
        return error_set(err, ERROR_INPUT,
                         "%s: the hub gives %s of another commit than was "
                         "asked for: nothing of it is taken",
                         d->hub->model, path);
    if (strlen(etag) == strlen(digest) && strcmp(etag, digest) != 0)
        return error_set(err, ERROR_INPUT,
                         "%s: the hub names two digests for %s (%s and %s): "
                         "nothing of it is taken",
                         d->hub->model, path, digest, etag);
    bool sized = http_header_size(answer, "x-linked-size", &size) ||
                 (answer->status < 300 &&
                  http_header_size(answer, "content-length", &size));
    if (sized && size != d->size)
        return error_set(err, ERROR_INPUT,
                         "%s: the hub names two sizes for %s (%" PRIu64
                         " and %" PRIu64 "): nothing of it is taken",
                         d->hub->model, path, d->size, size);
    return true;
}

/* The blob's name is what the server calls the file, as huggingface_hub takes
 * it; in general that is the digest. */
static bool ask_name(struct download *d, const char **name, struct error *err) {
    struct hub_request request = {
        .what = d->file->path, .url = d->url, .metadata = true};
    struct http_answer answer;
    bool fine = hub_ask(d->hub, &request, &answer, err);
    if (fine) {
        const char *etag = http_header(&answer, "x-linked-etag");
        etag = etag ? etag : http_header(&answer, "etag");
        *name = blob_etag(d->arena, etag ? etag : "", NULL);
        fine = *name ? check_metadata(d, *name, &answer, err)
                     : error_set(err, ERROR_INPUT,
                                 "%s: the hub gives %s no ETag that could be "
                                 "a file's name: a proxy or a login page on "
                                 "the way may have answered in its place",
                                 d->hub->model, d->file->path);
    }
    http_answer_free(&answer);
    return fine;
}

static bool set_paths(struct download *d, const char *name, struct error *err) {
    d->blob = arena_printf(d->arena, err, "%s/blobs/%s", d->place->repo, name);
    d->part = arena_printf(d->arena, err, "%s/blobs/%s.incomplete",
                           d->place->repo, name);
    return d->blob && d->part;
}

static bool set_url(struct download *d, struct error *err) {
    struct strbuf text = strbuf_make(d->arena->memory);
    strbuf_add(&text, str_from(d->place->base));
    hub_quote(&text, d->file->path, "/");
    if (strbuf_ok(&text, err))
        d->url = arena_copy(d->arena, strbuf_str(&text), err);
    strbuf_free(&text);
    return d->url != NULL;
}

/* ---- bytes --------------------------------------------------------------- */

static bool start_over(struct download *d, struct error *err) {
    d->here = 0;
    d->trusted = true;
    return ftruncate(d->fd, 0) == 0 || error_errno(err, "empty %s", d->part);
}

/* A server that takes no notice of ranges sends all of it. */
static bool begin_body(void *context, const struct http_answer *answer,
                       struct error *err) {
    struct download *d = context;
    const char *encoding = http_header(answer, "content-encoding");
    const char *range = http_header(answer, "content-range");
    uint64_t first, last, total;
    if (encoding && strcmp(encoding, "identity") != 0)
        return error_set(err, ERROR_IO,
                         "%s: the hub sends %s in an encoding that was not "
                         "asked for",
                         d->hub->model, d->file->path);
    if (answer->status != 206)
        return d->here == 0 || start_over(d, err);
    if (d->here && range && http_content_range(range, &first, &last, &total) &&
        first == d->here && (total == d->size || total == UINT64_MAX))
        return true;
    start_over(d, NULL);
    return error_set(err, ERROR_BUSY,
                     "the hub answered with another part than was asked for");
}

static bool add_body(void *context, struct str piece, struct error *err) {
    struct download *d = context;
    if (piece.size > d->size - d->here)
        return error_set(err, ERROR_INPUT,
                         "%s: the hub sends more of %s than its %" PRIu64
                         " bytes",
                         d->hub->model, d->file->path, d->size);
    if (!file_pwrite(d->fd, piece.data, piece.size, d->here, d->part, err))
        return false;
    d->here += piece.size;
    d->report->bytes += piece.size;
    if (d->watch)
        d->watch->here(d->watch->context, d->here);
    return true;
}

static bool get_once(struct download *d, struct error *err) {
    struct hub_request request = {.what = d->file->path,
                                  .url = d->url,
                                  .from = d->here,
                                  .body_max = d->size,
                                  .context = d,
                                  .begin = begin_body,
                                  .body = add_body};
    struct http_answer answer;
    bool fine = hub_once(d->hub, &request, &answer, err);
    if (!fine && answer.status == 416 && d->here) {
        fine = start_over(d, err);
        error_set(err, fine ? ERROR_BUSY : ERROR_IO,
                  "the hub has no part behind the bytes that are here");
        fine = false;
    }
    http_answer_free(&answer);
    if (fine && d->here < d->size)
        return error_set(err, ERROR_BUSY,
                         "the connection was cut after %" PRIu64 " of %" PRIu64
                         " bytes",
                         d->here, d->size);
    return fine;
}

static bool get_all(struct download *d, struct error *err) {
    struct retry retry = retry_begin(&d->hub->settings->retry);
    /* A server that takes no notice of ranges begins anew each time: only what
     * was never reached before is progress, or it would never end. */
    uint64_t furthest = d->here;
    while (d->here < d->size) {
        struct error cause = {0};
        if (get_once(d, &cause))
            continue;
        if (d->here > furthest) {
            furthest = d->here;
            retry_progressed(&retry);
        }
        if (!hub_again(d->hub, &retry, d->file->path, &cause, err))
            return false;
    }
    return true;
}

/* ---- what others left ---------------------------------------------------- */

/* ETAG.8DIGITS.incomplete */
static bool is_orphan(const char *name, const char *part) {
    const char *base = strrchr(part, '/') + 1;
    size_t etag = strlen(base) - strlen(".incomplete"), size = strlen(name);
    return size == strlen(base) + 9 && strncmp(name, base, etag) == 0 &&
           name[etag] == '.' &&
           strspn(name + etag + 1, "0123456789abcdef") == 8 &&
           strcmp(name + etag + 9, ".incomplete") == 0;
}

/* We hold the lock, so whoever wrote such a file is gone. The longest one
 * becomes ours, the others go. */
static void adopt_orphans(struct download *d) {
    char *folder = arena_printf(d->arena, NULL, "%s/blobs", d->place->repo);
    DIR *dir = folder ? opendir(folder) : NULL;
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        uint64_t bytes = 0, ours = 0;
        char path[PATH_MAX];
        if (!is_orphan(entry->d_name, d->part) ||
            !path_join(path, folder, entry->d_name, NULL) ||
            !file_size(path, &bytes, NULL))
            continue;
        if (!file_exists(d->part) || !file_size(d->part, &ours, NULL))
            ours = 0;
        if (bytes > ours && bytes <= d->size)
            file_rename(path, d->part, NULL);
        else
            file_remove(path, NULL);
    }
    if (dir)
        closedir(dir);
}

static bool open_part(struct download *d, struct error *err) {
    struct stat status;
    adopt_orphans(d);
    d->fd = open(d->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (d->fd < 0 || fstat(d->fd, &status) != 0)
        return error_errno(err, "open %s", d->part);
    d->here = (uint64_t)status.st_size;
    if (d->here > d->size)
        return start_over(d, err);
    d->trusted = d->here == 0;
    d->report->resumed = d->report->resumed || d->here > 0;
    return true;
}

/* ---- the whole ----------------------------------------------------------- */

static bool check_digest(const struct download *d, bool *right,
                         struct error *err) {
    uint8_t digest[SHA256_BYTES];
    char hex[65];
    bool large = d->file->lfs_sha256 != NULL;
    if (large ? !hash_file_sha256(d->part, digest, err)
              : !hash_file_git_blob(d->part, digest, err))
        return false;
    hash_hex(digest, large ? SHA256_BYTES : SHA1_BYTES, hex);
    *right = strcmp(hex, digest_of(d->file)) == 0;
    return true;
}

static bool wrong_digest(const struct download *d, struct error *err) {
    file_remove(d->part, NULL);
    return error_set(err, ERROR_INPUT,
                     "%s: %s is not what the hub says it is (its %s is not "
                     "%s): it was thrown away; try again, and if it stays "
                     "so, the server or a proxy on the way is broken",
                     d->hub->model, d->file->path,
                     d->file->lfs_sha256 ? "SHA-256" : "git SHA-1",
                     digest_of(d->file));
}

static bool fill_part(struct download *d, struct error *err) {
    for (;;) {
        bool right = false;
        if (!get_all(d, err) || !file_sync(d->fd, d->part, err) ||
            !check_digest(d, &right, err))
            return false;
        if (right)
            return true;
        if (d->trusted)
            return wrong_digest(d, err);
        event_log(d->hub->sink, LOG_WARNING,
                  "%s: the bytes of %s that were here do not go with the "
                  "rest: fetching all of it again",
                  d->hub->model, d->file->path);
        if (!start_over(d, err))
            return false;
    }
}

static bool publish_blob(struct download *d, struct error *err) {
    bool fine = open_part(d, err) && fill_part(d, err) &&
                file_rename(d->part, d->blob, err);
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
    return fine;
}

/* "../" for each folder between the pointer and REPO, then the blob. */
static bool relative_target(const struct download *d, struct strbuf *target,
                            struct error *err) {
    strbuf_add(target, STR("../../"));
    for (const char *c = d->file->path; *c; c++)
        if (*c == '/')
            strbuf_add(target, STR("../"));
    strbuf_printf(target, "blobs/%s", strrchr(d->blob, '/') + 1);
    return strbuf_ok(target, err);
}

static bool no_links(int cause) {
    return cause == EPERM || cause == EOPNOTSUPP || cause == ENOSYS;
}

static bool make_link(const struct download *d, const char *target,
                      const char *pointer, struct error *err) {
    char old[PATH_MAX];
    ssize_t size = readlink(pointer, old, sizeof old - 1);
    if (size > 0) {
        old[size] = '\0';
        if (strcmp(old, target) == 0)
            return true;
    }
    if (!file_remove(pointer, err))
        return false;
    if (symlink(target, pointer) == 0)
        return true;
    if (errno == EEXIST) /* somebody else has just made it */
        return has_size(pointer, d->size) ||
               error_errno(err, "link %s", pointer);
    if (no_links(errno)) /* a disk without links: the file itself, as others */
        return file_rename(d->blob, pointer, err);
    return error_errno(err, "link %s", pointer);
}

static bool publish_pointer(struct download *d, struct error *err) {
    const char *pointer = pointer_path(d->arena, d->place, d->file, err);
    if (!pointer)
        return false;
    char *folder = arena_copy(d->arena, str_from(pointer), err);
    if (!folder)
        return false;
    *strrchr(folder, '/') = '\0';
    struct strbuf target = strbuf_make(d->arena->memory);
    bool fine = folder_make(folder, err) && relative_target(d, &target, err) &&
                make_link(d, target.data, pointer, err);
    strbuf_free(&target);
    return fine;
}

/* With the lock held. */
static bool fetch_locked(struct download *d, struct error *err) {
    bool fine = (has_size(d->blob, d->size) || publish_blob(d, err)) &&
                publish_pointer(d, err);
    if (fine && d->watch)
        d->watch->here(d->watch->context, d->size);
    return fine;
}

bool blob_fetch(struct hub *hub, struct arena *arena,
                const struct blob_place *place, const struct repo_file *file,
                const struct blob_watch *watch, struct blob_report *report,
                struct error *err) {
    struct download d = {.hub = hub,
                         .arena = arena,
                         .place = place,
                         .file = file,
                         .watch = watch,
                         .report = report,
                         .fd = -1,
                         .size = repo_file_bytes(file)};
    const char *name = digest_of(file);
    if (!set_url(&d, err) || !set_paths(&d, name, err) ||
        (!has_size(d.blob, d.size) &&
         (!ask_name(&d, &name, err) || !set_paths(&d, name, err))))
        return false;
    char *path = arena_printf(arena, err, "%s/%s.lock", place->locks, name);
    int lock = path ? cache_lock_take(path, file->path, hub->sink, err) : -1;
    if (lock < 0)
        return false;
    bool fine = fetch_locked(&d, err);
    cache_lock_release(lock);
    return fine;
}
