#include "cli/option_table.h"

#include <ctype.h>
#include <stdio.h>

#include "cli/suggest.h"

enum {
    RUN = COMMAND_BIT(COMMAND_RUN),
    EMBED = COMMAND_BIT(COMMAND_EMBED),
    TOKENIZE = COMMAND_BIT(COMMAND_TOKENIZE),
    PLAN = COMMAND_BIT(COMMAND_PLAN),
    SEARCH = COMMAND_BIT(COMMAND_SEARCH),
    PULL = COMMAND_BIT(COMMAND_PULL),
    CACHE = COMMAND_BIT(COMMAND_CACHE),
    MODELS = COMMAND_BIT(COMMAND_MODELS),
    DEVICES = COMMAND_BIT(COMMAND_DEVICES),
    DOCTOR = COMMAND_BIT(COMMAND_DOCTOR),
    BENCH = COMMAND_BIT(COMMAND_BENCH),
    HELP = COMMAND_BIT(COMMAND_HELP),
    INTAKE = RUN | PLAN,
    COMPUTE = RUN | PLAN | EMBED | SEARCH | BENCH,
    LEASE = RUN | EMBED | SEARCH | BENCH,
    FETCH = RUN | EMBED | TOKENIZE | SEARCH | BENCH | PULL,
    ALL = (1u << COMMAND_COUNT) - 1,
};

/* In the order of their enums. */
static const char *const modes[] = {"auto", "simultaneous", "sequential",
                                    "exclusive", NULL};
static const char *const isas[] = {
    "avx512+vnni+bf16", "avx512+vnni", "avx512+bf16", "avx512",
    "avx2+vnni",        "avx2",        "generic",     NULL};
static const char *const dtypes[] = {"f32",  "bf16", "fp16",
                                     "int8", "fp8",  NULL};
static const char *const fusions[] = {"mean", "concat", NULL};
static const char *const exports[] = {"npy",      "points", "texts",
                                      "metadata", "terms",  NULL};
static const char *const shells[] = {"bash", "zsh", "fish", NULL};

#define AT(member) .target = offsetof(struct options, member)

