/* pickle.c - see pickle.h. One small function an instruction, in a table by
 * its byte; the comment behind it is its name in pickletools. They reach the
 * stack, the memo and the pickle's bytes through pickle_machine.c alone. */

#include "hub/pickle.h"

#include <string.h>

#include "base/utf8.h"
#include "hub/pickle_machine.h"

enum { PROTOCOL_MAX = 5 };

/* Numbers. */

static bool push_int(struct machine *m, enum pickle_type type, int64_t integer,
                     struct error *err) {
    struct pickle_value *value = machine_make(m, type, err);
    if (value)
        value->integer = integer;
    return machine_push(m, value, err);
}

static bool do_binint(struct machine *m, struct error *err) {
    uint64_t n;
    return machine_take_number(m, 4, &n, err) &&
           push_int(m, PICKLE_INT, (int64_t)(int32_t)(uint32_t)n, err);
}

static bool do_binint1(struct machine *m, struct error *err) {
    uint64_t n;
    return machine_take_number(m, 1, &n, err) &&
           push_int(m, PICKLE_INT, (int64_t)n, err);
}

static bool do_binint2(struct machine *m, struct error *err) {
    uint64_t n;
    return machine_take_number(m, 2, &n, err) &&
           push_int(m, PICKLE_INT, (int64_t)n, err);
}

/* Little-endian two's complement of any length. */
static bool push_long(struct machine *m, uint64_t size, struct error *err) {
    struct str bytes;
    if (!machine_take(m, size, &bytes, err))
        return false;
    if (bytes.size > 8) {
        struct pickle_value *value = machine_make(m, PICKLE_LONG, err);
        if (value)
            value->text = bytes;
        return machine_push(m, value, err);
    }
    bool negative = bytes.size && (unsigned char)bytes.data[size - 1] >= 0x80;
    uint64_t n = negative ? UINT64_MAX : 0;
    for (size_t i = bytes.size; i-- > 0;)
        n = n << 8 | (unsigned char)bytes.data[i];
    return push_int(m, PICKLE_INT, (int64_t)n, err);
}

static bool do_long1(struct machine *m, struct error *err) {
    uint64_t size;
    return machine_take_number(m, 1, &size, err) && push_long(m, size, err);
}

static bool do_long4(struct machine *m, struct error *err) {
    uint64_t size;
    return machine_take_number(m, 4, &size, err) && push_long(m, size, err);
}

static bool do_binfloat(struct machine *m, struct error *err) {
    struct str bytes;
    if (!machine_take(m, 8, &bytes, err))
        return false;
    uint64_t bits = 0; /* big-endian, alone among all of them */
    for (size_t i = 0; i < 8; i++)
        bits = bits << 8 | (unsigned char)bytes.data[i];
    struct pickle_value *value = machine_make(m, PICKLE_REAL, err);
    if (value)
        memcpy(&value->real, &bits, sizeof value->real);
    return machine_push(m, value, err);
}

static bool do_none(struct machine *m, struct error *err) {
    return machine_push(m, machine_make(m, PICKLE_NONE, err), err);
}

static bool do_true(struct machine *m, struct error *err) {
    return push_int(m, PICKLE_BOOL, 1, err);
}

static bool do_false(struct machine *m, struct error *err) {
    return push_int(m, PICKLE_BOOL, 0, err);
}

/* Texts. Python 2 wrote its strings as bytes, and all names as strings. */

static bool push_text(struct machine *m, unsigned width, struct error *err) {
    uint64_t size;
    struct str text;
    if (!machine_take_number(m, width, &size, err) ||
        !machine_take(m, size, &text, err))
        return false;
    if (utf8_valid_prefix(text) != text.size ||
        (text.size && memchr(text.data, '\0', text.size)))
        return machine_broken(m, "a text that is not UTF-8", err);
    struct pickle_value *value = machine_make(m, PICKLE_TEXT, err);
    if (value)
        value->text = text;
    return machine_push(m, value, err);
}

static bool do_text1(struct machine *m, struct error *err) {
    return push_text(m, 1, err);
}

static bool do_text4(struct machine *m, struct error *err) {
    return push_text(m, 4, err);
}

static bool do_text8(struct machine *m, struct error *err) {
    return push_text(m, 8, err);
}

/* Tuples, lists and dicts. */

