/* registry.c - see registry.h. */

#include "hub/registry.h"

#include <stddef.h>
#include <strings.h>

/* The widths are those that the models give, not those that the system which
 * this replaces cut them to. */
static const struct registry_entry ENTRIES[] = {
    {.key = "jina-code-embeddings-1.5b",
     .id = "jinaai/jina-code-embeddings-1.5b",
     .width = 1536,
     .max_tokens = 32768,
     .matryoshka = {256, 512, 1024, 1536},
     .family = "qwen2"},
    {.key = "bge-m3",
     .id = "BAAI/bge-m3",
     .width = 1024,
     .max_tokens = 8192,
     .family = "xlm-roberta"},
    {.key = "jina-embeddings-v4",
     .id = "jinaai/jina-embeddings-v4",
     .width = 2048,
     .max_tokens = 32768,
     .matryoshka = {128, 256, 512, 1024, 2048},
     .family = "qwen2_5_vl"},
    {.key = "qwen3-embedding-0.6b",
     .id = "Qwen/Qwen3-Embedding-0.6B",
     .width = 1024,
     .max_tokens = 32768,
     .family = "qwen3"},
    {.key = "nomic-coderank",
     .id = "nomic-ai/CodeRankEmbed",
     .width = 768,
     .max_tokens = 2048,
     .family = "nomic_bert"},
    {.key = "all-miniLM-l6",
     .id = "sentence-transformers/all-MiniLM-L6-v2",
     .width = 384,
     .max_tokens = 256,
     .family = "bert"},
    {.key = "qdrant-minilm-onnx",
     .id = "sentence-transformers/all-MiniLM-L6-v2",
     .stands_for = "Qdrant/all-MiniLM-L6-v2-onnx",
     .width = 384,
     .max_tokens = 256,
     .family = "bert"},
    {.key = "splade",
     .id = "naver/splade-cocondenser-ensembledistil",
     .kind = REGISTRY_SPARSE,
     .max_tokens = 512,
     .family = "bert"},
    {.key = "splade-v3",
     .id = "naver/splade-v3",
     .kind = REGISTRY_SPARSE,
     .max_tokens = 512,
     .gated = true,
     .family = "bert"},
    {.key = "qdrant-bm25",
     .id = "Qdrant/bm25",
     .kind = REGISTRY_BM25,
     .family = "bm25"},
    /* The system that this replaces ran it as a dense model, which the weights
     * in it are: the attentions beside them are its ONNX graph's. */
    {.key = "qdrant-minilm-attention",
     .id = "sentence-transformers/all-MiniLM-L6-v2",
     .stands_for = "Qdrant/all_miniLM_L6_v2_with_attentions",
     .width = 384,
     .max_tokens = 256,
     .family = "bert"},
    {.key = "jina-reranker-v3",
     .id = "jinaai/jina-reranker-v3",
     .kind = REGISTRY_RERANK,
     .max_tokens = 131072,
     .family = "qwen3"},
    {.key = "coderank-bi-encoder",
     .id = "nomic-ai/CodeRankEmbed",
     .kind = REGISTRY_BI_ENCODER,
     .width = 768,
     .max_tokens = 2048,
     .family = "nomic_bert"},
    {.key = "bge-reranker-v2-m3",
     .id = "BAAI/bge-reranker-v2-m3",
     .kind = REGISTRY_RERANK,
     .max_tokens = 8192,
     .family = "xlm-roberta"},
};

enum { ENTRIES_COUNT = sizeof ENTRIES / sizeof *ENTRIES };

const struct registry_entry *registry_at(size_t i) {
    return i < ENTRIES_COUNT ? &ENTRIES[i] : NULL;
}

const struct registry_entry *registry_find_key(const char *key) {
    for (size_t i = 0; i < ENTRIES_COUNT; i++)
        if (strcasecmp(ENTRIES[i].key, key) == 0)
            return &ENTRIES[i];
    return NULL;
}

/* Two entries may run one id: the first of them is the one that is meant. */
static const struct registry_entry *find_id(const char *id) {
    for (size_t i = 0; i < ENTRIES_COUNT; i++)
        if (strcasecmp(ENTRIES[i].id, id) == 0)
            return &ENTRIES[i];
    return NULL;
}

const struct registry_entry *registry_find_replaced(const char *id) {
    for (size_t i = 0; i < ENTRIES_COUNT; i++)
        if (ENTRIES[i].stands_for && strcasecmp(ENTRIES[i].stands_for, id) == 0)
            return &ENTRIES[i];
    return NULL;
}

const struct registry_entry *registry_find(const char *name) {
    const struct registry_entry *found = registry_find_key(name);
    if (!found)
        found = find_id(name);
    return found ? found : registry_find_replaced(name);
}
