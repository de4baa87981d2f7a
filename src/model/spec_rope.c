/* spec_rope.c - what config.json says of rotary positions, as frequencies.
 *
 * The formulas are those of transformers' modeling_rope_utils.py: "default",
 * "linear", "llama3" and "yarn" (Peng et al. 2023). They are computed in float
 * there, and so here. */

#include <math.h>
#include <string.h>

#include "model/spec_parts.h"

/* The members of a config's rope parameters. */
struct scaling {
    struct config_source from;
    const char *type;
    double theta, factor, low, high, original, attention, mscale, mscale_all;
    double fast, slow;
    bool truncate;
};

static double smaller(double a, double b) {
    return a < b ? a : b;
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

static void scale_linear(const struct scaling *s, size_t pairs,
                         float *inverse) {
    for (size_t p = 0; p < pairs; p++)
        inverse[p] /= (float)s->factor;
}

/* Long waves are stretched, short ones are not, and between them it blends. */
static void scale_llama3(const struct scaling *s, size_t pairs,
                         float *inverse) {
    const double full_turn = 6.283185307179586;
    double longest = s->original / s->low, shortest = s->original / s->high;
    for (size_t p = 0; p < pairs; p++) {
        double wave = full_turn / (double)inverse[p];
        double smooth = (s->original / wave - s->low) / (s->high - s->low);
        if (wave > longest)
            inverse[p] /= (float)s->factor;
        else if (wave >= shortest)
            inverse[p] = (float)((1 - smooth) * (double)inverse[p] / s->factor +
                                 smooth * (double)inverse[p]);
    }
}

/* The pair whose wave turns TURNS times in the original length. */
static double turning_pair(const struct scaling *s, double turns, size_t dims) {
    return (double)dims * log(s->original / (turns * 6.283185307179586)) /
           (2 * log(s->theta));
}

static void scale_yarn(const struct scaling *s, size_t dims, float *inverse) {
    double low = turning_pair(s, s->fast, dims);
    double high = turning_pair(s, s->slow, dims);
    if (s->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = larger(low, 0);
    high = smaller(high, (double)dims - 1);
    if (low == high)
        high += 0.001;
    for (size_t p = 0; p < dims / 2; p++) {
        double ramp = larger(0, smaller(1, ((double)p - low) / (high - low)));
        inverse[p] = (float)((double)inverse[p] / s->factor * ramp +
                             (double)inverse[p] * (1 - ramp));
    }
}

static double yarn_scale(double factor, double mscale) {
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

static double yarn_attention(const struct scaling *s) {
    if (s->attention > 0)
        return s->attention;
    if (s->mscale > 0 && s->mscale_all > 0)
        return yarn_scale(s->factor, s->mscale) /
               yarn_scale(s->factor, s->mscale_all);
    return yarn_scale(s->factor, 1);
}

/* The object that holds the parameters: "rope_scaling" wins over
 * "rope_parameters", as upstream; KIND's member of it, where it has one. */
static bool find_parameters(const struct config_source *from, const char *kind,
                            struct config_source *found, struct error *err) {
    const json_t *object = json_object_get(from->config, "rope_scaling");
    if (!json_object_size(object))
        object = json_object_get(from->config, "rope_parameters");
    if (object && !json_is_object(object) && !json_is_null(object))
        return error_set(err, ERROR_INPUT,
                         "%s: rope parameters are not an object", from->path);
    const json_t *inner = kind ? json_object_get(object, kind) : NULL;
    *found = (struct config_source){json_is_object(inner) ? inner : object,
                                    from->path};
    return true;
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

static bool check_numbers(const struct scaling *s, struct error *err) {
    bool llama3 = strcmp(s->type, "llama3") == 0;
    bool plain = strcmp(s->type, "default") == 0;
    if (!(s->theta > 0) || !isfinite(s->theta))
        return error_set(err, ERROR_INPUT, "%s: rope_theta is %g", s->from.path,
                         s->theta);
    if (!plain && (!(s->factor > 0) || !isfinite(s->factor)))
        return error_set(err, ERROR_INPUT,
                         "%s: rope scaling \"%s\" has no factor above 0",
                         s->from.path, s->type);
    if (llama3 && !(s->low > 0 && s->high > s->low && s->original > 0))
        return error_set(err, ERROR_INPUT,
                         "%s: rope scaling \"llama3\" needs "
                         "0 < low_freq_factor < high_freq_factor and "
                         "original_max_position_embeddings",
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
        return error_set(err, ERROR_INPUT, "%s: partial_rotary_factor is %g",
                         from->path, part);
    *dims = (size_t)((double)*dims * part);
    if (*dims >= 2 && *dims % 2 == 0 && *dims <= 2 * ROTARY_PAIRS)
        return true;
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s: rotary positions over %zu numbers of a head are not "
                     "supported; even numbers up to %d are",
                     from->path, *dims, 2 * ROTARY_PAIRS);
}

static bool apply_scaling(const struct scaling *s, struct rotary_spec *rotary,
                          struct error *err) {
    size_t pairs = rotary->dims / 2;
    if (strcmp(s->type, "linear") == 0)
        scale_linear(s, pairs, rotary->inverse);
    else if (strcmp(s->type, "llama3") == 0)
        scale_llama3(s, pairs, rotary->inverse);
    else if (strcmp(s->type, "yarn") == 0) {
        scale_yarn(s, rotary->dims, rotary->inverse);
        rotary->factor = (float)yarn_attention(s);
    } else if (strcmp(s->type, "default") != 0) {
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: rope scaling \"%s\" is not supported; default, "
                         "linear, llama3 and yarn are",
                         s->from.path, s->type);
    }
    return true;
}

bool config_rotary(const struct config_source *from, const char *kind,
                   size_t dims, double theta, struct rotary_spec *rotary,
                   struct error *err) {
    struct scaling s = {.type = "default",
                        .theta = theta,
                        .fast = 32,
                        .slow = 1,
                        .truncate = true};
    if (!config_real(from, "max_position_embeddings", &s.original, err) ||
        !find_parameters(from, kind, &s.from, err) ||
        (!kind && !config_real(from, "rope_theta", &s.theta, err)) ||
        !read_numbers(&s, err) || !check_numbers(&s, err) ||
        !read_part(from, &s, &dims, err))
        return false;
    rotary->dims = dims;
    rotary->factor = 1;
    for (size_t p = 0; p < dims / 2; p++)
        rotary->inverse[p] =
            1.0f / powf((float)s.theta, (float)(2 * p) / (float)dims);
    return apply_scaling(&s, rotary, err);
}
