/* session.h - what every part of a run shares: the options, the memory, the
 * threads, the device and the sink.
 *
 *     struct session session;
 *     if (!session_open(&session, &options, sink, err)) ...
 *     session_close(&session);
 */

#ifndef RUN_SESSION_H
#define RUN_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/event.h"
#include "base/memory.h"
#include "base/pool.h"
#include "data/chunks.h"
#include "data/fuse.h"
#include "device/device.h"
#include "hub/hub.h"
#include "hub/model_files.h"
#include "run/phases.h"

/* What BM25 is told, and no other model; {0}: as fastembed (text/bm25.h). */
struct bm25_number {
    bool said;
    double value;
};
struct bm25_request {
    const char *language;  /* NULL: english */
    const char *stopwords; /* file with one a line; NULL: the language's own */
    struct bm25_number k, b, avg_len;
};

/* One model as the user named it. Strings are borrowed from the caller. */
struct model_request {
    const char *reference; /* folder, registry key or hub id */
    const char *revision;  /* NULL: main */
    const char *name;      /* KEY, or NULL for the model's own */
    const char *prompt;    /* name of a prompt, or NULL */
    const char *task;      /* of a model that knows several, or NULL */
    double weight;         /* in the fused vector; > 0 */
    size_t dim;            /* width to cut its vectors to; 0: not said */
    size_t budget;         /* most tokens in a batch; 0: default */
    enum number_type type; /* of a card's numbers; NUMBER_DEFAULT: not said */
    const char *account;   /* config.json whose bytes simulated cards charge, or
                              NULL */
    struct bm25_request bm25;
    /* set by run/requests.h */
    unsigned heads; /* bits of enum row_kind */
    enum model_use use;
};

/* Texts longer than a model's limit: cut there, or taken as windows of that
 * many tokens (run/long_text.h). */
struct long_texts {
    bool windows;
    size_t overlap; /* content tokens that two neighbours share */
};

/* --ceiling and --margin: DEVICE=BYTES. */
struct device_bytes {
    const char *device;
    uint64_t bytes;
};

enum run_mode {
    MODE_AUTO,
    MODE_SIMULTANEOUS, /* all models resident, each on its device */
    MODE_SEQUENTIAL,   /* models take turns, a window of texts each */
    MODE_EXCLUSIVE,    /* one model on all devices, whole collection */
};

enum export_bits {
    EXPORT_NPY = 1,
    EXPORT_POINTS = 2,
    EXPORT_TEXTS = 4,
    EXPORT_METADATA = 8,
    EXPORT_ALL = 15,
    EXPORT_NONE = 16,  /* compute and keep the rows, write no artefacts */
    EXPORT_TERMS = 32, /* the chunks' own term weights as a sparse vector; with
                          the files or points that are exported besides */
};

/* Models that are not in the cache. All zero: no request is ever made. */
struct hub_use {
    struct hub_settings settings; /* its endpoint NULL: offline */
    bool pull;    /* fetch what is missing (a plan only looks) */
    bool refresh; /* ask for the newest commit also when the cache is whole */
    bool insist;  /* a refresh that fails is an error, not a warning */
};

struct run_options {
    const char *command; /* for the summary, or NULL */
    const char *chunks;  /* folder, file or "-" */
    int input_fd;        /* what "-" reads */
    struct chunk_options chunk;
    const char *out;
    const char *scratch; /* folder for scratch files where there is no `out` */
    const struct model_request *models; /* dense; the first is the primary */
    size_t models_count;
    const struct model_request *sparse, *multi; /* sparse and ColBERT vectors;
                                                   one that stands in `models`
                                                   too shares its pass */
    size_t sparse_count, multi_count;
    const struct model_request *rerank; /* for `search`, or NULL */
    struct long_texts long_texts;
    struct hub_places places;
    struct hub_use hub;
    const char *isa;       /* NULL: best */
    unsigned threads;      /* 0: as many as this process may use */
    const char *devices;   /* --device list; NULL: all cards that can be used,
                              else the CPU */
    bool one_device;       /* of the cards that nobody named only the first */
    enum number_type type; /* of cards; NUMBER_DEFAULT: not said */
    const char *kernel_cache; /* as in device_options, and so: */
    const char *const *library_folders;
    const struct device_bytes *ceilings, *margins;
    size_t ceilings_count, margins_count;
    enum run_mode mode;
    bool warm;             /* keep models resident where the plan allows */
    int64_t lease_wait_ms; /* < 0: for ever */
    const char
        *lock_dir; /* of the devices' leases; NULL: leases lock nothing */
    const char *sim_script; /* path, or NULL */
    size_t dim;             /* 0: not said */
    enum fuse_method fuse;
    const char *prompt;      /* name of a prompt for all models, or NULL */
    const char *prompt_text; /* the prompt itself, or NULL */
    const char *task;        /* of all models that know tasks, or NULL */
    bool restart;
    bool skip_existing;
    unsigned exports;         /* export_bits; 0: all */
    const char *text_field;   /* NULL: "text" */
    const char *summary_path; /* NULL: OUT/summary.json */
};

struct station;

struct session {
    const struct run_options *options; /* borrowed */
    const struct sink *sink;           /* borrowed */
    struct memory memory;           /* the host's; its ceiling is the CPU's */
    struct pool *pool;              /* all threads */
    struct device_list list;        /* as the options name them */
    char why_cpu[DEVICE_WHY_BYTES]; /* why cards that are there are not used;
                                       "": they are, or there are none */
    enum number_type type_asked;    /* NUMBER_DEFAULT: nobody did */
    enum number_type type; /* that rows are to be made in (run/dtype.h) */
    struct device_script *script; /* of simulated cards, or NULL */
    struct station *stations; /* in the order of preference; the CPU is the last
                                 one, spare if it was not asked for */
    size_t stations_count;
    struct device *reference;   /* see session_reference; NULL: not opened */
    struct device *device;      /* of the first station */
    struct device_facts facts;  /* its, as of the opening */
    struct process_memory base; /* of the process, at the opening */
    struct phases phases;       /* of the thread that decides */
};

bool session_open(struct session *session, const struct run_options *options,
                  const struct sink *sink, struct error *err);
void session_close(struct session *session); /* {0} is fine */

/* Rows are to be made in TYPE, as those that are there were: cards that compute
 * in another one are opened again. Nothing may be on them. */
bool session_set_type(struct session *session, enum number_type type,
                      struct error *err);

/* Does anything but the CPU compute? Simulated cards count. */
bool session_has_cards(const struct session *session);

/* The CPU in f32, for comparing with what a run computes: a station's device,
 * or one that is opened at the first call and takes its lanes' buffers from
 * then on. Of --isa the instructions that f32 has (avx512 of avx512+vnni). */
struct device *session_reference(struct session *session, struct error *err);

struct lease_terms;
/* As the options say; with the session's sink. */
struct lease_terms session_lease_terms(const struct session *session);

#endif
