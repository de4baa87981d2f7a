/* spec_rope.c - what config.json says of rotary positions, as frequencies.
 *
 * The formulas are those of transformers' modeling_rope_utils.py: "default",
 * "linear", "llama3" and "yarn" (Peng et al. 2023). Tensors are float there and
 * other numbers double; so they are here, in the same order, since far
 * positions multiply what differs. */

#include <math.h>
#include <string.h>

#include "model/spec_parts.h"

static const double full_turn = 6.283185307179586;

/* The members of a config's rope parameters. */
struct scaling {
    struct config_source from;
    const char *type;
    double theta, factor, low, high, original, attention, mscale, mscale_all;
    double fast, slow;
    bool truncate;
};

static bool is_type(const struct scaling *s, const char *type) {
    return strcmp(s->type, type) == 0;
}

static void scale_linear(const struct scaling *s, size_t pairs,
                         float *inverse) {
    for (size_t p = 0; p < pairs; p++)
        inverse[p] /= (float)s->factor;
}

/* Long waves are stretched, short ones are not, and between them it blends. */
static void scale_llama3(const struct scaling *s, size_t pairs,
                         float *inverse) {
    float factor = (float)s->factor, span = (float)(s->high - s->low);
    float longest = (float)(s->original / s->low);
    float shortest = (float)(s->original / s->high);
    for (size_t p = 0; p < pairs; p++) {
        float plain = inverse[p], wave = (float)full_turn / plain;
        float smooth = ((float)s->original / wave - (float)s->low) / span;
        if (wave > longest)
            inverse[p] = plain / factor;
        else if (wave >= shortest)
            inverse[p] = (1 - smooth) * plain / factor + smooth * plain;
    }
}

/* The pair whose wave turns TURNS times in the original length. Upstream's
 * defaults stand for 0 as well. */
static double turning_pair(const struct scaling *s, double turns, size_t dims) {
    return (double)dims * log(s->original / (turns * full_turn)) /
           (2 * log(s->theta));
}

/* INVERSE holds the waves' lengths, and then what becomes of them: stretched
 * ones, those that are not, and a ramp between. */
static void scale_yarn(const struct scaling *s, size_t dims, float *inverse) {
    double low = turning_pair(s, s->fast > 0 ? s->fast : 32, dims);
    double high = turning_pair(s, s->slow > 0 ? s->slow : 1, dims);
    if (s->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, (double)dims - 1);
    if (low == high)
        high += 0.001;
    for (size_t p = 0; p < dims / 2; p++) {
        float ramp = ((float)p - (float)low) / (float)(high - low);
        float plain = 1 - fminf(1, fmaxf(0, ramp));
        inverse[p] = 1 / ((float)s->factor * inverse[p]) * (1 - plain) +
                     1 / inverse[p] * plain;
    }
}

static double yarn_scale(double factor, double mscale) {
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

static double yarn_attention(const struct scaling *s) {
    if (!isnan(s->attention))
        return s->attention;
    if (s->mscale != 0 && s->mscale_all != 0)
        return yarn_scale(s->factor, s->mscale) /
               yarn_scale(s->factor, s->mscale_all);
    return yarn_scale(s->factor, 1);
}

static bool read_numbers(struct scaling *s, struct error *err) {
    const struct config_source *from = &s->from;
    return config_real(from, "rope_theta", &s->theta, err) &&
           config_real(from, "factor", &s->factor, err) &&
           config_real(from, "low_freq_factor", &s->low, err) &&
           config_real(from, "high_freq_factor", &s->high, err) &&
           config_real(from, "original_max_position_embeddings", &s->original,
                       err) &&
           config_real(from, "attention_factor", &s->attention, err) &&
           config_real(from, "mscale", &s->mscale, err) &&
           config_real(from, "mscale_all_dim", &s->mscale_all, err) &&
           config_real(from, "beta_fast", &s->fast, err) &&
           config_real(from, "beta_slow", &s->slow, err) &&
           config_flag(from, "truncate", &s->truncate, err) &&
           config_word(from, "type", &s->type, err) &&
           config_word(from, "rope_type", &s->type, err);
}

static bool check_type(const struct scaling *s, struct error *err) {
    return is_type(s, "default") || is_type(s, "linear") ||
           is_type(s, "llama3") || is_type(s, "yarn") ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: rope scaling \"%s\" is not supported; default, "
                     "linear, llama3 and yarn are",
                     s->from.path, s->type);
}

