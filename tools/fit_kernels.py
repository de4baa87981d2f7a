#!/usr/bin/env python3
"""Fit the polynomials of src/device/cpu/ (needs NumPy and SciPy).

Each fit minimises the greatest relative error of the function that is made of
it, by weighted least squares whose weights grow where the error is large
(Lawson's algorithm). Prints the #defines and the error in exact arithmetic.
"""

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import erfcx


def fit(low, high, degree, target, weight):
    """Coefficients c of p(v) ~ target(v) on [low, high], and the greatest
    |p - target| * weight."""
    z = np.cos(np.pi * (np.arange(3000) + 0.5) / 3000)
    v = (low + high) / 2 + (high - low) / 2 * z
    columns = chebyshev.chebvander(z, degree) * weight(v)[:, None]
    wanted = target(v) * weight(v)
    w = np.ones_like(z)
    for _ in range(100):
        root = np.sqrt(w)
        c = np.linalg.lstsq(columns * root[:, None], wanted * root, rcond=None)[0]
        error = np.abs(columns @ c - wanted)
        w *= error + 1e-30
        w /= w.mean()
    line = np.polynomial.Polynomial([-(low + high) / (high - low), 2 / (high - low)])
    return np.polynomial.Polynomial(chebyshev.cheb2poly(c))(line).coef, error.max()


def show(name, result):
    for i, c in enumerate(result[0]):
        print(f"#define {name}_{i} {c:.9g}f")
    print(f"/* {name}: error {result[1]:.1e} */")


# e^r = 1 + r + r^2 p(r)
half = np.log(2) / 2 * 1.0001
show("EXP", fit(-half, half, 4, lambda r: (np.expm1(r) - r) / r**2,
                lambda r: r**2 * np.exp(-r)))
# 2^f = 1 + f p(f): for weights that are rounded to bf16 (attention_halves.inc)
show("POWER", fit(-0.5001, 0.5001, 2, lambda f: np.expm1(f * np.log(2)) / f,
                  lambda f: abs(f) * np.exp2(-f)))
# 2^f = 1 + f p(f)
show("TWO", fit(-0.5001, 0.5001, 4, lambda f: np.expm1(f * np.log(2)) / f,
                lambda f: abs(f) * np.exp2(-f)))
# tanh x = x + x z p(z), z = x^2
show("TANH", fit(1e-9, 0.36, 5,
                 lambda z: (np.tanh(np.sqrt(z)) / np.sqrt(z) - 1) / z,
                 lambda z: z))
# The normal distribution below -u is e^(-u^2 / 2) p(t), t = 1 / (1 + 0.3 u).
show("GELU", fit(1 / (1 + 0.3 * 14.5), 1, 8,
                 lambda t: erfcx((1 / t - 1) / 0.3 / np.sqrt(2)) / 2,
                 lambda t: 2 / erfcx((1 / t - 1) / 0.3 / np.sqrt(2))))
# log(1 + f) = f - f^2 / 2 + f^3 p(f)
show("LOG", fit(np.sqrt(0.5) - 1, np.sqrt(2) - 1, 7,
                lambda f: (np.log1p(f) - f + f**2 / 2) / f**3,
                lambda f: f**3 / np.log1p(f)))
