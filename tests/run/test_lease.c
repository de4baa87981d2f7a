/* test_lease.c - leases between processes, and what happens when holders die,
 * wait, or leave strange things in the lock folder. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "run/lease.h"

enum { MIB = 1024 * 1024, WORDS = 4096 };

/* ---- a device that has nothing but free memory --------------------------- */

static struct memory account;
static uint64_t device_free = 1000 * (uint64_t)MIB;
static bool device_lost;

static bool fake_bytes_free(struct device *device, uint64_t *bytes,
                            struct error *err) {
    if (device_lost)
        return error_set(err, ERROR_DEVICE, "%s is lost", device->name);
    *bytes = device_free;
    return true;
}

static const struct device_verbs verbs = {.kind = "fake",
                                          .bytes_free = fake_bytes_free};
static struct device card = {
    .verbs = &verbs, .name = "card:0", .account = &account};

/* ---- a sink that writes down, and acts when we wait ---------------------- */

struct witness {
    char logs[WORDS], warnings[WORDS], events[WORDS];
    void (*on_waiting)(struct witness *witness);
    bool stop;
    pid_t child;
    int to_child;
};

static struct witness witness;

static void add(char *words, const char *text) {
    size_t used = strlen(words);
    snprintf(words + used, WORDS - used, "%s\n", text);
}

static void on_log(void *context, enum log_level level, const char *message) {
    struct witness *w = context;
    add(level == LOG_WARNING ? w->warnings : w->logs, message);
}

static void on_event(void *context, const char *type, const json_t *fields) {
    struct witness *w = context;
    char *text = json_dumps(fields, JSON_SORT_KEYS);
    char line[1024];
    snprintf(line, sizeof line, "%s %s", type, text);
    free(text);
    add(w->events, line);
    if (!strcmp(type, "lease_waiting") && w->on_waiting)
        w->on_waiting(w);
}

static bool is_interrupted(void *context) {
    return ((struct witness *)context)->stop;
}

static const struct sink sink = {.context = &witness,
                                 .log = on_log,
                                 .event = on_event,
                                 .interrupted = is_interrupted};

/* ---- a place and a neighbour --------------------------------------------- */

static char root[64], locks[128], lock_path[160];
static struct error err;
static struct lease lease;

static struct lease_terms terms(int64_t wait_ms) {
    return (struct lease_terms){
        .lock_dir = locks, .wait_ms = wait_ms, .sink = &sink};
}

static bool take(int64_t wait_ms) {
    struct lease_terms t = terms(wait_ms);
    err = (struct error){0};
    return lease_acquire(&lease, &card, "model-b", &t, &err);
}

static int set_up(void **state) {
    (void)state;
    snprintf(root, sizeof root, "/tmp/ens-lease-XXXXXX");
    assert_non_null(mkdtemp(root));
    snprintf(locks, sizeof locks, "%s/deep/locks", root);
    snprintf(lock_path, sizeof lock_path, "%s/card:0.lock", locks);
    witness = (struct witness){.to_child = -1};
    device_lost = false;
    device_free = 1000 * (uint64_t)MIB;
    card.shared = false;
    return 0;
}

static void child_ends(void) {
    if (witness.to_child >= 0)
        close(witness.to_child);
    if (witness.child > 0)
        waitpid(witness.child, NULL, 0);
    witness.child = 0;
    witness.to_child = -1;
}

static int tear_down(void **state) {
    (void)state;
    child_ends();
    lease_release(&lease, 0, 0);
    folder_remove(root, NULL);
    return 0;
}

/* A process that leases the card as MODEL (or holds a bare lock over CONTENT)
 * until its pipe is closed. Returns when it holds it. */
