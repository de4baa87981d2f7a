#include "data/points.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>

#include "data/payload.h"

/* 10^0 to 10^53, each as near as a double can be. */
static const double TENS[] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10,
    1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21,
    1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30, 1e31, 1e32,
    1e33, 1e34, 1e35, 1e36, 1e37, 1e38, 1e39, 1e40, 1e41, 1e42, 1e43,
    1e44, 1e45, 1e46, 1e47, 1e48, 1e49, 1e50, 1e51, 1e52, 1e53};

static const double TENTHS[] = {1e0,  1e-1, 1e-2, 1e-3, 1e-4,
                                1e-5, 1e-6, 1e-7, 1e-8};

enum {
    DIGITS = 9,     /* always enough for f32 */
    FIXED_MIN = -5, /* 0.00001234 ... */
    FIXED_MAX = 8,  /* ... to 123456789; beyond: 1.234e-6 */
    TEXT_MAX = 24,  /* the longest text is 16 */
    MANTISSA = 0x7FFFFF,
    EXPONENT_SHIFT = 23,
};

/* x is DIGITS x 10^exponent, roughly. */
static double scale_by_ten(double x, int exponent) {
    return exponent >= 0 ? x * TENS[exponent] : x / TENS[-exponent];
}

/* A decimal number: d1.d2d3... x 10^exponent. */
struct decimal {
    uint32_t digits;
    int count; /* of digits */
    int exponent;
};

/* The exponent of ten of |x|'s first digit, from BITS. log10(2) is about
 * 1233/4096; where that is one too low, the multiplication shows it. */
static int first_exponent(uint32_t bits, double x) {
    uint32_t mantissa = bits & MANTISSA;
    int two = (int)(bits >> EXPONENT_SHIFT) - 127;
    if (two == -127) /* subnormal: the leading bit is in the mantissa */
        two = -118 - __builtin_clz(mantissa);
    int ten = (two * 1233) >> 12;
    return scale_by_ten(x, DIGITS - 2 - ten) >= TENS[DIGITS - 1] ? ten + 1
                                                                 : ten;
}

/* All the decimals between half-way to the float below X and half-way to the
 * one above read as X. Of those, one with the fewest digits. In units of the
 * ninth digit half a gap is at least 2.98, the error of the products below is
 * under 10^-6, and the rounding to nine digits costs 0.5: nine always do. */
static struct decimal shortest(uint32_t bits, double x) {
    static const double SURE = 1 - 1e-6; /* of half a gap */
    struct decimal best = {.count = DIGITS,
                           .exponent = first_exponent(bits, x)};
    int shift = DIGITS - 1 - best.exponent;
    double scaled = scale_by_ten(x, shift);
    uint32_t power = bits >> EXPONENT_SHIFT;
    uint64_t ulp_bits = (uint64_t)((power ? power : 1) - 150 + 1023) << 52;
    double ulp;
    memcpy(&ulp, &ulp_bits, sizeof ulp);
    double up = scale_by_ten(ulp, shift) * (SURE / 2);
    double down = (bits & MANTISSA) == 0 && power > 1 ? up / 2 : up;

    best.digits = (uint32_t)(scaled + 0.5);
    for (int dropped = 1; dropped < DIGITS; dropped++) {
        uint32_t digits = (uint32_t)(scaled * TENTHS[dropped] + 0.5);
        double off = digits * TENS[dropped] - scaled;
        if (off > up || off < -down)
            break;
        best.digits = digits;
        best.count = DIGITS - dropped;
    }
    if (best.digits == TENS[best.count]) { /* rounded up to 10...0 */
        best.digits = 1;
        best.count = 1;
        best.exponent++;
    }
    return best;
}

static void put_digits(char *text, uint32_t digits, int count) {
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324"
        "25262728293031323334353637383940414243444546474849"
        "50515253545556575859606162636465666768697071727374"
        "75767778798081828384858687888990919293949596979899";
    for (; count >= 2; count -= 2, digits /= 100)
        memcpy(text + count - 2, pairs + 2 * (digits % 100), 2);
    if (count)
        text[0] = (char)('0' + digits);
}

static char *put_zeros(char *text, int count) {
    while (count-- > 0)
        *text++ = '0';
    return text;
}

/* 0.00123, 12.3, 12300. */
static char *put_fixed(char *text, struct decimal d) {
    int whole = d.exponent + 1; /* digits before the point */
    if (whole <= 0) {
        *text++ = '0';
        *text++ = '.';
        text = put_zeros(text, -whole);
        put_digits(text, d.digits, d.count);
        return text + d.count;
    }
    put_digits(text, d.digits, d.count);
    if (whole >= d.count)
        return put_zeros(text + d.count, whole - d.count);
    memmove(text + whole + 1, text + whole, (size_t)(d.count - whole));
    text[whole] = '.';
    return text + d.count + 1;
}

/* 1.23e-7, 4e30. */
static char *put_scientific(char *text, struct decimal d) {
    put_digits(text + 1, d.digits, d.count);
    text[0] = text[1];
    text[1] = '.';
    text += d.count > 1 ? d.count + 1 : 1;
    *text++ = 'e';
    if (d.exponent < 0)
        *text++ = '-';
    int size = d.exponent < 0 ? -d.exponent : d.exponent;
    int count = size > 9 ? 2 : 1;
    put_digits(text, (uint32_t)size, count);
    return text + count;
}

