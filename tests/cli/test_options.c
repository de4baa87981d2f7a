/* test_options.c - what the command line, the environment and a config file
 * make of struct options, and what a user is told about a mistake. */

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
#include "cli/option_table.h"
#include "cli/option_value.h"
#include "cli/options.h"
#include "cli/suggest.h"

enum { WORDS_MAX = 64 };

static struct memory memory;
static struct options options;
static struct error err;

/* Parse LINE, whose words are separated by '|', in ENVIRONMENT (the same). */
static bool parse_in(const char *environment, const char *line) {
    static char line_copy[2048], environment_copy[2048];
    char *argv[WORDS_MAX] = {NULL}, *environ_[WORDS_MAX] = {NULL};
    int argc = 0, count = 0;
    snprintf(line_copy, sizeof line_copy, "%s", line);
    snprintf(environment_copy, sizeof environment_copy, "%s", environment);
    for (char *rest = line_copy, *w; (w = strsep(&rest, "|"));)
        argv[argc++] = w;
    for (char *rest = environment_copy, *w;
         *environment && (w = strsep(&rest, "|"));)
        environ_[count++] = w;
    err = (struct error){0};
    options_free(&options);
    bool fine = options_parse(argc, argv, environ_, &memory, &options, &err);
    assert_int_equal(fine, err.code == ERROR_NONE);
    return fine;
}

static bool parse(const char *line) {
    return parse_in("", line);
}

/* LINE is refused, and the message holds PART. */
static void refused_in(const char *environment, const char *line,
                       const char *part) {
    bool fine = parse_in(environment, line);
    if (fine || !strstr(err.message, part))
        fail_msg("'%s' gave '%s', not '%s'", line,
                 fine ? "success" : err.message, part);
    assert_int_equal(err.code, ERROR_USAGE);
}

static void refused(const char *line, const char *part) {
    refused_in("", line, part);
}

#define RUN "ensembed|run|chunks|--model|m|--out|o"

static void a_full_command_line(void **state) {
    (void)state;
    assert_true(parse(
        "ensembed|run|-|--model|BAAI/bge-small@v1:weight=2.5,dim=128,"
        "prompt=doc,name=a.b-c,budget=4096|-m|x:account=big.json|-oOUT|"
        "--ceiling=cpu=1.5GiB|--ceiling|sim:t4-1=8GiB|--margin|sim:t4-1=1MiB|"
        "--device|sim:t4x2,cpu|--mode|exclusive|--warm|--lease-wait|0|"
        "--lock-dir|/l|--sim-script|s.jsonl|"
        "--threads|3|--isa|avx2|--dim=64|--fuse|concat|--prompt|document|"
        "--collection|A|-c|B|--as|all|--collapse-whitespace|--trim-chars|99|"
        "--restart|--export|npy,texts|--text-field|body|--summary|s.json|"
        "--json|--no-progress|-q"));
    assert_int_equal(options.command, COMMAND_RUN);
    assert_int_equal(options.words.count, 1);
    assert_string_equal(options.words.items[0], "-");
    assert_int_equal(options.models.count, 2);
    const struct model_option *m = options.models.items;
    assert_string_equal(m->reference, "BAAI/bge-small");
    assert_string_equal(m->revision, "v1");
    assert_true(m->weight == 2.5);
    assert_int_equal(m->dim, 128);
    assert_string_equal(m->prompt, "doc");
    assert_string_equal(m->name, "a.b-c");
    assert_int_equal(m->budget, 4096);
    assert_string_equal(m[1].reference, "x");
    assert_null(m[1].revision);
    assert_true(m[1].weight == 1);
    assert_null(m->account);
    assert_string_equal(m[1].account, "big.json");
    assert_string_equal(options.out, "OUT");
    assert_string_equal(options.device, "sim:t4x2,cpu");
    assert_int_equal(options.ceilings.count, 2);
    assert_string_equal(options.ceilings.items[0].device, "cpu");
    assert_int_equal(options.ceilings.items[0].bytes, 1610612736);
    assert_string_equal(options.ceilings.items[1].device, "sim:t4-1");
    assert_int_equal(options.ceilings.items[1].bytes, 8589934592);
    assert_int_equal(options.margins.count, 1);
    assert_string_equal(options.margins.items[0].device, "sim:t4-1");
    assert_int_equal(options.margins.items[0].bytes, 1048576);
    assert_int_equal(options.mode, MODE_EXCLUSIVE);
    assert_true(options.warm);
    assert_int_equal(options.lease_wait_seconds, 0);
    assert_string_equal(options.lock_dir, "/l");
    assert_string_equal(options.sim_script, "s.jsonl");
    assert_int_equal(options.threads, 3);
    assert_string_equal(options.isa, "avx2");
    assert_int_equal(options.dim, 64);
    assert_int_equal(options.fuse, FUSE_CONCAT);
    assert_string_equal(options.prompt, "document");
    assert_int_equal(options.collections.count, 2);
    assert_string_equal(options.collections.items[1], "B");
    assert_string_equal(options.as, "all");
    assert_true(options.collapse_whitespace && options.restart);
    assert_int_equal(options.trim_chars, 99);
    assert_int_equal(options.exports, OPTION_EXPORT_NPY | OPTION_EXPORT_TEXTS);
    assert_string_equal(options.text_field, "body");
    assert_string_equal(options.summary, "s.json");
    assert_true(options.json && !options.progress && !options.skip_existing);
    assert_int_equal(options.verbosity, VERBOSITY_QUIET);
}