static void neighbour(const char *model, struct str content) {
    int up[2], down[2];
    char word;
    assert_int_equal(pipe(up) | pipe(down), 0);
    witness.child = fork();
    assert_true(witness.child >= 0);
    if (witness.child == 0) {
        close(up[0]);
        close(down[1]);
        struct lease held;
        struct lease_terms t = {.lock_dir = locks, .wait_ms = -1};
        bool fine;
        if (model) {
            fine = lease_acquire(&held, &card, model, &t, NULL);
        } else {
            folder_make(locks, NULL);
            int fd = open(lock_path, O_RDWR | O_CREAT | O_TRUNC, 0666);
            fine =
                flock(fd, LOCK_EX) == 0 &&
                write(fd, content.data, content.size) == (ssize_t)content.size;
        }
        fine = fine && write(up[1], "x", 1) == 1;
        while (fine && read(down[0], &word, 1) > 0)
            ;
        if (model)
            lease_release(&held, 0, 0);
        _exit(0);
    }
    close(up[1]);
    close(down[0]);
    witness.to_child = down[1];
    assert_int_equal(read(up[0], &word, 1), 1);
    close(up[0]);
}

static void let_go(struct witness *w) {
    close(w->to_child);
    w->to_child = -1;
}

static void kill_hard(struct witness *w) {
    kill(w->child, SIGKILL);
}

static void stop_me(struct witness *w) {
    w->stop = true;
}

static void contains(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("no '%s' in: %s", part, text);
}

/* "pid 4711, model-a, for " of the neighbour. */
static const char *neighbour_words(const char *model) {
    static char words[128];
    snprintf(words, sizeof words, "pid %d, %s, for ", (int)witness.child,
             model);
    return words;
}

/* ---- tests --------------------------------------------------------------- */

