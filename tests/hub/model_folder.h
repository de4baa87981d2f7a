/* model_folder.h - a folder of its own for each test, and a model's files in
 * it.
 *
 *     put_model();
 *     put("sentence_bert_config.json", "{\"max_seq_length\":40}");
 *     struct model_files *m = open_it();
 *     ...
 *     TEST(f) in the list of tests makes the folder and takes it away
 */

#ifndef TESTS_HUB_MODEL_FOLDER_H
#define TESTS_HUB_MODEL_FOLDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "hub/model_files.h"

static struct memory memory;
static char folder[64]; /* fresh for each test */

static inline int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/ens-model-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static inline int remove_folder(void **state) {
    (void)state;
    return folder_remove(folder, NULL) && memory_live(&memory) == 0 ? 0 : -1;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

/* TEXT as FOLDER/NAME; NULL removes it. */
static inline void put(const char *name, const char *text) {
    char path[256], parent[256];
    struct error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    strcpy(parent, path);
    *strrchr(parent, '/') = '\0';
    bool fine = folder_make(parent, &err) &&
                (text ? file_write(path, str_from(text), &memory, &err)
                      : file_remove(path, &err));
    if (!fine)
        fail_msg("%s", err.message);
}

#define MODULE(path, type) "{\"path\":\"" path "\",\"type\":\"" type "\"}"
#define OLD                "sentence_transformers.models."
#define TWO                MODULE("", OLD "Transformer") "," MODULE("1_Pooling", OLD "Pooling")

/* A whole model without a word too much. Nothing reads the weights here. */
static inline void put_model(void) {
    put("config.json", "{\"model_type\":\"bert\","
                       "\"max_position_embeddings\":64}");
    put("tokenizer.json", "{}");
    put("model.safetensors", "weights");
    put("modules.json", "[" TWO "]");
    put("1_Pooling/config.json", "{\"word_embedding_dimension\":8}");
}

static inline struct model_files *open_it(void) {
    struct error err = {0};
    struct model_files *m =
        model_files_open(&memory, folder, NULL, MODEL_DENSE, NULL, &err);
    if (!m)
        fail_msg("%s", err.message);
    return m;
}

static inline struct model_files *open_with(const char *sentence_transformers) {
    put("config_sentence_transformers.json", sentence_transformers);
    return open_it();
}

static inline void refused(enum error_code code, const char *word) {
    struct error err = {0};
    struct model_files *m =
        model_files_open(&memory, folder, NULL, MODEL_DENSE, NULL, &err);
    if (m)
        fail_msg("accepted, expected: %s", word);
    if (err.code != code || !strstr(err.message, word))
        fail_msg("expected %s: %s: got %s: %s", error_name(code), word,
                 error_name(err.code), err.message);
}

/* What model_files_prompt gives for (what, name), "" for none. */
static inline const char *prompt(const struct model_files *m, const char *what,
                                 const char *name) {
    const char *text = "unset";
    struct error err = {0};
    if (!model_files_prompt(m, what, name, &text, &err))
        fail_msg("%s", err.message);
    return text ? text : "";
}

#endif