void float_write(struct strbuf *out, float x) {
    assert(isfinite(x));
    if (!strbuf_reserve(out, TEXT_MAX))
        return;
    char *text = out->data + out->size;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (bits >> 31)
        *text++ = '-';
    bits &= 0x7FFFFFFF;
    if (bits == 0) {
        *text++ = '0';
        if (signbit(x)) {
            *text++ = '.';
            *text++ = '0';
        }
    } else {
        struct decimal d = shortest(bits, fabs((double)x));
        text = d.exponent < FIXED_MIN || d.exponent > FIXED_MAX
                   ? put_scientific(text, d)
                   : put_fixed(text, d);
    }
    *text = '\0';
    out->size = (size_t)(text - out->data);
}

/* A line on its way: TEXT is its end, and with FILE what came before is there
 * already. */
struct line {
    struct strbuf *text;
    struct file_writer *file; /* NULL: all of it stays in the text */
    struct error *err;
    bool failed;
};

enum { DRAIN_BYTES = 64 * 1024 };

static void drain(struct line *line, size_t at_least) {
    if (!line->file || line->failed || line->text->size < at_least)
        return;
    line->failed = !strbuf_ok(line->text, line->err) ||
                   !file_writer_add(line->file, line->text->data,
                                    line->text->size, line->err);
    strbuf_clear(line->text);
}

static void write_floats(struct strbuf *out, const float *values,
                         size_t count) {
    strbuf_add_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i)
            strbuf_add_char(out, ',');
        float_write(out, values[i]);
    }
    strbuf_add_char(out, ']');
}

static void write_sparse(struct strbuf *out,
                         const struct named_vector *vector) {
    strbuf_add(out, STR("{\"indices\":["));
    for (size_t i = 0; i < vector->count; i++)
        strbuf_printf(out, i ? ",%" PRIu32 : "%" PRIu32, vector->indices[i]);
    strbuf_add(out, STR("],\"values\":"));
    write_floats(out, vector->values, vector->count);
    strbuf_add_char(out, '}');
}

static void write_multi(struct line *line, const struct named_vector *vector) {
    strbuf_add_char(line->text, '[');
    for (size_t i = 0; i < vector->count; i++) {
        if (i)
            strbuf_add_char(line->text, ',');
        write_floats(line->text, vector->values + i * vector->width,
                     vector->width);
        drain(line, DRAIN_BYTES);
    }
    strbuf_add_char(line->text, ']');
}

static void write_vector(struct line *line, const struct named_vector *vector) {
    struct strbuf *out = line->text;
    strbuf_add_json(out, str_from(vector->name));
    strbuf_add_char(out, ':');
    if (vector->kind == ROW_SPARSE)
        write_sparse(out, vector);
    else if (vector->kind == ROW_MULTI)
        write_multi(line, vector);
    else
        write_floats(out, vector->values, vector->width);
}

static bool is_left_out(const struct named_vector *vector) {
    return vector->kind == ROW_MULTI && vector->count == 0;
}

static void write_line(struct line *line, const struct chunk *chunk,
                       const struct collection *collection,
                       const char *text_field,
                       const struct named_vector *vectors, size_t count) {
    struct strbuf *out = line->text;
    char id[37];
    uuid_text(chunk->id, id);
    strbuf_add(out, STR("{\"id\":\""));
    strbuf_add(out, str_from(id));
    strbuf_add(out, STR("\",\"vector\":{"));
    bool first = true;
    for (size_t v = 0; v < count; v++) {
        if (is_left_out(&vectors[v]))
            continue;
        if (!first)
            strbuf_add_char(out, ',');
        first = false;
        write_vector(line, &vectors[v]);
    }
    strbuf_add(out, STR("},\"payload\":"));
    payload_write(out, chunk, collection, text_field);
    strbuf_add(out, STR("}\n"));
}

void point_line(struct strbuf *out, const struct chunk *chunk,
                const struct collection *collection, const char *text_field,
                const struct named_vector *vectors, size_t count) {
    struct line line = {.text = out};
    write_line(&line, chunk, collection, text_field, vectors, count);
}

bool point_write(struct file_writer *file, struct strbuf *scratch,
                 const struct chunk *chunk, const struct collection *collection,
                 const char *text_field, const struct named_vector *vectors,
                 size_t count, struct error *err) {
    struct line line = {.text = scratch, .file = file, .err = err};
    strbuf_clear(scratch);
    write_line(&line, chunk, collection, text_field, vectors, count);
    drain(&line, 0);
    return !line.failed;
}

bool point_has_no_room(const struct chunk *chunk, struct error *err) {
    if (!err || err->code != ERROR_MEMORY)
        return false;
    return error_set(err, ERROR_MEMORY,
                     "chunk %.*s, of %zu bytes of text, does not fit below the "
                     "memory ceiling with its lines; raise --ceiling, split "
                     "it, or leave the line files out (--export npy)",
                     STR_ARG(chunk->chunk_id), chunk->original.size);
}