const struct option_row option_rows[] = {
    {"model", 'm', OPTION_MODEL, "MODEL", RUN | PLAN | EMBED | TOKENIZE | BENCH,
     RUN | PLAN | EMBED | TOKENIZE, AT(models),
     .help = "Model to embed with: a folder, a short name of `ensembed models` "
             "or a hub id, as MODEL[@REVISION][:key=value,...] with the keys "
             "weight, dim, prompt, task, name, dtype (as --dtype), budget "
             "(most tokens in a batch) and "
             "account (config.json of the model whose bytes simulated cards "
             "charge instead); several models are fused, the first is the "
             "primary"},
    {"sparse", 0, OPTION_MODEL, "MODEL", INTAKE, 0, AT(sparse),
     .otherwise = "none",
     .help = "Model for sparse vectors: bge-m3, a SPLADE model, or qdrant-bm25 "
             "(BM25, which needs no model; its keys are language, stopwords "
             "(a file, one a line), k, b and length (of a mean text, in "
             "words)); one that is a --model too shares its pass"},
    {"colbert", 0, OPTION_MODEL, "MODEL", INTAKE, 0, AT(colbert),
     .otherwise = "none",
     .help = "Model for a vector a token (late interaction): bge-m3 or a "
             "ColBERT model; one that is a --model too shares its pass"},
    {"rerank", 0, OPTION_MODEL, "MODEL", INTAKE | SEARCH, 0, AT(rerank),
     .most = 1, .otherwise = "none; in a search the run's",
     .help = "Model that `ensembed search` on the output puts the best chunks "
             "in order with"},
    {"out", 'o', OPTION_PATH, "DIR", INTAKE, RUN, AT(out),
     .help = "Folder for the vectors; the same command goes on there where it "
             "was interrupted"},
    {"device", 0, OPTION_TEXT, "LIST", COMPUTE | DEVICES, 0, AT(device),
     .otherwise = "all CUDA cards that can be used, else cpu; embed and search "
                  "use the first card",
     .help = "Where to compute, best first and separated by commas: cuda (all "
             "cards), cuda:N, cpu, a simulated card sim:NAME=BYTES, sim:t4 or "
             "sim:t4x2 (one or two simulated T4)"},
    {"dtype", 0, OPTION_CHOICE, "TYPE", COMPUTE, 0, AT(dtype),
     .choices = dtypes,
     .otherwise = "what rows that are there were made in; else bf16 on cards "
                  "from sm_80 on, fp16 on older ones, f32 elsewhere",
     .help = "Numbers that products are computed in; the CPU has f32, bf16 and "
             "int8, cards f32, bf16 and fp16, those from sm_89 on fp8 too. A "
             "device without the run's computes in f32"},
    {"cuda-libs", 0, OPTION_TEXTS, "DIR", COMPUTE | DEVICES | DOCTOR, 0,
     AT(cuda_libs), .otherwise = "where pip and the CUDA toolkit put them",
     .help =
         "Folder with NVIDIA's libraries (NVRTC, cuBLASLt), searched before "
         "the usual ones; may be said several times"},
    {"ceiling", 0, OPTION_BYTES, "DEVICE=BYTES", COMPUTE | DEVICES, 0,
     AT(ceilings),
     .otherwise = "of a card 75 %, and 512 MiB less than is free; of the cpu "
                  "80 % of what is free",
     .help = "Most memory to take on a device, such as cpu=2GiB"},
    {"margin", 0, OPTION_BYTES, "DEVICE=BYTES", COMPUTE | DEVICES, 0,
     AT(margins), .otherwise = "512MiB, and at most a 16th of the device",
     .help = "Memory of a device that stays free; with less, batches shrink "
             "and models move"},
    {"mode", 0, OPTION_ENUM, "MODE", INTAKE, 0, AT(mode), .choices = modes,
     .initial = "auto",
     .help = "All models at once, in turns, or one after the other on all "
             "devices; the vectors do not depend on it"},
    {"warm", 0, OPTION_FLAG, NULL, INTAKE, 0, AT(warm),
     .help = "Keep models loaded between passes and collections where there "
             "is room"},
    {"lease-wait", 0, OPTION_NUMBER, "SECONDS", LEASE, 0,
     AT(lease_wait_seconds), .least = 0, .most = 1000000000,
     .otherwise = "for ever",
     .help = "How long to wait for a card that another run leases; 0: not at "
             "all"},
    {"lock-dir", 0, OPTION_PATH, "DIR", LEASE | DEVICES, 0, AT(lock_dir),
     .initial = "/tmp/ensembed-locks",
     .help = "Folder of the cards' leases, the same one for all who share "
             "them"},
    {"sim-script", 0, OPTION_PATH, "FILE", COMPUTE, 0, AT(sim_script),
     .otherwise = "none",
     .help = "JSON Lines that say what happens to simulated cards, and when"},
    {"threads", 't', OPTION_NUMBER, "N", COMPUTE | TOKENIZE, 0, AT(threads),
     .least = 1, .most = 1024, .otherwise = "all processors it may use",
     .help = "Threads to compute with; the vectors do not depend on it"},
    {"isa", 0, OPTION_CHOICE, "ISA", COMPUTE, 0, AT(isa), .choices = isas,
     .otherwise = "the best that this machine has",
     .help = "Instruction set of the CPU to use"},
    {"dim", 0, OPTION_NUMBER, "N", RUN | PLAN | EMBED, 0, AT(dim), .least = 1,
     .most = 65536, .otherwise = "each model's own width",
     .help = "Cut every model's vectors to this width and normalise them "
             "again"},
    {"fuse", 0, OPTION_ENUM, "HOW", INTAKE, 0, AT(fuse), .choices = fusions,
     .initial = "mean",
     .help = "One vector from several models: their weighted mean, or all of "
             "them one behind the other"},
    {"prompt", 0, OPTION_TEXT, "NAME", RUN | PLAN | EMBED, 0, AT(prompt),
     .otherwise = "what the model declares for documents; for embed, its "
                  "default prompt",
     .help = "Name of the model's prompt that goes before each text"},
    {"prompt-text", 0, OPTION_TEXT, "TEXT", RUN | PLAN | EMBED, 0,
     AT(prompt_text), .otherwise = "none",
     .help = "Prompt that goes before each text, instead of one of the "
             "model's"},
    {"task", 0, OPTION_TEXT, "NAME", RUN | PLAN | EMBED, 0, AT(task),
     .otherwise = "the model's default",
     .help = "Task of models that know several, such as retrieval.passage"},
    {"long", 0, OPTION_LONG, "HOW", INTAKE, 0, AT(long_texts), .initial = "cut",
     .help = "Texts longer than a model's limit: cut, or window[:OVERLAP] to "
             "take them in windows of the limit that share OVERLAP tokens, and "
             "pool the windows' vectors"},
    {"collection", 'c', OPTION_TEXTS, "NAME", RUN | PLAN | SEARCH, 0,
     AT(collections), .otherwise = "all",
     .help = "Take only this collection; may be said several times"},
    {"as", 0, OPTION_TEXT, "NAME", INTAKE, 0, AT(as),
     .otherwise = "the folders' names",
     .help = "Make one collection of this name of everything"},
    {"collapse-whitespace", 0, OPTION_FLAG, NULL, INTAKE, 0,
     AT(collapse_whitespace),
     .help = "Make one space of each run of white space before embedding"},
    {"trim-chars", 0, OPTION_NUMBER, "N", INTAKE, 0, AT(trim_chars), .least = 4,
     .most = UINT32_MAX, .otherwise = "off",
     .help = "Cut texts to N characters, the last three of them dots"},
    {"restart", 0, OPTION_FLAG, NULL, RUN, 0, AT(restart),
     .help = "Forget the rows that are there and compute all of them again"},
    {"skip-existing", 0, OPTION_FLAG, NULL, RUN, 0, AT(skip_existing),
     .help = "Leave collections alone whose files are complete"},
    {"export", 0, OPTION_SET, "LIST", INTAKE, 0, AT(exports),
     .choices = exports, .initial = "npy,points,texts,metadata",
     .help = "Files to write, separated by commas; terms (the chunks' own term "
             "weights, of sparse_features) adds a sparse vector of that name "
             "to the others"},
    {"text-field", 0, OPTION_TEXT, "FIELD", INTAKE, 0, AT(text_field),
     .initial = "text", .help = "Name of the text in the points' payload"},
    {"summary", 0, OPTION_PATH, "FILE", RUN, 0, AT(summary),
     .otherwise = "DIR/summary.json", .help = "Where to write the summary"},
    {"npy", 0, OPTION_PATH, "FILE", EMBED, 0, AT(npy),
     .otherwise = "JSON arrays on standard output",
     .help = "Write the vectors to a NumPy file"},
    {"by", 0, OPTION_TEXTS, "VECTORS", SEARCH, 0, AT(by), .otherwise = "all",
     .help = "Compare by these vectors only: dense, sparse, multi, or one of "
             "the names in stats.json (KEY-sparse, KEY-multi); may be said "
             "several times. What several find is joined by their ranks"},
    {"candidates", 0, OPTION_NUMBER, "N", SEARCH, 0, AT(candidates), .least = 1,
     .most = 10000, .otherwise = "100",
     .help = "Chunks that the reranker looks at"},
    {"no-rerank", 0, OPTION_FLAG, NULL, SEARCH, 0, AT(no_rerank),
     .help = "Leave the chunks in the order of their vectors"},
    {"top", 'k', OPTION_NUMBER, "N", SEARCH, 0, AT(top), .least = 1,
     .most = 1000000, .initial = "10", .help = "How many chunks to show"},
    {"offline", 0, OPTION_FLAG, NULL, FETCH, 0, AT(offline),
     .help = "Make no request: a model that is not whole in the cache is an "
             "error; HF_HUB_OFFLINE=1 says the same"},
    {"refresh", 0, OPTION_FLAG, NULL, FETCH, 0, AT(refresh),
     .help = "Ask the hub for the newest commit of the revision even if the "
             "cache is whole"},
    {"json", 0, OPTION_FLAG, NULL,
     RUN | PLAN | SEARCH | PULL | CACHE | MODELS | DEVICES | DOCTOR | BENCH, 0,
     AT(json), .help = "Answer in JSON on standard output"},
    {"config", 0, OPTION_PATH, "FILE", ALL & ~HELP, 0, AT(config),
     .otherwise = "none",
     .help = "JSON object with any of these options under their long names"},
    {"progress", 0, OPTION_FLAG, NULL, ALL & ~HELP, 0, AT(progress),
     .initial = "1", .help = "Show no progress on standard error"},
    {"quiet", 'q', OPTION_LEVEL, NULL, ALL & ~HELP, 0, AT(verbosity),
     .least = VERBOSITY_QUIET, .help = "Say nothing but warnings and errors"},
    {"verbose", 'v', OPTION_LEVEL, NULL, ALL & ~HELP, 0, AT(verbosity),
     .least = VERBOSITY_VERBOSE, .help = "Say more"},
    {"man", 0, OPTION_FLAG, NULL, HELP, 0, AT(man), .line_only = true,
     .help = "Print the man page"},
    {"completion", 0, OPTION_CHOICE, "SHELL", HELP, 0, AT(completion),
     .choices = shells, .line_only = true,
     .help = "Print the completion script for a shell"},
    {"help", 'h', OPTION_FLAG, NULL, ALL, 0, AT(help), .line_only = true,
     .help = "Show this help"},
    {"version", 0, OPTION_FLAG, NULL, ALL, 0, AT(version), .line_only = true,
     .help = "Show the version"},
    {.name = NULL},
};