static void a_free_device_is_taken_at_once(void **state) {
    (void)state;
    struct stat facts;
    char holder[256];
    mode_t mask = umask(077);
    assert_true(take(0));
    umask(mask);
    assert_int_equal(stat(locks, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 01777);
    assert_int_equal(stat(lock_path, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0666);
    assert_true(lease_holder(locks, "card:0", holder));
    contains(holder, "model-b, for ");
    contains(witness.events, "lease_acquired {\"device\": \"card:0\", "
                             "\"free_bytes\": 1048576000, \"model\": "
                             "\"model-b\", \"waited_ms\": ");
    lease_release(&lease, 77, 4096);
    assert_false(lease_holder(locks, "card:0", holder));
    assert_int_equal(stat(lock_path, &facts), 0); /* the file stays */
    assert_int_equal(facts.st_size, 0);
    contains(witness.events,
             "lease_released {\"budget_tokens\": 4096, \"bytes_after\": "
             "1048576000, \"bytes_before\": 1048576000, "
             "\"bytes_left_behind\": 0, \"device\": \"card:0\", "
             "\"duration_ms\": ");
    contains(witness.events, "\"model\": \"model-b\", \"peak_bytes\": 77}");
    assert_null(strstr(witness.events, "lease_waiting"));
    assert_string_equal(witness.warnings, "");
    witness.events[0] = '\0';
    lease_release(&lease, 77, 4096); /* not held: nothing happens */
    assert_string_equal(witness.events, "");
}

static void a_leased_device_is_busy(void **state) {
    (void)state;
    neighbour("model-a", STR(""));
    assert_false(take(0));
    assert_int_equal(err.code, ERROR_BUSY);
    contains(err.message, "card:0 is leased by ");
    contains(err.message, neighbour_words("model-a"));
    assert_null(lease.device);
    assert_string_equal(witness.events, ""); /* tried once: did not wait */

    assert_false(take(120));
    assert_int_equal(err.code, ERROR_BUSY);
    contains(err.message, neighbour_words("model-a"));
    contains(witness.events, "lease_waiting {\"device\": \"card:0\", "
                             "\"holder\": \"pid ");
    contains(witness.events, neighbour_words("model-a"));
    contains(witness.logs, "waiting for card:0");
    contains(witness.logs, neighbour_words("model-a"));
    assert_ptr_equal(strchr(witness.events, '\n'), /* said once */
                     witness.events + strlen(witness.events) - 1);
}

static void it_waits_until_the_other_lets_go(void **state) {
    (void)state;
    neighbour("model-a", STR(""));
    witness.on_waiting = let_go;
    assert_true(take(-1));
    contains(witness.events, neighbour_words("model-a"));
    contains(witness.events, "lease_acquired");
    assert_true(lease.waited_ms > 0);
}

static void a_holder_that_dies_frees_it(void **state) {
    (void)state;
    neighbour("model-a", STR(""));
    witness.on_waiting = kill_hard;
    assert_true(take(-1));
    contains(witness.events, "lease_acquired");
    char holder[256];
    assert_true(lease_holder(locks, "card:0", holder));
    contains(holder, "model-b"); /* not the dead one's note */
}

static void a_wait_can_be_interrupted(void **state) {
    (void)state;
    neighbour("model-a", STR(""));
    witness.on_waiting = stop_me;
    assert_false(take(-1));
    assert_int_equal(err.code, ERROR_INTERRUPTED);
    contains(err.message, "card:0");
    assert_null(lease.device);
    assert_int_equal(lease.lock_fd, -1);
}

static void many_processes_take_turns(void **state) {
    (void)state;
    enum { PROCESSES = 6, TURNS = 20 };
    char path[160];
    snprintf(path, sizeof path, "%s/inside", root);
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        for (int turn = 0; children[i] == 0 && turn < TURNS; turn++) {
            struct lease_terms t = {.lock_dir = locks, .wait_ms = -1};
            struct lease mine;
            if (!lease_acquire(&mine, &card, "m", &t, NULL))
                _exit(1);
            if (mkdir(path, 0700) != 0 || rmdir(path) != 0)
                _exit(2); /* somebody else is inside */
            lease_release(&mine, 0, 0);
        }
        if (children[i] == 0)
            _exit(0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        waitpid(children[i], &status, 0);
        assert_int_equal(status, 0);
    }
}

static void a_shared_device_is_never_locked(void **state) {
    (void)state;
    card.shared = true;
    struct lease other;
    struct lease_terms t = terms(0);
    assert_true(take(0));
    assert_true(lease_acquire(&other, &card, "model-a", &t, &err));
    assert_false(folder_exists(locks));
    device_free -= 100 * (uint64_t)MIB;
    lease_release(&other, 0, 0);
    lease_release(&lease, 0, 0);
    assert_string_equal(witness.warnings, "");
    contains(witness.events, "\"bytes_left_behind\": 104857600");
}

static void without_a_folder_nothing_is_locked(void **state) {
    (void)state;
    struct lease other;
    struct lease_terms t = {.sink = &sink};
    assert_true(lease_acquire(&lease, &card, "a", &t, &err));
    assert_true(lease_acquire(&other, &card, "b", &t, &err));
    lease_release(&other, 0, 0);
}

static void devices_do_not_wait_for_each_other(void **state) {
    (void)state;
    neighbour("model-a", STR(""));
    static struct device second;
    second = card;
    snprintf(second.name, sizeof second.name, "card:1");
    struct lease_terms t = terms(0);
    assert_true(lease_acquire(&lease, &second, "b", &t, &err));
    char holder[256];
    assert_true(lease_holder(locks, "card:0", holder));
    assert_false(lease_holder(locks, "card:2", holder));
    assert_false(lease_holder("/nowhere", "card:0", holder));
    assert_false(lease_holder(locks, "../card:0", holder));
}

static void what_is_left_behind_is_said(void **state) {
    (void)state;
    assert_true(take(0));
    device_free -= 17 * MIB;
    lease_release(&lease, 0, 0);
    assert_int_equal(lease_bytes_left_behind(&lease), 17 * MIB);
    contains(witness.warnings, "card:0: 17825792 bytes fewer are free "
                               "after model-b");
    contains(witness.events, "\"bytes_left_behind\": 17825792");

    witness.warnings[0] = '\0';
    assert_true(take(0));
    device_free -= 16 * MIB; /* as much as is not worth a word */
    lease_release(&lease, 0, 0);
    assert_string_equal(witness.warnings, "");

    assert_true(take(0));
    device_free += 5 * MIB;
    lease_release(&lease, 0, 0);
    assert_true(lease_bytes_left_behind(&lease) == -5 * MIB);
    assert_string_equal(witness.warnings, "");
}

static void what_our_account_holds_is_not_left_behind(void **state) {
    (void)state;
    assert_true(take(0));
    assert_true(memory_charge(&account, 300 * MIB, NULL, &err));
    device_free -= 320 * (uint64_t)MIB;
    lease_release(&lease, 0, 0);
    assert_int_equal(lease_bytes_left_behind(&lease), 20 * MIB);
    contains(witness.warnings, "20971520 bytes");

    witness.warnings[0] = '\0';
    assert_true(take(0)); /* a model that was kept warm goes away */
    memory_discharge(&account, 300 * MIB);
    device_free += 300 * (uint64_t)MIB;
    lease_release(&lease, 0, 0);
    assert_int_equal(lease_bytes_left_behind(&lease), 0);
    assert_string_equal(witness.warnings, "");
}

static void a_lost_device_frees_its_lease(void **state) {
    (void)state;
    char holder[256];
    device_lost = true;
    assert_false(take(0));
    assert_int_equal(err.code, ERROR_DEVICE);
    assert_false(lease_holder(locks, "card:0", holder));
    device_lost = false;
    assert_true(take(0));
    device_lost = true;
    lease_release(&lease, 0, 0);
    assert_false(lease_holder(locks, "card:0", holder));
    assert_int_equal(lease_bytes_left_behind(&lease), 0);
}

static void the_summary_has_it_all(void **state) {
    (void)state;
    assert_true(take(0));
    device_free -= MIB;
    lease_release(&lease, 123, 456);
    json_t *entry = lease_describe(&lease, 123, 456);
    static const char *const names[] = {
        "device",      "model",         "bytes_before",
        "bytes_after", "waited_ms",     "peak_bytes",
        "duration_ms", "budget_tokens", "bytes_left_behind"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_non_null(json_object_get(entry, names[i]));
    assert_string_equal(json_string_value(json_object_get(entry, "device")),
                        "card:0");
    assert_int_equal(json_integer_value(json_object_get(entry, "peak_bytes")),
                     123);
    assert_int_equal(
        json_integer_value(json_object_get(entry, "bytes_left_behind")), MIB);
    json_decref(entry);
}

/* ---- what others may have put there -------------------------------------- */

static void strange_words_of_a_holder(void **state) {
    (void)state;
    static char noise[100000];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)(i * 7919 >> 3);
    static char deep[1000];
    memset(deep, '[', sizeof deep);
    const struct str contents[] = {
        STR(""),
        STR("\0\0\0"),
        {noise, sizeof noise},
        {deep, sizeof deep},
        STR("{\"pid\": 1}"),
        STR("{\"pid\": \"1\", \"model\": \"m\"}"),
        STR("{\"pid\": -5, \"model\": \"m\"}"),
        STR("{\"pid\": 5, \"model\": [\"m\"]}"),
        STR("{\"pid\": 99999999999999999999, \"model\": \"m\"}"),
    };
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        neighbour(NULL, contents[i]);
        assert_false(take(0));
        assert_int_equal(err.code, ERROR_BUSY);
        contains(err.message, "card:0 is leased by another process");
        child_ends();
    }
    neighbour(NULL, STR("{\"pid\": 7, \"model\": \"\\u001b[2J\\u202e\\u0007x"
                        "\"}"));
    assert_false(take(0));
    contains(err.message, "pid 7, ?[2J??x, for ");
    child_ends();
    neighbour(NULL, contents[2]);
    child_ends();
    assert_true(take(0)); /* and the noise is gone from the file */
    struct stat facts;
    assert_int_equal(stat(lock_path, &facts), 0);
    assert_true(facts.st_size < 200);
}

static void long_words_of_a_holder_are_cut(void **state) {
    (void)state;
    char content[900] = "{\"pid\": 2147483647, \"model\": \"";
    while (strlen(content) < 800)
        strcat(content, "\xC3\xA9");
    strcat(content, "\"}");
    neighbour(NULL, str_from(content));
    char holder[256];
    assert_true(lease_holder(locks, "card:0", holder));
    assert_true(strlen(holder) < 180);
    json_t *valid = json_string(holder); /* NULL where a character is cut */
    assert_non_null(valid);
    json_decref(valid);
    contains(holder, "pid 2147483647, ");
}

static void refused_with(const char *part) {
    assert_false(take(0));
    assert_int_equal(err.code, ERROR_IO);
    contains(err.message, part);
    assert_int_equal(lease.lock_fd, -1);
    char holder[256];
    assert_false(lease_holder(locks, "card:0", holder));
}

static void links_and_pipes_are_refused(void **state) {
    (void)state;
    char target[160];
    struct strbuf text = strbuf_make(&account);
    snprintf(target, sizeof target, "%s/precious", root);
    assert_true(folder_make(locks, &err));
    assert_true(file_write(target, STR("precious"), &account, &err));

    assert_int_equal(symlink(target, lock_path), 0);
    refused_with(lock_path);
    assert_int_equal(unlink(lock_path), 0);
    assert_int_equal(link(target, lock_path), 0);
    refused_with("no ordinary file");
    assert_int_equal(unlink(lock_path), 0);
    assert_int_equal(mkfifo(lock_path, 0666), 0);
    refused_with("no ordinary file"); /* and no waiting for a writer */
    assert_int_equal(unlink(lock_path), 0);
    assert_int_equal(mkdir(lock_path, 0777), 0);
    refused_with(lock_path);

    assert_true(file_read(target, 100, &text, &err));
    assert_true(str_equal(strbuf_str(&text), STR("precious")));
    strbuf_free(&text);
}

static void a_linked_folder_is_refused(void **state) {
    (void)state;
    char real[160];
    snprintf(real, sizeof real, "%s/real", root);
    assert_true(folder_make(real, &err));
    snprintf(locks, sizeof locks, "%s/link", root);
    snprintf(lock_path, sizeof lock_path, "%s/card:0.lock", locks);
    assert_int_equal(symlink(real, locks), 0);
    refused_with("--lock-dir");
    assert_int_equal(rmdir(real), 0); /* nothing was put into it */
    refused_with("--lock-dir");       /* a link to nowhere */
    assert_true(folder_make(real, &err));
    strcat(locks, "//");
    refused_with("--lock-dir");
}

static void odd_paths_of_the_folder(void **state) {
    (void)state;
    struct stat facts;
    strcat(locks, "//");
    assert_true(take(0));
    assert_int_equal(stat(locks, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 01777);
    lease_release(&lease, 0, 0);

    static char endless[PATH_MAX + 100];
    memset(endless, 'x', sizeof endless - 1);
    memcpy(endless, "/tmp/", 5);
    struct lease_terms t = {.lock_dir = endless};
    assert_false(lease_acquire(&lease, &card, "m", &t, &err));
    assert_int_equal(err.code, ERROR_USAGE);
}

/* The files are for all users, whatever the umask of the first one. */
static void another_user_can_lease(void **state) {
    (void)state;
    if (geteuid() != 0) {
        print_message("skip: only root can become another user\n");
        return;
    }
    mode_t mask = umask(077);
    chmod(root, 0755);
    snprintf(locks, sizeof locks, "%s/locks", root);
    snprintf(lock_path, sizeof lock_path, "%s/card:0.lock", locks);
    assert_true(take(0));
    lease_release(&lease, 0, 0);
    umask(mask);
    pid_t child = fork();
    if (child == 0)
        _exit(setuid(65534) != 0 || !take(0));
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_free_device_is_taken_at_once),
        TEST(a_leased_device_is_busy),
        TEST(it_waits_until_the_other_lets_go),
        TEST(a_holder_that_dies_frees_it),
        TEST(a_wait_can_be_interrupted),
        TEST(many_processes_take_turns),
        TEST(a_shared_device_is_never_locked),
        TEST(without_a_folder_nothing_is_locked),
        TEST(devices_do_not_wait_for_each_other),
        TEST(what_is_left_behind_is_said),
        TEST(what_our_account_holds_is_not_left_behind),
        TEST(a_lost_device_frees_its_lease),
        TEST(the_summary_has_it_all),
        TEST(strange_words_of_a_holder),
        TEST(long_words_of_a_holder_are_cut),
        TEST(links_and_pipes_are_refused),
        TEST(a_linked_folder_is_refused),
        TEST(odd_paths_of_the_folder),
        TEST(another_user_can_lease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
