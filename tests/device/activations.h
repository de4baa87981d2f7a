/* activations.h - what an activation is, and how near floats can come. */

#ifndef TESTS_DEVICE_ACTIVATIONS_H
#define TESTS_DEVICE_ACTIVATIONS_H

#include "device/fixture.h"

static inline double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

/* The functions as libm computes them in double. */
static inline double activation_exact(enum activation activation, double x) {
    switch (activation) {
    case ACTIVATION_NONE:
        return x;
    case ACTIVATION_GELU:
        return 0.5 * x * erfc(-x / sqrt(2));
    case ACTIVATION_GELU_TANH: /* (1 + tanh u) / 2 without its cancellation */
        return x * sigmoid(2 * sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x));
    case ACTIVATION_RELU:
        return x > 0 ? x : 0;
    case ACTIVATION_SILU:
        return x * sigmoid(x);
    case ACTIVATION_TANH:
        return tanh(x);
    case ACTIVATION_SIGMOID:
        return sigmoid(x);
    }
    return 0;
}

/* 16 rounded operations, and for what goes through e^a the rounding of a: an
 * error of d in a is one of the factor 1 + d in e^a. Where e^a would be below
 * the normal floats, about the smallest of them stands for it. */
static inline double activation_tolerance(enum activation activation,
                                          double x) {
    double argument = 0;
    if (activation == ACTIVATION_GELU)
        argument = x * x;
    if (activation == ACTIVATION_GELU_TANH)
        argument = 4 * fabs(1.6 * (x + 0.044715 * x * x * x));
    if (activation == ACTIVATION_NONE || activation == ACTIVATION_RELU)
        return 0;
    return (16 + argument) * ROUNDING * fabs(activation_exact(activation, x)) +
           (1 + fabs(x)) * 1.5 * (double)FLT_MIN;
}

#endif