_Static_assert(sizeof option_rows / sizeof *option_rows <= OPTION_ROWS_MAX,
               "lists of them have room");

const struct command_row command_rows[COMMAND_COUNT] = {
    [COMMAND_RUN] =
        {"run", "CHUNKS", 1, 1,
         "say which chunks to embed: a folder, a file, or - for standard input",
         "Embed collections of chunks and write the vectors",
         "CHUNKS is a folder of chunk files (*_chunks.json and other JSON, at "
         "any depth), a single JSON or JSON Lines file, or - for JSON Lines on "
         "standard input. A folder that directly holds a chunk file is one "
         "collection, else each folder in it is one. Each collection gets a "
         "folder of its own in the output folder, which also gets "
         "summary.json. An interrupted run goes on when the same command is "
         "given again; changed or new chunks are computed, the others are "
         "reused.",
         "ensembed run Chunked --model sentence-transformers/all-MiniLM-L6-v2 "
         "--out vectors"},
    [COMMAND_EMBED] =
        {"embed", "[TEXT...]", 0, SIZE_MAX, "",
         "Print the vectors of a few texts",
         "Texts come from the arguments or, without any, as JSON Lines from "
         "standard input (strings, or objects with \"text\"). Each vector is "
         "one line, a JSON array. With several models the vectors are those of "
         "one model after the other.",
         "ensembed embed --model all-miniLM-l6 --prompt query 'what is a "
         "chunk?'"},
    [COMMAND_TOKENIZE] =
        {"tokenize", "[TEXT...]", 0, SIZE_MAX, "",
         "Show what a model sees of a text",
         "Texts come from the arguments or, without any, as JSON Lines from "
         "standard input. Each gives one line: {\"ids\", \"tokens\", "
         "\"truncated\"}, where truncated is the number of tokens that did not "
         "fit.",
         "ensembed tokenize --model all-miniLM-l6 'what is a chunk?'"},
    [COMMAND_PLAN] =
        {"plan", "CHUNKS", 1, 1,
         "say which chunks to plan for: a folder, a file, or - for standard "
         "input",
         "Show what a run would take, before anything is loaded",
         "Reads the chunks and the models' files, and shows the bytes of "
         "memory and disk that `ensembed run` with the same options takes.",
         "ensembed plan Chunked --model all-miniLM-l6 --out vectors"},
    [COMMAND_SEARCH] =
        {"search", "DIR QUESTION", 2, 2,
         "say the folder of a finished run and the question (in quotes)",
         "Answer a question from the files of a run",
         "Encodes the question with the models that made the vectors in DIR "
         "and shows the nearest chunks of all its collections, best first. "
         "Needs no server.",
         "ensembed search vectors 'how does a run resume?' -k 3"},
    [COMMAND_PULL] =
        {"pull", "MODEL...", 1, SIZE_MAX,
         "say which models to fetch: short names of `ensembed models` or hub "
         "ids",
         "Fetch models into the Hugging Face cache",
         "MODEL is MODEL[@REVISION], a short name or a hub id. Fetches the "
         "files that a model is made of and no others, checks their digests, "
         "goes on where an earlier pull stopped, and leaves the cache as "
         "huggingface_hub would. A model that is whole in the cache costs no "
         "request. HF_TOKEN or the token file of `hf auth login` opens gated "
         "models, HF_ENDPOINT names another server.",
         "ensembed pull all-miniLM-l6 BAAI/bge-small-en-v1.5@main"},
    [COMMAND_CACHE] = {"cache", "", 0, 0, "",
                       "Show the models in the Hugging Face cache",
                       "Repositories with their commits and branches, whether "
                       "each commit is whole, and the bytes on the disk.",
                       "ensembed cache"},
    [COMMAND_MODELS] = {"models", "", 0, 0, "",
                        "Show the models known by a short name, and which are "
                        "on this machine",
                        "A model is usable when all its files are in the "
                        "Hugging Face cache (HF_HUB_CACHE, or HF_HOME/hub) and "
                        "its architecture is one that this release computes.",
                        "ensembed models"},
    [COMMAND_DEVICES] =
        {"devices", "", 0, 0, "",
         "Show devices, their memory and who leases them",
         "For each device of --device: its memory, what is free of it, what a "
         "run would take at most (--ceiling), what it would leave free "
         "(--margin), and the process that leases it now.",
         "ensembed devices --device sim:t4x2"},
    [COMMAND_DOCTOR] = {"doctor", "", 0, 0, "",
                        "Show what this machine offers, and what is missing",
                        "Processors, instruction sets, memory and its limits, "
                        "disk, the model cache, cards, and NVIDIA's libraries "
                        "with the command that installs those that are "
                        "missing.",
                        "ensembed doctor"},
    [COMMAND_BENCH] =
        {"bench", "", 0, 0, "",
         "Measure tokens a second against this machine's own ceiling",
         "Times the matrix product in the shapes of a model and the whole "
         "model in the same run.",
         "ensembed bench --model all-miniLM-l6"},
    [COMMAND_HELP] = {"help", "[COMMAND]", 0, 1, "",
                      "Show help, the man page or a completion script", "",
                      "ensembed help run"},
};

