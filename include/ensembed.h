/* ensembed.h - embed collections of text chunks with dense models, from C or
 * C++. (Sparse vectors, ColBERT and rerankers are the program's alone.)
 *
 *     ens_model model = {.reference = "models/all-MiniLM-L6-v2"};
 *     ens_config config;
 *     ens_config_init(&config);
 *     config.out = "vectors";
 *     config.models = &model;
 *     config.models_count = 1;
 *
 *     ens_error error;
 *     ens_embedder *e = ens_create(&config, &error);
 *     ens_counts counts;
 *     ens_result result;
 *     if (!e || !ens_load_chunks(e, "Chunked", &counts, &error) ||
 *         !ens_run(e, &result, &error) || !ens_export(e, &result, &error))
 *         fprintf(stderr, "%s\n", error.message);
 *     ens_destroy(e);
 *
 * examples/embed.c and examples/similarity.cpp are whole programs.
 *
 * The library never prints, never ends the process and never reads the
 * environment: all it has to say goes to the callbacks and into ens_error. It
 * makes no request either: a model is a folder, or lies in the Hugging Face
 * cache that ens_config names (`ensembed pull` puts it there).
 *
 * Ownership: what a function returns by pointer belongs to the embedder and
 * stays valid until the next call of the same function or ens_destroy. Strings
 * and arrays in a configuration are copied by ens_create. All strings are
 * UTF-8 and end with NUL; paths are the system's bytes.
 *
 * Errors: a function that fails returns false, NULL or 0 and fills its
 * ens_error; on success it does not touch it. Where only the answer matters,
 * ens_error and the structures of results may be NULL. A failed call leaves the
 * embedder usable. Messages name the program's options; the member of
 * ens_config of that name is meant.
 *
 * Threads: an embedder is used by one thread at a time; it works with threads
 * of its own. Callbacks come from the thread that called, and call nothing of
 * this embedder. Several embedders may live side by side; only one at a time
 * may load chunks for an output folder, or run in it (ENS_BUSY).
 *
 * Weights are read where they are mapped: who shortens a model's file while it
 * is in use ends the process by SIGBUS.
 *
 * Versions: a function stays. A struct that grows begins with its own size,
 * set by its init function, so that old callers go on working.
 */

#ifndef ENSEMBED_H
#define ENSEMBED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define ENS_API __attribute__((visibility("default")))
#else
#define ENS_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0" */
ENS_API const char *ens_version(void);

/* What went wrong, named by what can be done about it. */
typedef enum ens_code {
    ENS_OK = 0,
    ENS_USAGE,       /* ask differently */
    ENS_CONFLICT,    /* the output was made by another model or prompt */
    ENS_BAD_INPUT,   /* mend the file that is named */
    ENS_MISSING,     /* get what is named */
    ENS_UNSUPPORTED, /* use another model or option */
    ENS_IO,          /* the system refused */
    ENS_DISK_FULL,   /* free disk space, run again */
    ENS_MEMORY,      /* raise the ceiling, ask for less */
    ENS_BUSY,        /* try again later: a card, or files that a run writes */
    ENS_INTERRUPTED, /* run again: it goes on */
    ENS_DEVICE,      /* use another device */
    ENS_BAD_VECTOR   /* the model computed nonsense */
} ens_code;

typedef struct ens_error {
    ens_code code;
    char message[1024]; /* one sentence, UTF-8 */
} ens_error;

/* ---- configure ---------------------------------------------------------- */

/* A model. Members that are 0 or NULL take their defaults. */
typedef struct ens_model {
    const char *reference; /* folder; or a hub id or short name (`ensembed
                              models`), found in ens_config.model_cache */
    const char *revision;  /* branch, tag or commit; NULL: main */
    const char *name;      /* for files and vectors; NULL: the model's own */
    const char *prompt;    /* name of one of the model's prompts */
    double weight;         /* in the fused vector; 0: 1 */
    size_t dim;            /* width to cut its vectors to; 0: its own */
    size_t batch_tokens;   /* most tokens in a batch; 0: default */
} ens_model;

typedef enum ens_fuse { ENS_FUSE_MEAN = 0, ENS_FUSE_CONCAT } ens_fuse;

enum {
    ENS_EXPORT_NPY = 1,
    ENS_EXPORT_POINTS = 2,
    ENS_EXPORT_TEXTS = 4,
    ENS_EXPORT_METADATA = 8,
    ENS_EXPORT_ALL = 15,
    ENS_EXPORT_TERMS = 32 /* the chunks' own term weights as a sparse vector */
};