static void defaults_are_those_of_the_table(void **state) {
    (void)state;
    assert_true(parse(RUN));
    assert_null(options.device); /* what there is decides */
    assert_null(options.dtype);
    assert_int_equal(options.mode, MODE_AUTO);
    assert_true(options.lease_wait_seconds == LEASE_WAIT_FOR_EVER);
    assert_string_equal(options.lock_dir, "/tmp/ensembed-locks");
    assert_int_equal(options.ceilings.count + options.margins.count, 0);
    assert_null(options.sim_script);
    assert_false(options.warm);
    assert_int_equal(options.fuse, FUSE_MEAN);
    assert_int_equal(options.exports, 15);
    assert_string_equal(options.text_field, "text");
    assert_int_equal(options.verbosity, VERBOSITY_NORMAL);
    assert_true(options.progress && !options.restart && !options.json);
    assert_int_equal(options.dim + options.threads + options.trim_chars, 0);
    assert_null(options.prompt);
    assert_true(parse(RUN "|--mode|auto") && options.mode == MODE_AUTO);
    assert_true(parse(RUN "|--mode|simultaneous"));
    assert_int_equal(options.mode, MODE_SIMULTANEOUS);
    assert_true(parse(RUN "|--mode|sequential"));
    assert_int_equal(options.mode, MODE_SEQUENTIAL);
    assert_true(parse("ensembed|search|dir|what is it?"));
    assert_int_equal(options.top, 10);
    assert_string_equal(options.words.items[1], "what is it?");
}

static void words_after_two_dashes_are_words(void **state) {
    (void)state;
    assert_true(parse("ensembed|embed|--model|m|one|--|--json|-k"));
    assert_int_equal(options.words.count, 3);
    assert_string_equal(options.words.items[1], "--json");
    assert_true(parse("ensembed|embed|--model|m|--|--help"));
    assert_false(options.help);
}

static void misspelt_names_get_a_suggestion(void **state) {
    (void)state;
    refused("ensembed|run|c|--modle|m",
            "unknown option --modle; did you mean --model?");
    refused("ensembed|run|c|--no-progess",
            "unknown option --no-progess; did you mean --no-progress?");
    refused("ensembed|run|c|--frobnicate", "`ensembed help run` lists them");
    refused("ensembed|serach|d|q",
            "unknown command 'serach'; did you mean 'search'?");
    refused("ensembed|frobnicate", "there are run, embed, tokenize");
    refused("ensembed", "say a command (run,");
    refused("ensembed|--quiet|run", "before the command");
    refused("ensembed|search|d|q|--model|m",
            "`ensembed search` takes no --model; it is an option of: run, "
            "embed, tokenize, plan, bench");
    refused("ensembed|run|c|-Z", "unknown option -Z");
    refused("ensembed|help|serch", "did you mean 'search'?");
}

static void suggestions_are_near_or_none(void **state) {
    (void)state;
    static const char *const names[] = {"restart", "model", "out", "as", NULL};
    assert_string_equal(suggest("modle", names), "model");
    assert_string_equal(suggest("omdle", names), "model"); /* two swaps */
    assert_string_equal(suggest("rstart", names), "restart");
    assert_string_equal(suggest("uot", names), "out");
    assert_null(suggest("zzzzz", names));
    assert_null(suggest("x", names));
    assert_null(suggest("", names));
    char huge[300];
    memset(huge, 'm', sizeof huge);
    huge[299] = '\0';
    assert_null(suggest(huge, names));
}

