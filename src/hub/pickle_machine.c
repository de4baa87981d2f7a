/* pickle_machine.c - see pickle_machine.h. */

#include "hub/pickle_machine.h"

#include <string.h>

#include "base/utf8.h"

bool machine_broken(const struct machine *m, const char *what,
                    struct error *err) {
    error_set(err, ERROR_INPUT,
              "%s: a broken pickle (byte %zu: %s): fetch the file again",
              m->path, m->at, what);
    return false; /* said here, for the compiler to know */
}

/* ---- the pickle's bytes ------------------------------------------------- */

bool machine_take(struct machine *m, uint64_t size, struct str *bytes,
                  struct error *err) {
    if (size > m->bytes.size - m->at)
        return machine_broken(m, "it ends too early", err);
    *bytes = (struct str){m->bytes.data + m->at, (size_t)size};
    m->at += (size_t)size;
    return true;
}

bool machine_take_number(struct machine *m, unsigned width, uint64_t *value,
                         struct error *err) {
    struct str bytes;
    if (!machine_take(m, width, &bytes, err))
        return false;
    *value = 0;
    for (unsigned i = 0; i < width; i++)
        *value |= (uint64_t)(unsigned char)bytes.data[i] << (8 * i);
    return true;
}

bool machine_take_line(struct machine *m, struct str *line, struct error *err) {
    const char *begin = m->bytes.data + m->at;
    const char *end = memchr(begin, '\n', m->bytes.size - m->at);
    if (!end)
        return machine_broken(m, "it ends too early", err);
    *line = (struct str){begin, (size_t)(end - begin)};
    m->at += line->size + 1;
    return utf8_valid_prefix(*line) == line->size ||
           machine_broken(m, "a text that is not UTF-8", err);
}

/* ---- values ------------------------------------------------------------- */

struct pickle_value *machine_make(struct machine *m, enum pickle_type type,
                                  struct error *err) {
    struct pickle_value *value = arena_alloc(m->arena, 1, sizeof *value, err);
    if (value)
        value->type = type;
    return value;
}

/* The old array stays in the arena. */
bool machine_add(struct machine *m, struct pickle_value *list,
                 const struct pickle_value *item, struct error *err) {
    if (!item)
        return false;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 4;
        const struct pickle_value **items =
            arena_alloc(m->arena, capacity, sizeof *items, err);
        if (!items)
            return false;
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return true;
}

bool machine_push(struct machine *m, const struct pickle_value *value,
                  struct error *err) {
    return machine_add(m, &m->stack, value, err);
}

/* How many values the instructions may take: those above the last mark. */
static size_t above_mark(const struct machine *m) {
    size_t marks = m->marks.count;
    size_t floor = marks ? (size_t)m->marks.items[marks - 1]->integer : 0;
    return m->stack.count - floor;
}

const struct pickle_value *machine_pop(struct machine *m, struct error *err) {
    if (above_mark(m) == 0) {
        machine_broken(m, "an empty stack", err);
        return NULL;
    }
    return m->stack.items[--m->stack.count];
}

const struct pickle_value *machine_peek(const struct machine *m) {
    return above_mark(m) ? m->stack.items[m->stack.count - 1] : NULL;
}

struct pickle_value *machine_top(struct machine *m, enum pickle_type type,
                                 struct error *err) {
    struct pickle_value *value =
        (struct pickle_value *)(uintptr_t)machine_peek(m);
    if (value && value->type == type)
        return value;
    machine_broken(m, "nothing to add to", err);
    return NULL;
}

bool machine_pop_many(struct machine *m, size_t count,
                      const struct pickle_value ***items, struct error *err) {
    if (above_mark(m) < count)
        return machine_broken(m, "an empty stack", err);
    m->stack.count -= count;
    *items = m->stack.items + m->stack.count;
    return true;
}

/* ---- marks -------------------------------------------------------------- */

bool machine_mark(struct machine *m, struct error *err) {
    struct pickle_value *mark = machine_make(m, PICKLE_INT, err);
    if (mark)
        mark->integer = (int64_t)m->stack.count;
    return machine_add(m, &m->marks, mark, err);
}

bool machine_pop_mark(struct machine *m, const struct pickle_value ***items,
                      size_t *count, struct error *err) {
    if (!m->marks.count)
        return machine_broken(m, "no mark", err);
    *count = above_mark(m);
    m->stack.count -= *count;
    *items = *count ? m->stack.items + m->stack.count : NULL;
    m->marks.count--;
    return true;
}

/* ---- the memo ----------------------------------------------------------- */

bool machine_remember(struct machine *m, uint64_t place, struct error *err) {
    const struct pickle_value *value = machine_peek(m);
    if (!value)
        return machine_broken(m, "an empty stack", err);
    if (place == 1 && m->memo.count == 0 &&
        !machine_add(m, &m->memo, value, err))
        return false;
    if (place > m->memo.count)
        return machine_broken(m, "a place in the memo that is not the next",
                              err);
    if (place == m->memo.count)
        return machine_add(m, &m->memo, value, err);
    m->memo.items[place] = value;
    return true;
}

bool machine_recall(struct machine *m, uint64_t place, struct error *err) {
    return place < m->memo.count
               ? machine_push(m, m->memo.items[place], err)
               : machine_broken(m, "an empty place in the memo", err);
}
