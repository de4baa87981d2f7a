/* turn.h - a pair of numbers turned by its angle (rotary positions); before
 * every kernel file, behind params.h. Which product is rounded for itself is
 * said here, for all who turn: the compiler would choose for each. */

INLINE void turn(float *a, float *b, float cosine, float sine) {
    float x = *a, y = *b;
    *a = fmaf(x, cosine, -(y * sine));
    *b = fmaf(y, cosine, x * sine);
}