static void numbers_are_strict(void **state) {
    (void)state;
    static const char *const bad[] = {
        "0",   "-1",  "+1",  " 1",   "1 ",
        "0x1", "1.0", "ten", "1025", "18446744073709551616"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[128];
        snprintf(line, sizeof line, RUN "|--threads|%s", bad[i]);
        refused(line, "is not a whole number from 1 to 1024");
    }
    refused(RUN "|--threads=", "--threads: N is empty");
    assert_true(parse(RUN "|--threads|1024"));
    refused("ensembed|search|d|q|-k|0", "-k: '0'");
}

static void ceilings_are_checked(void **state) {
    (void)state;
    refused(RUN "|--ceiling|cpu=2Gi", "'2Gi' is not a number of bytes");
    refused(RUN "|--ceiling|2GiB", "is not DEVICE=BYTES");
    refused(RUN "|--ceiling|=2GiB", "is not DEVICE=BYTES");
    refused(RUN "|--margin|cpu", "--margin: 'cpu' is not DEVICE=BYTES");
    refused(RUN "|--margin|cpu=much", "--margin: 'much' is not a number of");
}

static void models_are_taken_apart(void **state) {
    (void)state;
    refused(RUN "|--model|m:wieght=2", "'wieght' is no key of a model");
    refused(RUN "|--model|m:weight=0", "weight '0' is not a number above 0");
    refused(RUN "|--model|m:weight=nan", "weight 'nan'");
    refused(RUN "|--model|m:weight=1e999", "weight '1e999'");
    refused(RUN "|--model|m:weight=1,", "is not key=value");
    refused(RUN "|--model|m:dim=", "is not key=value");
    refused(RUN "|--model|m:dim=0", "whole number from 1");
    refused(RUN "|--model|m:name=a/b", "name 'a/b'");
    refused(RUN "|--model|m:name=..", "name '..'");
    refused(RUN "|--model|@v", "names no model");
    refused(RUN "|--model|m@", "names no model");
    assert_true(parse("ensembed|plan|c|--model|C:/x@refs/pr/1"));
    assert_string_equal(options.models.items[0].reference, "C:/x");
    assert_string_equal(options.models.items[0].revision, "refs/pr/1");
    char folder[] = "/tmp/ens@XXXXXX", line[128];
    assert_non_null(mkdtemp(folder));
    snprintf(line, sizeof line, "ensembed|plan|c|--model|%s:dim=8", folder);
    assert_true(parse(line));
    assert_string_equal(options.models.items[0].reference, folder);
    assert_null(options.models.items[0].revision);
    assert_int_equal(options.models.items[0].dim, 8);
    rmdir(folder);
}

static void heads_and_long_texts(void **state) {
    (void)state;
    assert_true(parse(RUN "|--sparse|qdrant-bm25|--sparse|a@b:name=s|"
                          "--colbert|c:task=t|--rerank|r|--task|all|"
                          "--long|window:64"));
    assert_int_equal(options.models.count, 1);
    assert_int_equal(options.sparse.count, 2);
    assert_string_equal(options.sparse.items[1].reference, "a");
    assert_string_equal(options.sparse.items[1].revision, "b");
    assert_string_equal(options.sparse.items[1].name, "s");
    assert_string_equal(options.colbert.items[0].task, "t");
    assert_string_equal(options.rerank.items[0].reference, "r");
    assert_string_equal(options.task, "all");
    assert_true(options.long_texts.windows);
    assert_int_equal(options.long_texts.overlap, 64);
    assert_true(parse(RUN "|--long|window"));
    assert_true(options.long_texts.windows);
    assert_int_equal(options.long_texts.overlap, 0);
    assert_true(parse(RUN));
    assert_false(options.long_texts.windows);
    assert_true(parse_in("ENSEMBED_LONG=window:3", RUN));
    assert_int_equal(options.long_texts.overlap, 3);
    assert_true(parse_in("ENSEMBED_LONG=window:3", RUN "|--long|cut"));
    assert_false(options.long_texts.windows);
    assert_true(parse("ensembed|run|c|--sparse|s|--out|o"));
    assert_true(parse("ensembed|run|c|--colbert|s|--out|o"));
    refused("ensembed|run|c|--rerank|s|--out|o", "needs --model MODEL");
    refused(RUN "|--rerank|a|--rerank|b", "one --rerank, not 2");
    refused(RUN "|--long|windows", "neither cut nor window[:OVERLAP]");
    refused(RUN "|--long|window:", "is not a whole number");
    refused(RUN "|--long|window:-1", "is not a whole number");
    refused("ensembed|search|d|q|--sparse|x", "takes no --sparse");
}

