/* embed.c - the main job from C: embed a folder of chunks, then ask.
 *
 *     cc embed.c $(pkg-config --cflags --libs ensembed) -o embed
 *     ./embed CHUNKS MODEL OUT "question"
 */

#include <ensembed.h>

#include <stdio.h>

static void on_log(void *context, ens_level level, const char *message) {
    (void)context;
    if (level >= ENS_WARNING)
        fprintf(stderr, "%s\n", message);
}

static int fail(const ens_error *error) {
    fprintf(stderr, "%s\n", error->message);
    return 1;
}

static int work(ens_embedder *e, const char *chunks, const char *question) {
    ens_error error;
    ens_counts counts;
    ens_result result;
    const ens_hit *hits;
    size_t count;

    if (!ens_load_chunks(e, chunks, &counts, &error))
        return fail(&error);
    printf("%llu chunks in %llu files, %llu distinct texts\n",
           (unsigned long long)counts.chunks, (unsigned long long)counts.files,
           (unsigned long long)counts.unique);

    if (!ens_run(e, &result, &error))
        return fail(&error);
    printf("%llu texts computed, %llu reused\n",
           (unsigned long long)result.texts_computed,
           (unsigned long long)result.texts_reused);

    if (!ens_export(e, &result, &error))
        return fail(&error);
    printf("%llu vectors written, %zu events, a summary of %s\n",
           (unsigned long long)result.points, ens_event_count(e),
           ens_summary(e) ? "all of it" : "nothing");

    if (!ens_search(e, question, 3, &hits, &count, &error))
        return fail(&error);
    for (size_t i = 0; i < count; i++)
        printf("%.4f %s: %s\n", hits[i].score, hits[i].collection,
               hits[i].text);
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: %s CHUNKS MODEL OUT QUESTION\n", argv[0]);
        return 2;
    }
    ens_model model = {.reference = argv[2]};
    ens_config config;
    ens_config_init(&config);
    config.out = argv[3];
    config.models = &model;
    config.models_count = 1;

    ens_error error;
    ens_embedder *e = ens_create(&config, &error);
    if (!e)
        return fail(&error);
    ens_callbacks callbacks = {.log = on_log};
    ens_set_callbacks(e, &callbacks);
    int status = work(e, argv[1], argv[4]);
    ens_destroy(e);
    return status;
}