static bool push_tuple(struct machine *m, const struct pickle_value **items,
                       size_t count, struct error *err) {
    struct pickle_value *tuple = machine_make(m, PICKLE_TUPLE, err);
    bool fine = tuple != NULL;
    for (size_t i = 0; fine && i < count; i++)
        fine = machine_add(m, tuple, items[i], err);
    return fine && machine_push(m, tuple, err);
}

static bool do_empty_tuple(struct machine *m, struct error *err) {
    return push_tuple(m, NULL, 0, err);
}

static bool do_tuple(struct machine *m, struct error *err) {
    const struct pickle_value **items;
    size_t count;
    return machine_pop_mark(m, &items, &count, err) &&
           push_tuple(m, items, count, err);
}

static bool tuple_of(struct machine *m, size_t count, struct error *err) {
    const struct pickle_value **items;
    return machine_pop_many(m, count, &items, err) &&
           push_tuple(m, items, count, err);
}

static bool do_tuple1(struct machine *m, struct error *err) {
    return tuple_of(m, 1, err);
}

static bool do_tuple2(struct machine *m, struct error *err) {
    return tuple_of(m, 2, err);
}

static bool do_tuple3(struct machine *m, struct error *err) {
    return tuple_of(m, 3, err);
}

static bool do_empty_list(struct machine *m, struct error *err) {
    return machine_push(m, machine_make(m, PICKLE_LIST, err), err);
}

static bool do_empty_dict(struct machine *m, struct error *err) {
    return machine_push(m, machine_make(m, PICKLE_DICT, err), err);
}

static bool do_append(struct machine *m, struct error *err) {
    const struct pickle_value *item = machine_pop(m, err);
    struct pickle_value *list = item ? machine_top(m, PICKLE_LIST, err) : NULL;
    return list && machine_add(m, list, item, err);
}

/* What lies above the mark goes into the TYPE below it. */
static bool add_marked(struct machine *m, enum pickle_type type,
                       struct error *err) {
    const struct pickle_value **items;
    size_t count;
    if (!machine_pop_mark(m, &items, &count, err))
        return false;
    struct pickle_value *into = machine_top(m, type, err);
    if (into && type == PICKLE_DICT && count % 2)
        return machine_broken(m, "a key without a value", err);
    bool fine = into != NULL;
    for (size_t i = 0; fine && i < count; i++)
        fine = machine_add(m, into, items[i], err);
    return fine;
}

static bool do_appends(struct machine *m, struct error *err) {
    return add_marked(m, PICKLE_LIST, err);
}

static bool do_setitems(struct machine *m, struct error *err) {
    return add_marked(m, PICKLE_DICT, err);
}

static bool do_setitem(struct machine *m, struct error *err) {
    const struct pickle_value *value = machine_pop(m, err);
    const struct pickle_value *key = value ? machine_pop(m, err) : NULL;
    struct pickle_value *dict = key ? machine_top(m, PICKLE_DICT, err) : NULL;
    return dict && machine_add(m, dict, key, err) &&
           machine_add(m, dict, value, err);
}

/* Names and calls. */

static const struct pickle_global ORDERED_DICT = {"collections", "OrderedDict"};
enum { ORDERED_DICT_INTEGER = -1 };

static bool is_global(const struct pickle_global *global, struct str module,
                      struct str name) {
    return str_equal(str_from(global->module), module) &&
           str_equal(str_from(global->name), name);
}

static bool push_global(struct machine *m, struct str module, struct str name,
                        struct error *err) {
    if (is_global(&ORDERED_DICT, module, name))
        return push_int(m, PICKLE_GLOBAL, ORDERED_DICT_INTEGER, err);
    for (int64_t i = 0; m->globals[i].module; i++)
        if (is_global(&m->globals[i], module, name))
            return push_int(m, PICKLE_GLOBAL, i, err);
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s: the pickle in it wants to run %.*s.%.*s: nothing of "
                     "a file is run here, and weights do not need it; save "
                     "them as safetensors",
                     m->path, STR_ARG(module), STR_ARG(name));
}

static bool do_global(struct machine *m, struct error *err) {
    struct str module, name;
    return machine_take_line(m, &module, err) &&
           machine_take_line(m, &name, err) &&
           push_global(m, module, name, err);
}

static bool do_stack_global(struct machine *m, struct error *err) {
    const struct pickle_value *name = machine_pop(m, err);
    const struct pickle_value *module = name ? machine_pop(m, err) : NULL;
    if (!module)
        return false;
    if (module->type != PICKLE_TEXT || name->type != PICKLE_TEXT)
        return machine_broken(m, "a name that is not a text", err);
    return push_global(m, module->text, name->text, err);
}