/* How several models share the devices; the vectors are the same. */
typedef enum ens_mode {
    ENS_MODE_AUTO = 0,     /* chosen by the plan; an event says why */
    ENS_MODE_SIMULTANEOUS, /* all models loaded, each on its device */
    ENS_MODE_SEQUENTIAL,   /* models take turns, a window of texts each */
    ENS_MODE_EXCLUSIVE     /* one model at a time, on all devices */
} ens_mode;

/* Bytes of one device, such as "cpu". */
typedef struct ens_limit {
    const char *device;
    uint64_t bytes;
} ens_limit;

typedef struct ens_config {
    size_t size;             /* set by ens_config_init */
    const char *out;         /* folder of the results; required for a run */
    const ens_model *models; /* [models_count]; the first is the primary */
    size_t models_count;
    const char *model_cache; /* Hugging Face cache, the folder that the hub's
                                programs call HF_HUB_CACHE; NULL: models are
                                folders */
    const char *isa;         /* "avx512", "avx2", "generic" and the names of
                                docs/dtypes.md; NULL: best */
    unsigned threads;        /* 0: all that this process may use */
    uint64_t ceiling_bytes;  /* of memory; 0: 80 % of what is free */
    size_t dim;              /* width to cut all vectors to; 0: own */
    ens_fuse fuse;
    unsigned exports;        /* ENS_EXPORT_ bits; 0: all but terms */
    const char *prompt;      /* name of a prompt for all models, or NULL */
    const char *prompt_text; /* the prompt itself, or NULL */
    const char *as;          /* one collection of this name, or NULL */
    const char *const *collections; /* [collections_count] names; NULL: all */
    size_t collections_count;
    bool collapse_whitespace;
    size_t trim_chars;      /* 0: off */
    bool restart;           /* forget what was computed before */
    const char *text_field; /* of the points' payload; NULL: "text" */
    /* Where to compute, the best place first: "cuda:1,cpu"; NULL: all CUDA
     * cards that can be used, else "cpu". */
    const char *devices;
    const char *dtype;        /* what products are computed in: "f32", "bf16",
                                 "int8" (the CPU), "fp16" (cards), "fp8" (cards
                                 from sm_89 on); NULL: what rows that are there
                                 were made in, else bf16 on cards (fp16 before
                                 sm_80) and "f32" on the CPU */
    const char *kernel_cache; /* folder where kernels for cards are kept once
                                 they are compiled; NULL: nowhere */
    const char *const *library_folders; /* where to look for NVIDIA's libraries
                                 besides the loader's own places, NULL at the
                                 end: a CUDA toolkit, or the site-packages that
                                 pip installs into; NULL: nowhere */
    const ens_limit
        *ceilings; /* [ceilings_count] most to hold; else defaults */
    size_t ceilings_count;
    const ens_limit *margins; /* [margins_count] what should stay free */
    size_t margins_count;
    ens_mode mode;
    bool warm;            /* keep models loaded where the plan allows */
    const char *lock_dir; /* where processes lease cards from each other; NULL:
                             they do not */
    bool lease_at_once;   /* fail with ENS_BUSY instead of waiting for a card */
} ens_config;

/* Every member at its default. */
ENS_API void ens_config_init(ens_config *config);

typedef struct ens_embedder ens_embedder;

/* NULL and ERROR if the configuration cannot be. Nothing is loaded yet. */
ENS_API ens_embedder *ens_create(const ens_config *config, ens_error *error);
ENS_API void ens_destroy(ens_embedder *embedder); /* NULL is fine */

/* ---- what it says while it works ---------------------------------------- */

typedef enum ens_level {
    ENS_DEBUG,
    ENS_INFO,
    ENS_WARNING,
    ENS_ERROR
} ens_level;

typedef struct ens_progress {
    const char *collection;
    const char *stage;     /* "read", "embed", "export" */
    const char *model;     /* while embedding, else NULL */
    unsigned pass, passes; /* from 1; 0 outside of passes */
    uint64_t done, total;  /* texts, points or bytes; total 0: not known */
    double tokens_per_second;
    double seconds_left;                  /* below 0: not known */
    uint64_t memory_live, memory_ceiling; /* bytes */
} ens_progress;