static void what_is_required_is_asked_for(void **state) {
    (void)state;
    refused("ensembed|run|c|--out|o", "`ensembed run` needs --model MODEL");
    refused("ensembed|run|c|--model|m", "`ensembed run` needs --out DIR");
    assert_true(parse("ensembed|plan|c|--model|m"));
    refused("ensembed|run|--model|m|--out|o", "which chunks to embed");
    refused("ensembed|run|a|b|--model|m|--out|o", "one word too many");
    refused("ensembed|search|dir", "the question");
    refused("ensembed|models|x", "one word too many");
    refused("ensembed|run|c|--model|m|--out", "--out needs a value");
    refused("ensembed|run|c|--out|--model|m", "--out needs a value");
    refused(RUN "|--json=yes", "--json takes no value");
    refused(RUN "|--export|npy,points,numpy", "'numpy' is none of: npy,");
    refused(RUN "|--export|npy,", "'' is none of");
    refused(RUN "|--export|texts,terms", "--export terms");
    assert_true(parse(RUN "|--export|points,terms"));
    assert_true(parse(RUN "|--export|terms,npy"));
    refused(RUN "|--device=", "--device: LIST is empty");
    refused(RUN "|--mode|all", "'all' is none of: auto, simultaneous, ");
    refused(RUN "|--lease-wait|-1", "is not a whole number from 0 to");
    refused(RUN "|--lease-wait|1000000001", "is not a whole number from 0 to");
    refused("ensembed|plan|c|--model|m|--lease-wait|1",
            "takes no --lease-wait");
    refused("ensembed|devices|x", "one word too many");
    refused("ensembed|run||--model|m|--out|o", "is empty");
    refused("ensembed|search||q", "is empty");
    assert_true(parse("ensembed|embed||--model|m"));
    refused(RUN "|--prompt|a|--prompt-text|b", "exclude each other");
    refused(RUN "|--restart|--skip-existing", "exclude each other");
    refused("ensembed|tokenize|--model|a|--model|b", "takes one --model");
}

/* A tokenizer would pass over the bytes, and the vector be another text's. */
static void texts_are_utf_8(void **state) {
    (void)state;
    refused("ensembed|embed|--model|m|one|caf\xe9 au lait",
            "byte 4 of the text, 0xE9, is not UTF-8");
    refused("ensembed|tokenize|--model|m|\xc3\xa9\xed\xa0\x80",
            "byte 3 of the text, 0xED, is not UTF-8");
    refused("ensembed|search|d|caf\xe9",
            "byte 4 of the question, 0xE9, is not UTF-8");
    refused(RUN "|--prompt-text|caf\xe9: ",
            "byte 4 of the prompt, 0xE9, is not UTF-8");
    refused("ensembed|embed|--model|m|one|--prompt-text|caf\xe9: ",
            "byte 4 of the prompt, 0xE9, is not UTF-8");
    assert_true(parse(RUN "|--prompt-text|caf\xc3\xa9: "));
    assert_true(parse("ensembed|search|d\xe9|caf\xc3\xa9"));
    assert_true(parse("ensembed|run|c\xe9|--model|m|--out|o\xe9"));
}

static void help_beats_mistakes(void **state) {
    (void)state;
    assert_true(parse("ensembed|run|--frobnicate|--help"));
    assert_true(options.help && options.command == COMMAND_RUN);
    assert_string_equal(options.topic, "run");
    assert_true(parse("ensembed|--help"));
    assert_true(options.help && options.command == COMMAND_HELP);
    assert_null(options.topic);
    assert_true(parse("ensembed|--version"));
    assert_true(options.version);
    assert_true(parse("ensembed|help|run"));
    assert_string_equal(options.topic, "run");
    assert_true(parse("ensembed|help|--completion|zsh"));
    assert_string_equal(options.completion, "zsh");
}

