/* activate.h - activations, of eight numbers at once; before every kernel file,
 * behind params.h. */

INLINE float at_least_zero(float x) {
    return x < 0.0f ? 0.0f : x;
}

/* The quick quotient is 2 units off at most, and 0 where e^-x is above 2^126.
 */
INLINE float sigmoid_times(float x, float by) {
    return __fdividef(by, 1.0f + expf(-x));
}

INLINE float gelu(float x) {
    return 0.5f * x * (1.0f + erff(x * 0.707106781186547524f));
}

/* (1 + tanh u) / 2 is sigmoid(2 u), which does not cancel. */
INLINE float gelu_tanh(float x) {
    const float twice = 1.59576912160573071f; /* 2 sqrt(2 / pi) */
    return sigmoid_times(twice * (x + 0.044715f * x * x * x), x);
}

#define ACTIVATE(name, value)                                                  \
    case name:                                                                 \
        UNROLL                                                                 \
        for (unsigned i = 0; i < 8; i++)                                       \
            v[i] = value;                                                      \
        break

INLINE void activate(float v[8], unsigned which) {
    switch (which) {
        ACTIVATE(PARAM_ACTIVATION_GELU, gelu(v[i]));
        ACTIVATE(PARAM_ACTIVATION_GELU_TANH, gelu_tanh(v[i]));
        ACTIVATE(PARAM_ACTIVATION_RELU, at_least_zero(v[i]));
        ACTIVATE(PARAM_ACTIVATION_SILU, sigmoid_times(v[i], v[i]));
        ACTIVATE(PARAM_ACTIVATION_TANH, tanhf(v[i]));
        ACTIVATE(PARAM_ACTIVATION_SIGMOID, sigmoid_times(v[i], 1.0f));
    default:
        break;
    }
}