/* Any of them may be NULL. Arguments are borrowed for the call. */
typedef struct ens_callbacks {
    void *context;
    void (*log)(void *context, ens_level level, const char *message);
    void (*progress)(void *context, const ens_progress *progress);
    /* JSON is an object; docs/events.md lists the types. */
    void (*event)(void *context, const char *type, const char *json);
    /* True asks the work to stop at the next batch: ENS_INTERRUPTED. */
    bool (*interrupted)(void *context);
} ens_callbacks;

ENS_API void ens_set_callbacks(ens_embedder *embedder,
                               const ens_callbacks *callbacks);

/* Events so far, oldest first: {"type": ..., fields} as JSON. The first
 * ENS_EVENTS_KEPT are kept. NULL for an index that is not there. */
enum { ENS_EVENTS_KEPT = 20000 };
ENS_API size_t ens_event_count(const ens_embedder *embedder);
ENS_API const char *ens_event(const ens_embedder *embedder, size_t index);

/* ---- the main job ------------------------------------------------------- */

typedef struct ens_counts {
    uint64_t collections, files, files_failed;
    uint64_t chunks; /* found, blank ones included */
    uint64_t points; /* that a run embeds */
    uint64_t unique; /* distinct texts among them */
    uint64_t duplicate, blank;
} ens_counts;

/* Say which chunks to work on, and check them: a folder of chunk files, a JSON
 * or JSON Lines file. Broken files are counted and reported by log and event,
 * and the rest is taken; only if nothing is there does it fail. */
ENS_API bool ens_load_chunks(ens_embedder *embedder, const char *path,
                             ens_counts *counts, ens_error *error);

typedef struct ens_result {
    uint64_t points;         /* in the files, duplicates included: 0 of
                                ens_run, which writes none */
    uint64_t texts_computed; /* by this call */
    uint64_t texts_reused;   /* from an earlier one */
    uint64_t truncated;      /* cut at a model's limit */
    uint64_t blank, left_out, files_failed;
    uint64_t tokens;
    double duration_ms;
} ens_result;

/* Compute every vector that the output folder does not have yet and keep them
 * there: killed, the same call goes on. False also when only part could be
 * done; RESULT is filled then too, and ERROR says what is missing. Models are
 * loaded by each call and let go at its end. */
ENS_API bool ens_run(ens_embedder *embedder, ens_result *result,
                     ens_error *error);

/* Write the files (arrays, points, texts, metadata, stats) of all collections;
 * computes what ens_run has not. The same rules. */
ENS_API bool ens_export(ens_embedder *embedder, ens_result *result,
                        ens_error *error);

/* summary.json of the last ens_run or ens_export; NULL before it. */
ENS_API const char *ens_summary(const ens_embedder *embedder);

/* ---- using the vectors -------------------------------------------------- */

typedef struct ens_hit {
    const char *collection;
    const char *chunk_id;
    const char *text;
    const char *source_file;
    double score;
    uint64_t row; /* of the collection's arrays */
} ens_hit;

/* The TOP chunks of the exported files nearest to QUESTION (UTF-8, or
 * ENS_USAGE), best first. ENS_BUSY where a run wrote the files anew meanwhile.
 * *HITS is [*count] and belongs to the embedder. Works on the files of an
 * earlier process too, without ens_load_chunks; each call loads the models that
 * made them. */
ENS_API bool ens_search(ens_embedder *embedder, const char *question,
                        size_t top, const ens_hit **hits, size_t *count,
                        ens_error *error);

/* Width of the primary model's vectors; 0 and ERROR if it cannot be used. */
ENS_API size_t ens_width(ens_embedder *embedder, ens_error *error);

/* What a text is: a chunk, a question, or neither (the model's default prompt,
 * if it has one). */
typedef enum ens_role { ENS_DOCUMENT, ENS_QUERY, ENS_PLAIN } ens_role;

/* Vectors of COUNT texts (UTF-8, or ENS_USAGE; NUL at the end) by the primary
 * model, with the prompt that it has for ROLE, into VECTORS [count, ens_width],
 * row after row. They are normalised where the model does that, and a text over
 * its limit is cut. The model stays loaded between calls with the same role;
 * neither config.out nor chunks are needed. */
ENS_API bool ens_embed(ens_embedder *embedder, const char *const *texts,
                       size_t count, ens_role role, float *vectors,
                       ens_error *error);

#ifdef __cplusplus
}
#endif

#endif