/* OrderedDict(), and OrderedDict([[key, value], ...]) of Python 2. */
static bool push_ordered_dict(struct machine *m,
                              const struct pickle_value *argument,
                              struct error *err) {
    struct pickle_value *dict = machine_make(m, PICKLE_DICT, err);
    const struct pickle_value *pairs =
        argument->count == 1 ? argument->items[0] : NULL;
    bool fine = dict != NULL;
    if (argument->count > 1 || (pairs && pairs->type != PICKLE_LIST))
        return machine_broken(m, "an OrderedDict of something else than pairs",
                              err);
    for (size_t i = 0; fine && pairs && i < pairs->count; i++) {
        const struct pickle_value *pair = pairs->items[i];
        bool is_pair =
            (pair->type == PICKLE_LIST || pair->type == PICKLE_TUPLE) &&
            pair->count == 2;
        if (!is_pair)
            return machine_broken(
                m, "an OrderedDict of something else than pairs", err);
        fine = machine_add(m, dict, pair->items[0], err) &&
               machine_add(m, dict, pair->items[1], err);
    }
    return fine && machine_push(m, dict, err);
}

static bool do_reduce(struct machine *m, struct error *err) {
    const struct pickle_value *argument = machine_pop(m, err);
    const struct pickle_value *callable = argument ? machine_pop(m, err) : NULL;
    if (!callable)
        return false;
    if (callable->type != PICKLE_GLOBAL || argument->type != PICKLE_TUPLE)
        return machine_broken(m, "a call of what is no name", err);
    if (callable->integer == ORDERED_DICT_INTEGER)
        return push_ordered_dict(m, argument, err);
    struct pickle_value *call = machine_make(m, PICKLE_CALL, err);
    if (call) {
        call->callable = callable;
        call->argument = argument;
    }
    return machine_push(m, call, err);
}

/* Attributes of an OrderedDict (torch's _metadata, the versions of modules)
 * are no part of its content. Other objects' would be. */
static bool do_build(struct machine *m, struct error *err) {
    const struct pickle_value *state = machine_pop(m, err);
    if (!state)
        return false;
    const struct pickle_value *object = machine_peek(m);
    if (object && object->type == PICKLE_DICT)
        return true;
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s: the pickle in it sets up an object (byte %zu), and "
                     "weights do not need that; save them as safetensors",
                     m->path, m->at);
}

static bool do_outside(struct machine *m, struct error *err) {
    const struct pickle_value *id = machine_pop(m, err);
    struct pickle_value *value =
        id ? machine_make(m, PICKLE_OUTSIDE, err) : NULL;
    if (!value)
        return false;
    value->argument = id;
    return machine_add(m, &m->outside, value, err) &&
           machine_push(m, value, err);
}

/* The memo. */

static bool do_binput(struct machine *m, struct error *err) {
    uint64_t place;
    return machine_take_number(m, 1, &place, err) &&
           machine_remember(m, place, err);
}

static bool do_long_binput(struct machine *m, struct error *err) {
    uint64_t place;
    return machine_take_number(m, 4, &place, err) &&
           machine_remember(m, place, err);
}

static bool do_memoize(struct machine *m, struct error *err) {
    return machine_remember(m, m->memo.count, err);
}

static bool recall(struct machine *m, unsigned width, struct error *err) {
    uint64_t place;
    return machine_take_number(m, width, &place, err) &&
           machine_recall(m, place, err);
}

static bool do_binget(struct machine *m, struct error *err) {
    return recall(m, 1, err);
}

static bool do_long_binget(struct machine *m, struct error *err) {
    return recall(m, 4, err);
}

/* Bookkeeping. */

static bool do_pop(struct machine *m, struct error *err) {
    return machine_pop(m, err) != NULL;
}

static bool do_proto(struct machine *m, struct error *err) {
    uint64_t protocol;
    if (!machine_take_number(m, 1, &protocol, err))
        return false;
    return (protocol >= 2 && protocol <= PROTOCOL_MAX) ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: a pickle of protocol %u, expected 2 to %d", m->path,
                     (unsigned)protocol, PROTOCOL_MAX);
}

static bool do_frame(struct machine *m, struct error *err) {
    struct str size;
    return machine_take(m, 8, &size, err);
}

static bool do_stop(struct machine *m, struct error *err) {
    (void)err;
    m->stopped = true;
    return true;
}