static bool check_numbers(const struct scaling *s, struct error *err) {
    bool llama3 = is_type(s, "llama3"), yarn = is_type(s, "yarn");
    if (!(s->theta > 0) || !isfinite(s->theta))
        return error_set(err, ERROR_INPUT,
                         "%s: rope_theta is %g; a number above 0 belongs there",
                         s->from.path, s->theta);
    if (!is_type(s, "default") && (!(s->factor > 0) || !isfinite(s->factor)))
        return error_set(err, ERROR_INPUT,
                         "%s: rope scaling \"%s\" has no factor above 0",
                         s->from.path, s->type);
    if (llama3 && !(s->low > 0 && s->high > s->low && s->original > 0))
        return error_set(err, ERROR_INPUT,
                         "%s: rope scaling \"llama3\" needs "
                         "0 < low_freq_factor < high_freq_factor and "
                         "original_max_position_embeddings",
                         s->from.path);
    if (yarn && !(s->fast >= 0 && s->slow >= 0 && s->original > 0 &&
                  s->theta > 1 && isfinite(yarn_attention(s))))
        return error_set(err, ERROR_INPUT,
                         "%s: rope scaling \"yarn\" needs beta_fast and "
                         "beta_slow not below 0, "
                         "original_max_position_embeddings above 0 and "
                         "rope_theta above 1",
                         s->from.path);
    return true;
}

/* *DIMS of each head are turned. */
static bool read_part(const struct config_source *from, const struct scaling *s,
                      size_t *dims, struct error *err) {
    double part = 1;
    if (!config_real(from, "partial_rotary_factor", &part, err) ||
        !config_real(&s->from, "partial_rotary_factor", &part, err))
        return false;
    if (!(part > 0 && part <= 1))
        return error_set(
            err, ERROR_INPUT,
            "%s: partial_rotary_factor is %g; a number above 0 and "
            "up to 1 belongs there",
            from->path, part);
    *dims = (size_t)((double)*dims * part);
    if (*dims >= 2 && *dims % 2 == 0 && *dims <= 2 * ROTARY_PAIRS)
        return true;
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s: rotary positions over %zu numbers of a head are not "
                     "supported; even numbers up to %d are",
                     from->path, *dims, 2 * ROTARY_PAIRS);
}

static void compute(const struct scaling *s, size_t dims,
                    struct rotary_spec *rotary) {
    bool yarn = is_type(s, "yarn");
    rotary->dims = dims;
    rotary->factor = yarn ? (float)yarn_attention(s) : 1;
    for (size_t p = 0; p < dims / 2; p++) {
        float wave = powf((float)s->theta, (float)(2 * p) / (float)dims);
        rotary->inverse[p] = yarn ? wave : 1.0f / wave;
    }
    if (yarn)
        scale_yarn(s, dims, rotary->inverse);
    if (is_type(s, "linear"))
        scale_linear(s, dims / 2, rotary->inverse);
    if (is_type(s, "llama3"))
        scale_llama3(s, dims / 2, rotary->inverse);
}

bool config_rotary_object(const struct config_source *from,
                          const json_t *parameters, size_t dims, double theta,
                          struct rotary_spec *rotary, struct error *err) {
    struct scaling s = {.from = {.config = parameters, .path = from->path},
                        .type = "default",
                        .theta = theta,
                        .original = (double)from->length,
                        .attention = (double)NAN,
                        .truncate = true};
    const char *original = "original_max_position_embeddings";
    if (!config_real(from, "max_position_embeddings", &s.original, err) ||
        !read_numbers(&s, err) ||
        !config_real(from, original, &s.original, err) ||
        !check_type(&s, err) || !check_numbers(&s, err) ||
        !read_part(from, &s, &dims, err))
        return false;
    compute(&s, dims, rotary);
    return true;
}

/* Parameters that are some layers' own, where we want those of all. */
static bool check_flat(const struct config_source *from, const json_t *object,
                       struct error *err) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        if (json_is_object(value))
            return error_set(err, ERROR_UNSUPPORTED,
                             "%s: rope parameters for \"%s\" alone are not "
                             "supported in such a model",
                             from->path, key);
    }
    return true;
}

/* As upstream: "rope_scaling" wins over "rope_parameters", which begins as its
 * kind's member of that where there are kinds. */
static bool find_parameters(const struct config_source *from, const char *kind,
                            const json_t **found, struct error *err) {
    const json_t *old, *all, *own = NULL;
    if (!config_object(from, "rope_scaling", &old, err) ||
        !config_object(from, "rope_parameters", &all, err))
        return false;
    struct config_source kinds = {.config = all, .path = from->path};
    if (kind && !config_object(&kinds, kind, &own, err))
        return false;
    *found = old ? old : kind ? own : all;
    if (!kind)
        return check_flat(from, *found, err);
    return !(old && own) ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: rope_scaling beside rope_parameters is not "
                     "supported; take one away",
                     from->path);
}

bool config_rotary(const struct config_source *from, const char *kind,
                   size_t dims, double theta, struct rotary_spec *rotary,
                   struct error *err) {
    const json_t *parameters;
    return find_parameters(from, kind, &parameters, err) &&
           (kind || config_real(from, "rope_theta", &theta, err)) &&
           config_rotary_object(from, parameters, dims, theta, rotary, err);
}

bool config_rotary_whole(const struct config_source *from,
                         const struct rotary_spec *rotary, size_t dims,
                         struct error *err) {
    return rotary->dims == dims ||
           error_set(
               err, ERROR_UNSUPPORTED,
               "%s: partial_rotary_factor has %zu of a head's %zu numbers "
               "turned, which is not supported in this family; only 1, "
               "all of them, is",
               from->path, rotary->dims, dims);
}
