/* chunks.h - from a folder of chunk files to numbered chunks, in memory that
 * does not grow with them.
 *
 *     struct chunk_listing *list = chunks_list(memory, "Chunked", &opt, err);
 *     for each collection c of list:
 *         struct intake *in = intake_scan(memory, c, &opt, scratch, sink, err);
 *         struct chunk_reader *r = chunk_reader_open(in, err);
 *         while (chunk_reader_next(r, false, &chunk, err) == CHUNK_OK)
 *             ... chunk.text ...
 *
 * intake_scan reads every file once: it checks it whole, finds where each
 * chunk lies, and writes one fixed-size record a chunk to a scratch file. A
 * chunk_reader walks those records and decodes each chunk again from its own
 * bytes, so nothing is held but the chunk at hand. A broken file gives no
 * chunks, a broken line costs that line; each is a problem in the report, and
 * the scan goes on.
 */

#ifndef DATA_CHUNKS_H
#define DATA_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/event.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/str.h"

struct chunk_options {
    const char *as;                 /* NULL, or the one collection's name */
    const char *const *collections; /* names to take; NULL: all */
    size_t collections_count;
    bool collapse_whitespace; /* each run of whitespace is one space */
    size_t trim_chars;        /* 0: off; a longer text is its first trim_chars
                                 characters and "..." */
    size_t read_bytes;        /* of the read buffer; 0: 256 KiB (for tests) */
    struct pool *pool;        /* whose threads intake_scan uses, borrowed; NULL:
                                 the caller's alone */
};

struct chunk_file {
    const char *path;     /* to open */
    const char *relative; /* below the collection's root, with '/', as UTF-8;
                             in messages and in chunk ids */
    bool lines;           /* JSON Lines: .jsonl, .ndjson, standard input */
};

struct collection {
    const char *name;      /* as the folder or --as says */
    const char *folder;    /* its output folder's name: [A-Za-z0-9_-] */
    const char *canonical; /* payload_canonical_collection */
    const struct chunk_file *files; /* sorted by path bytes */
    size_t files_count;
    bool missing; /* asked for by name, and not there */
};

struct chunk_listing {
    const struct collection *collections; /* sorted by name */
    size_t count;
    const struct collection *others; /* that were not asked for */
    size_t others_count;
};

/* PATH is a folder, a file or "-" (standard input: one collection whose only
 * file has path "-"; the caller spools it to disk and sets the path of the
 * copy with chunks_set_path before the scan). ERROR_MISSING if PATH is not
 * there; a folder without chunk files gives count 0. The caller frees. */
struct chunk_listing *chunks_list(struct memory *memory, const char *path,
                                  const struct chunk_options *options,
                                  struct error *err);
void chunks_free(struct chunk_listing *listing); /* NULL is fine */
bool chunks_set_path(struct chunk_listing *listing, size_t collection,
                     const char *path, struct error *err);

/* One thing that was wrong with the input, in words. */
struct chunk_problem {
    const char *file;      /* relative path */
    uint64_t line, column; /* 1-based; 0: the whole file */
    const char *message;   /* a clear sentence, with the file in it */
    const char *code;      /* "broken_file", "broken_line", "not_utf8",
                              "unreadable_file", "bad_shape", "bad_chunk",
                              "chunk_too_long"; where nothing is left out:
                              "no_chunks", "blank_chunk", "repeated_id",
                              "bare_string", "lone_surrogate" */
    bool failed; /* something was left out: the run's exit status is 1 */
};

struct intake_counts {
    uint64_t files, files_failed, lines_failed;
    uint64_t found;     /* chunk objects, blank ones included */
    uint64_t points;    /* found - blank - failed: what is exported */
    uint64_t unique;    /* distinct texts among points */
    uint64_t duplicate; /* points - unique */
    uint64_t blank;
    uint64_t failed;             /* chunks that could not be read */
    uint64_t repeated_ids;       /* got #2, #3, ... */
    uint64_t surrogates;         /* lone escapes that became U+FFFD */
    uint64_t bytes;              /* of all files */
    uint64_t text_bytes;         /* of all points, as embedded */
    uint64_t text_bytes_longest; /* of one text */
    uint64_t id_bytes;           /* of all points' ids */
    uint64_t id_bytes_longest;
    uint64_t chunk_bytes_longest; /* of one chunk as it stands in its file */
    uint64_t made_bytes_longest;  /* of metadata that we put together */
};