static bool (*const INSTRUCTIONS[256])(struct machine *, struct error *) = {
    ['('] = machine_mark,     /* MARK */
    [')'] = do_empty_tuple,   /* EMPTY_TUPLE */
    ['.'] = do_stop,          /* STOP */
    ['0'] = do_pop,           /* POP */
    ['G'] = do_binfloat,      /* BINFLOAT */
    ['J'] = do_binint,        /* BININT */
    ['K'] = do_binint1,       /* BININT1 */
    ['M'] = do_binint2,       /* BININT2 */
    ['N'] = do_none,          /* NONE */
    ['Q'] = do_outside,       /* BINPERSID */
    ['R'] = do_reduce,        /* REDUCE */
    ['T'] = do_text4,         /* BINSTRING */
    ['U'] = do_text1,         /* SHORT_BINSTRING */
    ['X'] = do_text4,         /* BINUNICODE */
    [']'] = do_empty_list,    /* EMPTY_LIST */
    ['a'] = do_append,        /* APPEND */
    ['b'] = do_build,         /* BUILD */
    ['c'] = do_global,        /* GLOBAL */
    ['e'] = do_appends,       /* APPENDS */
    ['h'] = do_binget,        /* BINGET */
    ['j'] = do_long_binget,   /* LONG_BINGET */
    ['q'] = do_binput,        /* BINPUT */
    ['r'] = do_long_binput,   /* LONG_BINPUT */
    ['s'] = do_setitem,       /* SETITEM */
    ['t'] = do_tuple,         /* TUPLE */
    ['u'] = do_setitems,      /* SETITEMS */
    ['}'] = do_empty_dict,    /* EMPTY_DICT */
    [0x80] = do_proto,        /* PROTO */
    [0x85] = do_tuple1,       /* TUPLE1 */
    [0x86] = do_tuple2,       /* TUPLE2 */
    [0x87] = do_tuple3,       /* TUPLE3 */
    [0x88] = do_true,         /* NEWTRUE */
    [0x89] = do_false,        /* NEWFALSE */
    [0x8A] = do_long1,        /* LONG1 */
    [0x8B] = do_long4,        /* LONG4 */
    [0x8C] = do_text1,        /* SHORT_BINUNICODE */
    [0x8D] = do_text8,        /* BINUNICODE8 */
    [0x93] = do_stack_global, /* STACK_GLOBAL */
    [0x94] = do_memoize,      /* MEMOIZE */
    [0x95] = do_frame,        /* FRAME */
};

static bool step(struct machine *m, struct error *err) {
    uint64_t code;
    if (!machine_take_number(m, 1, &code, err))
        return false;
    if (INSTRUCTIONS[code])
        return INSTRUCTIONS[code](m, err);
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s: the pickle in it has the instruction 0x%02X at byte "
                     "%zu, which weights do not need: not a file of torch, or "
                     "more than weights; save them as safetensors",
                     m->path, (unsigned)code, m->at - 1);
}

bool pickle_read(struct pickle *pickle, struct arena *arena, const char *path,
                 struct str bytes, const struct pickle_global *globals,
                 struct error *err) {
    struct machine m = {
        .arena = arena, .path = path, .bytes = bytes, .globals = globals};
    if (m.bytes.size > PICKLE_BYTES_MAX)
        m.bytes.size = PICKLE_BYTES_MAX;
    while (!m.stopped)
        if (!step(&m, err))
            return false;
    if (m.stack.count != 1 || m.marks.count)
        return machine_broken(&m, "it ends with more or less than one value",
                              err);
    *pickle = (struct pickle){.root = m.stack.items[0],
                              .outside = m.outside.items,
                              .outside_count = m.outside.count,
                              .bytes = m.at};
    return true;
}

const char *pickle_type_name(const struct pickle_value *value) {
    static const char *const NAMES[] = {
        [PICKLE_NONE] = "None",      [PICKLE_BOOL] = "a truth value",
        [PICKLE_INT] = "a number",   [PICKLE_LONG] = "a number",
        [PICKLE_REAL] = "a number",  [PICKLE_TEXT] = "a text",
        [PICKLE_TUPLE] = "a tuple",  [PICKLE_LIST] = "a list",
        [PICKLE_DICT] = "a dict",    [PICKLE_GLOBAL] = "a class",
        [PICKLE_CALL] = "an object", [PICKLE_OUTSIDE] = "a storage",
    };
    return NAMES[value->type];
}