/* ---- levels -------------------------------------------------------------- */

static char config_file[] = "/tmp/ens-config-XXXXXX";

static void write_config(const char *text) {
    assert_true(file_write(config_file, str_from(text), &memory, NULL));
}

static void line_beats_environment_beats_file(void **state) {
    (void)state;
    char environment[512];
    write_config("{\"threads\": 2, \"dim\": 32, \"as\": \"file\","
                 " \"model\": [\"f1\", \"f2:weight=3\"], \"json\": true,"
                 " \"export\": [\"npy\", \"texts\"], \"top\": 5,"
                 " \"prompt\": null}");
    snprintf(environment, sizeof environment,
             "ENSEMBED_CONFIG=%s|ENSEMBED_DIM=48|ENSEMBED_AS=environment|"
             "ENSEMBED_RESTART=yes|ENSEMBED_OUT=",
             config_file);
    assert_true(parse_in(environment, "ensembed|run|c|-o|o|--as|line|"
                                      "--no-restart"));
    assert_int_equal(options.threads, 2);
    assert_int_equal(options.dim, 48);
    assert_string_equal(options.as, "line");
    assert_false(options.restart);
    assert_true(options.json);
    assert_int_equal(options.exports, OPTION_EXPORT_NPY | OPTION_EXPORT_TEXTS);
    assert_int_equal(options.models.count, 2);
    assert_string_equal(options.models.items[1].reference, "f2");
    assert_true(options.models.items[1].weight == 3);
    assert_string_equal(options.config, config_file);

    assert_true(parse_in(environment, RUN));
    assert_int_equal(options.models.count, 1);
    assert_string_equal(options.models.items[0].reference, "m");
    assert_true(options.restart);
}

static void lists_of_the_environment(void **state) {
    (void)state;
    assert_true(parse_in("ENSEMBED_MODEL=a:weight=2,dim=3,b,c:name=x|"
                         "ENSEMBED_COLLECTION=one\ntwo, three\n",
                         "ensembed|run|c|-o|o"));
    assert_int_equal(options.models.count, 3);
    assert_int_equal(options.models.items[0].dim, 3);
    assert_string_equal(options.models.items[1].reference, "b");
    assert_string_equal(options.models.items[2].name, "x");
    assert_int_equal(options.collections.count, 2);
    assert_string_equal(options.collections.items[1], "two, three");
    assert_true(parse_in("ENSEMBED_CEILING=cpu=1GiB,sim:a=2GiB|"
                         "ENSEMBED_DEVICE=sim:a=3GiB,cpu|"
                         "ENSEMBED_LEASE_WAIT=7|ENSEMBED_MODE=sequential",
                         "ensembed|embed|-m|x"));
    assert_int_equal(options.ceilings.count, 2);
    assert_string_equal(options.ceilings.items[1].device, "sim:a");
    assert_string_equal(options.device, "sim:a=3GiB,cpu");
    assert_int_equal(options.lease_wait_seconds, 7);
    assert_int_equal(options.mode, MODE_AUTO); /* embed takes no --mode */
    assert_true(parse_in("ENSEMBED_CEILING=cpu=1GiB",
                         RUN "|--ceiling|sim:a=3GiB=2GiB"));
    assert_int_equal(options.ceilings.count, 1);
    assert_string_equal(options.ceilings.items[0].device, "sim:a=3GiB");
    assert_true(parse_in("ENSEMBED_COLLECTION=a,b", RUN "|-c|z"));
    assert_int_equal(options.collections.count, 1);
    refused_in("ENSEMBED_THREADS=none", RUN, "ENSEMBED_THREADS: 'none'");
    refused_in("ENSEMBED_RESTART=maybe", RUN, "ENSEMBED_RESTART: 'maybe'");
    assert_true(parse_in("ENSEMBED_THREADS=none", "ensembed|models"));
    assert_int_equal(options.warnings.count, 0);
    assert_true(parse_in("ENSEMBED_THREDS=4", RUN));
    assert_int_equal(options.warnings.count, 1);
    assert_non_null(strstr(options.warnings.items[0], "ENSEMBED_THREDS"));
}

static void exclusive_options_of_two_levels(void **state) {
    (void)state;
    assert_true(parse_in("ENSEMBED_PROMPT=doc", RUN "|--prompt-text|x: "));
    assert_null(options.prompt);
    assert_string_equal(options.prompt_text, "x: ");
    assert_true(parse_in("ENSEMBED_RESTART=1", RUN "|--skip-existing"));
    assert_true(options.skip_existing && !options.restart);
}