struct intake {
    struct memory *memory;
    const struct collection *collection; /* borrowed */
    struct chunk_options options;
    struct intake_counts counts;
    char longest_id[256]; /* of the chunk with the longest text, cut */
    const struct chunk_problem *problems; /* the first PROBLEMS_KEPT */
    size_t problems_count;                /* kept */
    uint64_t problems_total;              /* all there were */
    uint8_t digest[SHA256_BYTES]; /* over every point's id, text and metadata
                                     in order: equal digests, equal export */
    char *records;                /* path of the scratch file, owned */
    struct arena *arena;          /* owner of the strings above */
};
enum { PROBLEMS_KEPT = 1000 };

/* SCRATCH is a folder that exists and is ours. Stops early with
 * ERROR_INTERRUPTED when the sink says so. NULL only for errors of our own
 * side (disk, memory); bad input is in problems. The caller frees, which also
 * removes the scratch file. Problems are also told to the sink as they are
 * found: a log line each (warning, or error where something was left out; at
 * most 20 lines a collection, then a count) and an event "chunk_problem". */
struct intake *intake_scan(struct memory *memory,
                           const struct collection *collection,
                           const struct chunk_options *options,
                           const char *scratch, const struct sink *sink,
                           struct error *err);
void intake_free(struct intake *intake); /* NULL is fine */

/* A chunk decoded. Valid until the next call on its reader. */
struct chunk {
    uint64_t point;      /* 0-based among points: its row and line at the end,
                            if no point before it fails */
    struct str text;     /* what is embedded: options applied */
    struct str original; /* the text as it came */
    struct str metadata; /* a JSON object, byte for byte as it came (so it may
                            have line ends: json_compact), but for lone
                            surrogate escapes, which are \ufffd; where the
                            chunk has none, its other members as one object */
    struct str chunk_id; /* unique in the collection: with #2 where repeated */
    uint8_t id[16];      /* the point's UUID */
    uint8_t digest[SHA256_BYTES]; /* of text */
    bool duplicate;               /* an earlier point has the same text */
    const char *file;             /* relative path */
};

struct chunk_reader;

struct chunk_reader *chunk_reader_open(const struct intake *intake,
                                       struct error *err);
/* The most that it holds, as memory counts it: all of it from the opening,
 * unless a chunk is longer than 1 MiB. */
uint64_t chunk_reader_bytes(const struct intake *intake);
/* The same for one that is asked only for chunks of MOST bytes at most. */
struct chunk_reader *chunk_reader_open_for(const struct intake *intake,
                                           uint64_t most, struct error *err);
uint64_t chunk_reader_bytes_for(const struct intake *intake, uint64_t most);
void chunk_reader_close(struct chunk_reader *reader); /* NULL is fine */

enum chunk_step { CHUNK_OK, CHUNK_END, CHUNK_ERROR };
/* The next point. CHUNK_ERROR when the file is gone or its chunk is no longer
 * what was scanned (names it). With UNIQUE_ONLY points whose text an earlier
 * one has are passed over without being decoded. */
enum chunk_step chunk_reader_next(struct chunk_reader *reader, bool unique_only,
                                  struct chunk *chunk, struct error *err);

/* Only the digest of the next point, without decoding it. */
enum chunk_step chunk_reader_digest(struct chunk_reader *reader,
                                    bool unique_only, uint64_t *point,
                                    uint8_t digest[SHA256_BYTES],
                                    struct error *err);
/* Decode the point that chunk_reader_digest gave last. */
bool chunk_reader_decode(struct chunk_reader *reader, struct chunk *chunk,
                         struct error *err);
/* Bytes of it as it stands in its file. */
uint64_t chunk_reader_size(const struct chunk_reader *reader);
/* POINT, of [0, counts.points), comes next. Readers of one intake may be used
 * by a thread each. */
void chunk_reader_seek(struct chunk_reader *reader, uint64_t point);

/* Read only the text of one chunk object or bare string (a JSON document of
 * its own, as `ensembed embed` and `tokenize` get them a line): {"text"},
 * {"content"} or a string. OUT is cleared first. ERROR_INPUT with NAME and
 * LINE. */
bool chunk_line_text(struct str line, const char *name, uint64_t number,
                     struct strbuf *out, struct error *err);

#endif