const struct option_row *option_find(struct str name) {
    for (const struct option_row *row = option_rows; row->name; row++)
        if (str_equal(str_from(row->name), name))
            return row;
    return NULL;
}

const struct option_row *option_find_letter(char letter) {
    for (const struct option_row *row = option_rows; row->name; row++)
        if (letter && row->letter == letter)
            return row;
    return NULL;
}

const char *option_near(const char *word, enum command command,
                        char name[OPTION_NAME_MAX]) {
    const char *names[OPTION_ROWS_MAX] = {NULL};
    size_t count = 0;
    bool negated = strncmp(word, "no-", 3) == 0;
    for (const struct option_row *row = option_rows; row->name; row++)
        if (option_applies(row, command) && (!negated || option_is_flag(row)))
            names[count++] = row->name;
    const char *near = suggest(word + (negated ? 3 : 0), names);
    if (!near)
        return NULL;
    snprintf(name, OPTION_NAME_MAX, "%s%s", negated ? "no-" : "", near);
    return name;
}

enum command command_find(const char *name) {
    unsigned i = 0;
    while (i < COMMAND_COUNT && strcmp(command_rows[i].name, name) != 0)
        i++;
    return (enum command)i;
}

bool option_applies(const struct option_row *row, enum command command) {
    return (row->commands & COMMAND_BIT(command)) != 0;
}

bool option_is_list(const struct option_row *row) {
    return row->type == OPTION_TEXTS || row->type == OPTION_MODEL ||
           row->type == OPTION_BYTES;
}

bool option_is_flag(const struct option_row *row) {
    return row->type == OPTION_FLAG || row->type == OPTION_LEVEL;
}

bool option_is_on(const struct option_row *row) {
    return row->type == OPTION_FLAG && row->initial;
}

void option_environment_name(const struct option_row *row,
                             char name[OPTION_NAME_MAX]) {
    snprintf(name, OPTION_NAME_MAX, "ENSEMBED_%s", row->name);
    for (char *c = name; *c; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}