static void broken_config_files(void **state) {
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {{"{", config_file},
                 {"[]", "holds no JSON object"},
                 {"{\"modle\": 1}", "did you mean \"model\"?"},
                 {"{\"help\": true}", "of the command line only"},
                 {"{\"config\": \"x\"}", "of the command line only"},
                 {"{\"threads\": 2.5}", "\"threads\": '2.5'"},
                 {"{\"threads\": [1]}", "must be a string or a number"},
                 {"{\"json\": {}}", "must be true or false"},
                 {"{\"model\": [[]]}", "must be a string or an array"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[256];
        write_config(cases[i].text);
        snprintf(line, sizeof line, RUN "|--config|%s", config_file);
        refused(line, cases[i].part);
    }
    refused(RUN "|--config|/nowhere/x.json", "/nowhere/x.json");
}

/* ---- the rest of the environment ----------------------------------------- */

static void the_hub_cache_is_found(void **state) {
    (void)state;
    static const struct {
        const char *environment, *cache;
    } cases[] = {
        {"HOME=/h", "/h/.cache/huggingface/hub"},
        {"HOME=/h|XDG_CACHE_HOME=/x/", "/x/huggingface/hub"},
        {"HOME=/h|XDG_CACHE_HOME=/x|HF_HOME=~/hf", "/h/hf/hub"},
        {"HOME=/h|HF_HOME=/hf|HUGGINGFACE_HUB_CACHE=$HOME/c", "/h/c"},
        {"HOME=/h|HF_HUB_CACHE=${HOME}/a/$NO/${b|HUGGINGFACE_HUB_CACHE=/c",
         "/h/a/$NO/${b"},
        {"HOME=/h|HF_HUB_CACHE=|HF_HOME=~", "/h/hub"},
        {"HOME=/h|HF_HUB_CACHE=~other/x", "~other/x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(parse_in(cases[i].environment, "ensembed|models"));
        assert_string_equal(options.hub_cache, cases[i].cache);
    }
}

static void number_types_are_named(void **state) {
    (void)state;
    assert_true(parse(RUN "|--dtype|fp16|--model|m:dtype=bf16,dim=2"));
    assert_string_equal(options.dtype, "fp16");
    assert_string_equal(options.models.items[1].dtype, "bf16");
    assert_null(options.models.items[0].dtype);
    assert_true(parse_in("ENSEMBED_DTYPE=f32", RUN));
    assert_string_equal(options.dtype, "f32");
    refused(RUN "|--dtype|fp4",
            "--dtype: 'fp4' is none of: f32, bf16, fp16, int8, fp8");
    refused(RUN "|--dtype|default", "is none of");
    refused(RUN "|--dtype|", "TYPE is empty");
    refused(RUN "|--model|m:dtype=fp4",
            "--model: dtype: 'fp4' is none of: f32, bf16, fp16, int8, fp8");
    refused("ensembed|tokenize|--model|m|--dtype|f32", "takes no --dtype");
}

/* Is FOLDER among those that libraries are looked for in? Its place from 1. */
static size_t library_place(const char *folder) {
    for (size_t i = 0; options.library_folders[i]; i++)
        if (strcmp(options.library_folders[i], folder) == 0)
            return i + 1;
    return 0;
}

static void nvidias_libraries_are_looked_for(void **state) {
    (void)state;
    char root[] = "/tmp/ens-libs-XXXXXX", path[256], environment[1024];
    assert_non_null(mkdtemp(root));
    static const char local[] = "home/.local/lib/python3.9/dist-packages";
    static const char *const made[] = {"venv/lib/python3.11/site-packages",
                                       local,
                                       "py/bin",
                                       "py/lib/python3.12/site-packages",
                                       "cuda",
                                       "conda/lib",
                                       "named"};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        snprintf(path, sizeof path, "%s/%s", root, made[i]);
        assert_true(folder_make(path, &err));
    }
    snprintf(path, sizeof path, "%s/py/bin/python3", root);
    assert_true(file_write(path, STR("#!/bin/sh\n"), &memory, &err));
    snprintf(environment, sizeof environment,
             "VIRTUAL_ENV=%s/venv|HOME=%s/home|PATH=/nowhere:%s/py/bin:/bin|"
             "CUDA_HOME=%s/cuda|CONDA_PREFIX=%s/conda",
             root, root, root, root, root);
    snprintf(path, sizeof path, RUN "|--cuda-libs|%s/named", root);
    assert_true(parse_in(environment, path));
    const char *const wanted[] = {"/named",
                                  "/cuda",
                                  "/venv/lib/python3.11/site-packages",
                                  "/conda",
                                  "/py/bin/../lib/python3.12/site-packages",
                                  "/home/.local/lib/python3.9/dist-packages"};
    size_t last = 0;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        snprintf(path, sizeof path, "%s%s", root, wanted[i]);
        if (library_place(path) <= last)
            fail_msg("%s is not where it should be", path);
        last = library_place(path);
    }
    snprintf(path, sizeof path, "%s/home/.cache/ensembed/kernels", root);
    assert_string_equal(options.kernel_cache, path);
    assert_true(parse_in("XDG_CACHE_HOME=/x", RUN));
    assert_string_equal(options.kernel_cache, "/x/ensembed/kernels");
    assert_true(parse_in(environment, "ensembed|tokenize|--model|m"));
    assert_null(options.library_folders);
    assert_true(folder_remove(root, &err));
}

static void the_terminal_is_described(void **state) {
    (void)state;
    assert_true(parse_in("TERM=xterm|LANG=en_US.UTF-8", "ensembed|models"));
    assert_true(options.color && options.utf8 && !options.dumb);
    assert_true(parse_in("TERM=xterm|LANG=de_DE.utf8|NO_COLOR=1|LC_ALL=C",
                         "ensembed|models"));
    assert_true(!options.color && !options.utf8);
    assert_true(parse_in("TERM=dumb", "ensembed|models"));
    assert_true(!options.color && options.dumb);
}

static void exit_statuses(void **state) {
    (void)state;
    static const int want[] = {
        [ERROR_NONE] = 0,  [ERROR_USAGE] = 2,        [ERROR_CONFLICT] = 2,
        [ERROR_INPUT] = 1, [ERROR_MISSING] = 1,      [ERROR_UNSUPPORTED] = 1,
        [ERROR_IO] = 1,    [ERROR_FULL] = 75,        [ERROR_MEMORY] = 1,
        [ERROR_BUSY] = 75, [ERROR_INTERRUPTED] = 75, [ERROR_DEVICE] = 75,
        [ERROR_VECTOR] = 1};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_int_equal(exit_status((enum error_code)i), want[i]);
}

/* Two rows that say the same would hide each other. */
static void the_table_is_sound(void **state) {
    (void)state;
    for (const struct option_row *a = option_rows; a->name; a++) {
        assert_non_null(a->help);
        assert_true(a->commands);
        assert_true(option_is_flag(a) == !a->argument);
        assert_true(!a->required || a->argument);
        for (const struct option_row *b = option_rows; b < a; b++) {
            assert_string_not_equal(a->name, b->name);
            assert_true(!a->letter || a->letter != b->letter);
        }
    }
}

static void nothing_leaks(void **state) {
    (void)state;
    options_free(&options);
    assert_int_equal(memory_live(&memory), 0);
}

int main(void) {
    close(mkstemp(config_file));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_command_line),
        cmocka_unit_test(defaults_are_those_of_the_table),
        cmocka_unit_test(words_after_two_dashes_are_words),
        cmocka_unit_test(misspelt_names_get_a_suggestion),
        cmocka_unit_test(suggestions_are_near_or_none),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(ceilings_are_checked),
        cmocka_unit_test(models_are_taken_apart),
        cmocka_unit_test(heads_and_long_texts),
        cmocka_unit_test(what_is_required_is_asked_for),
        cmocka_unit_test(texts_are_utf_8),
        cmocka_unit_test(help_beats_mistakes),
        cmocka_unit_test(line_beats_environment_beats_file),
        cmocka_unit_test(lists_of_the_environment),
        cmocka_unit_test(exclusive_options_of_two_levels),
        cmocka_unit_test(broken_config_files),
        cmocka_unit_test(the_hub_cache_is_found),
        cmocka_unit_test(number_types_are_named),
        cmocka_unit_test(nvidias_libraries_are_looked_for),
        cmocka_unit_test(the_terminal_is_described),
        cmocka_unit_test(exit_statuses),
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(nothing_leaks),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(config_file);
    return failed;
}
