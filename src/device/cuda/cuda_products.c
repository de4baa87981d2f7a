/* cuda_products.c - products of matrices by cuBLASLt, and which of its
 * algorithms.
 *
 * cuBLASLt thinks in columns: our y = x W^T, row-major, is its D = A^T B with
 * A our weights, B our x and D our y, each as it lies in memory.
 *
 * The algorithm decides the order of a sum, so it is chosen once for a shape
 * (in, out, type of results, epilogue) and then used for every number of rows,
 * as far as cuBLASLt accepts it: a text's bits do not depend on how many other
 * rows there are. It is asked for at many rows, which is where the time goes;
 * if the first product of the shape has enough rows the few best are tried, and
 * the fastest stays. The trial's results go to a part of the workspace. */

#include "device/cuda/cuda_parts.h"

#include <math.h>
#include <string.h>

enum {
    ROWS_ASKED = 8192,   /* of the product that algorithms are asked for */
    ROWS_TRIED = 256,    /* least rows of a trial */
    CANDIDATES = 6,      /* in a trial, */
    REPEATS = 3,         /* and how often each */
    ALIGNMENT_MOST = 64, /* pieces of blocks have this one */
};

/* ---- opening ------------------------------------------------------------ */

static bool open_handle(struct cuda_device *cuda, struct error *err) {
    int status = cuda->blas->cublasLtCreate(&cuda->products_handle);
    if (status == BLAS_NO_MEMORY)
        return error_set(err, ERROR_MEMORY,
                         "%s: there is no room for cuBLASLt on it; end what "
                         "else runs there, or use another device",
                         cuda->device.name);
    return status == 0 ||
           error_set(err, ERROR_DEVICE,
                     "%s: cuBLASLt cannot be used on it: cublasLtCreate gives "
                     "status %d; use another device",
                     cuda->device.name, status);
}

static bool open_workspace(struct cuda_device *cuda, struct error *err) {
    cuda->workspace_bytes = (size_t)(cuda->card.major >= 9 ? 32 : 4) << 20;
    return cuda_take(cuda, &cuda->workspace, cuda->workspace_bytes,
                     "cuBLASLt works in", err);
}

/* Of the workspace by itself, into it. */
bool cuda_products_try(struct cuda_device *cuda, bool fp8) {
    enum { WIDTH = 64, BYTES = WIDTH * WIDTH * sizeof(float) };
    for (int wide = 0; wide < 2; wide++) {
        struct product_job job = {.key = {.in = WIDTH,
                                          .out = WIDTH,
                                          .wide = wide,
                                          .fp8 = fp8,
                                          .epilogue = BLAS_EPILOGUE_DEFAULT},
                                  .weights = cuda_pointer(cuda->workspace),
                                  .x = cuda_pointer(cuda->workspace + BYTES),
                                  .d =
                                      cuda_pointer(cuda->workspace + 2 * BYTES),
                                  .rows = WIDTH,
                                  .alpha = 1};
        if (!cuda_product(&cuda->lane, &job))
            return false;
    }
    return cuda_enter(cuda) && CU(cuda, cuStreamSynchronize, cuda->lane.stream);
}

bool cuda_products_open(struct cuda_device *cuda, struct error *err) {
    cuda->products = memory_zalloc(cuda->host, CUDA_PRODUCTS_MAX,
                                   sizeof *cuda->products, err);
    if (!cuda->products)
        return false;
    cuda->biases =
        memory_zalloc(cuda->host, CUDA_BIASES, sizeof *cuda->biases, err);
    if (!cuda->biases || !open_handle(cuda, err) || !open_workspace(cuda, err))
        return false;
    if (!cuda_products_try(cuda, false))
        cuda_broke(cuda, "cuBLASLt has no product of 64 by 64 numbers");
    return cuda_alive(cuda, err);
}

static void forget(const struct cuda_blas *blas, struct product *p) {
    if (p->matmul)
        blas->cublasLtMatmulDescDestroy(p->matmul);
    if (p->weights)
        blas->cublasLtMatrixLayoutDestroy(p->weights);
    *p = (struct product){.refused = true};
}

void cuda_products_close(struct cuda_device *cuda) {
    for (size_t i = 0; cuda->products && i < CUDA_PRODUCTS_MAX; i++)
        forget(cuda->blas, &cuda->products[i]);
    if (cuda->workspace)
        cuda->cu->cuMemFree(cuda->workspace);
    if (cuda->products_handle)
        cuda->blas->cublasLtDestroy(cuda->products_handle);
    memory_free(cuda->host, cuda->products);
    memory_free(cuda->host, cuda->biases);
}

/* ---- what is multiplied ------------------------------------------------- */

static int number_of(const struct cuda_device *cuda, bool wide) {
    enum number_type type = cuda->numbers;
    return wide || type == NUMBER_F32 ? BLAS_F32
           : type == NUMBER_F16       ? BLAS_F16
                                      : BLAS_BF16;
}

/* Of the matrix and what it reads. */
static int operand_of(const struct cuda_device *cuda,
                      const struct product_key *key) {
    return key->fp8 ? BLAS_E4M3 : number_of(cuda, false);
}

/* Of x and of the results: what depends on the number of rows. */
struct layouts {
    blas_layout x, y;
};

static bool lay_out(const struct cuda_device *cuda,
                    const struct product_key *key, size_t rows,
                    struct layouts *layouts) {
    const struct cuda_blas *blas = cuda->blas;
    size_t apart = key->fp8 ? E4M3_ROW_BYTES(key->in) : key->in;
    *layouts = (struct layouts){0};
    return blas->cublasLtMatrixLayoutCreate(&layouts->x, operand_of(cuda, key),
                                            key->in, rows,
                                            (int64_t)apart) == 0 &&
           blas->cublasLtMatrixLayoutCreate(
               &layouts->y, number_of(cuda, key->wide), key->out, rows,
               (int64_t)key->out) == 0;
}

static void free_layouts(const struct cuda_blas *blas,
                         const struct layouts *layouts) {
    if (layouts->x)
        blas->cublasLtMatrixLayoutDestroy(layouts->x);
    if (layouts->y)
        blas->cublasLtMatrixLayoutDestroy(layouts->y);
}

static bool set(const struct cuda_device *cuda, const struct product *p,
                int attribute, const void *value, size_t bytes) {
    return cuda->blas->cublasLtMatmulDescSetAttribute(p->matmul, attribute,
                                                      value, bytes) == 0;
}

static bool set_bias(const struct cuda_device *cuda, const struct product *p,
                     const void *bias) {
    return !bias || set(cuda, p, BLAS_MATMUL_BIAS_POINTER, &bias, sizeof bias);
}

/* Without scales of its own; cuBLASLt would take no address as 1, but nobody
 * leaves it out. A bias would be of a type that nobody has asked for. */
static bool set_scales(const struct cuda_device *cuda,
                       const struct product *p) {
    const void *one = cuda_pointer(cuda->fp8_room);
    return set(cuda, p, BLAS_MATMUL_A_SCALE, &one, sizeof one) &&
           set(cuda, p, BLAS_MATMUL_B_SCALE, &one, sizeof one);
}

static bool describe(const struct cuda_device *cuda, struct product *p) {
    const struct cuda_blas *blas = cuda->blas;
    const struct product_key *key = &p->key;
    int compute = cuda->device.type == NUMBER_F32 ? BLAS_COMPUTE_F32_PEDANTIC
                                                  : BLAS_COMPUTE_F32;
    int32_t transpose = BLAS_TRANSPOSE, bias = number_of(cuda, key->wide);
    uint32_t epilogue = (uint32_t)key->epilogue;
    return blas->cublasLtMatmulDescCreate(&p->matmul, compute, BLAS_F32) == 0 &&
           blas->cublasLtMatrixLayoutCreate(&p->weights, operand_of(cuda, key),
                                            key->in, key->out,
                                            (int64_t)key->in) == 0 &&
           set(cuda, p, BLAS_MATMUL_TRANSPOSE_A, &transpose,
               sizeof transpose) &&
           set(cuda, p, BLAS_MATMUL_EPILOGUE, &epilogue, sizeof epilogue) &&
           (key->fp8 ? set_scales(cuda, p)
                     : set(cuda, p, BLAS_MATMUL_BIAS_TYPE, &bias, sizeof bias));
}

/* ---- algorithms --------------------------------------------------------- */

/* What an algorithm may do: not more workspace than there is, operands that are
 * aligned so far, and parts of a sum that are added as floats. */
static bool prefer(const struct cuda_device *cuda,
                   const struct product_key *key, blas_preference *preference) {
    const struct cuda_blas *blas = cuda->blas;
    uint64_t workspace = key->takes_workspace ? cuda->workspace_bytes : 0;
    uint32_t reduction = BLAS_REDUCTION_COMPUTE, alignment = key->alignment;
    *preference = NULL;
    if (blas->cublasLtMatmulPreferenceCreate(preference) != 0)
        return false;
    bool fine = blas->cublasLtMatmulPreferenceSetAttribute(
                    *preference, BLAS_PREFERENCE_WORKSPACE_BYTES, &workspace,
                    sizeof workspace) == 0 &&
                blas->cublasLtMatmulPreferenceSetAttribute(
                    *preference, BLAS_PREFERENCE_REDUCTION, &reduction,
                    sizeof reduction) == 0;
    for (int which = BLAS_PREFERENCE_ALIGNMENT_A;
         fine && which <= BLAS_PREFERENCE_ALIGNMENT_D; which++)
        fine = blas->cublasLtMatmulPreferenceSetAttribute(
                   *preference, which, &alignment, sizeof alignment) == 0;
    return fine;
}

/* The best for ROWS rows, at most WANTED; how many. */
static int ask(const struct cuda_device *cuda, const struct product *p,
               size_t rows, int wanted, struct blas_heuristic *found) {
    const struct cuda_blas *blas = cuda->blas;
    blas_preference preference;
    struct layouts layouts;
    int count = 0;
    bool fine = prefer(cuda, &p->key, &preference) &&
                lay_out(cuda, &p->key, rows, &layouts);
    if (fine &&
        blas->cublasLtMatmulAlgoGetHeuristic(
            cuda->products_handle, p->matmul, p->weights, layouts.x, layouts.y,
            layouts.y, preference, wanted, found, &count) != 0)
        count = 0;
    if (preference) {
        blas->cublasLtMatmulPreferenceDestroy(preference);
        free_layouts(blas, &layouts);
    }
    int usable = 0;
    for (int i = 0; i < count; i++)
        if (found[i].state == 0)
            found[usable++] = found[i];
    return usable;
}

/* Its status. */
static int multiply(struct cuda_lane *lane, const struct product *p,
                    const struct product_job *job,
                    const struct blas_algorithm *algorithm,
                    size_t workspace_bytes) {
    struct cuda_device *cuda = lane->cuda;
    struct layouts layouts;
    int status = BLAS_NO_MEMORY;
    if (lay_out(cuda, &p->key, job->rows, &layouts))
        status = cuda->blas->cublasLtMatmul(
            cuda->products_handle, p->matmul, &job->alpha, job->weights,
            p->weights, job->x, layouts.x, &job->beta, job->c ? job->c : job->d,
            layouts.y, job->d, layouts.y, algorithm,
            workspace_bytes ? cuda_pointer(cuda->workspace) : NULL,
            workspace_bytes, lane->stream);
    free_layouts(cuda->blas, &layouts);
    return status;
}

/* ---- trials ------------------------------------------------------------- */

struct trial {
    struct product_job job; /* its results are nobody's */
    cu_event begin, end;
};

/* The milliseconds of REPEATS products; infinite if it cannot be done. */
static float time_one(struct cuda_lane *lane, const struct product *p,
                      const struct trial *trial,
                      const struct blas_algorithm *algorithm) {
    struct cuda_device *cuda = lane->cuda;
    size_t half = cuda->workspace_bytes / 2;
    float ms = INFINITY;
    if (multiply(lane, p, &trial->job, algorithm, half) != 0 ||
        !CU(cuda, cuEventRecord, trial->begin, lane->stream))
        return INFINITY;
    for (int i = 0; i < REPEATS; i++)
        multiply(lane, p, &trial->job, algorithm, half);
    if (!CU(cuda, cuEventRecord, trial->end, lane->stream) ||
        !CU(cuda, cuEventSynchronize, trial->end) ||
        !CU(cuda, cuEventElapsedTime, &ms, trial->begin, trial->end))
        return INFINITY;
    return ms;
}

static int fastest(struct cuda_lane *lane, const struct product *p,
                   const struct trial *trial,
                   const struct blas_heuristic *found, int count) {
    int best = 0;
    float least = INFINITY;
    for (int i = 0; i < count; i++) {
        if (found[i].workspace_bytes > lane->cuda->workspace_bytes / 2)
            continue;
        float ms = time_one(lane, p, trial, &found[i].algorithm);
        if (ms < least) {
            least = ms;
            best = i;
        }
    }
    return best;
}

/* The results take the workspace's second half, as many rows as it holds. */
static int try_out(struct cuda_lane *lane, const struct product *p,
                   const struct product_job *job,
                   const struct blas_heuristic *found, int count) {
    struct cuda_device *cuda = lane->cuda;
    size_t half = cuda->workspace_bytes / 2;
    size_t number = p->key.wide ? sizeof(float) : cuda->device.narrow_bytes;
    size_t rows = half / (p->key.out * number);
    struct trial trial = {.job = *job};
    int best = 0;
    if (rows > job->rows)
        rows = job->rows;
    if (rows < ROWS_TRIED || count < 2 || !p->key.takes_workspace)
        return 0;
    trial.job.rows = rows;
    trial.job.c = NULL;
    trial.job.beta = 0;
    trial.job.d = cuda_pointer(cuda->workspace + half);
    if (CU(cuda, cuEventCreate, &trial.begin, CU_EVENT_DEFAULT) &&
        CU(cuda, cuEventCreate, &trial.end, CU_EVENT_DEFAULT))
        best = fastest(lane, p, &trial, found, count);
    if (trial.begin)
        cuda->cu->cuEventDestroy(trial.begin);
    if (trial.end)
        cuda->cu->cuEventDestroy(trial.end);
    return best;
}

/* ---- the shapes that are known ------------------------------------------ */

static bool same(const struct product_key *a, const struct product_key *b) {
    return a->in == b->in && a->out == b->out && a->wide == b->wide &&
           a->fp8 == b->fp8 && a->epilogue == b->epilogue &&
           a->alignment == b->alignment &&
           a->takes_workspace == b->takes_workspace;
}

static void make(struct cuda_lane *lane, struct product *p,
                 const struct product_job *job) {
    struct cuda_device *cuda = lane->cuda;
    struct blas_heuristic found[CANDIDATES];
    forget(cuda->blas, p);
    p->key = job->key;
    if (!describe(cuda, p) || !set_bias(cuda, p, job->bias))
        return;
    int count = ask(cuda, p, ROWS_ASKED, CANDIDATES, found);
    if (!count)
        return;
    p->algorithm = found[try_out(lane, p, job, found, count)].algorithm;
    p->refused = false;
}

/* The newest takes the place of the oldest if there are too many. */
static struct product *product_of(struct cuda_lane *lane,
                                  const struct product_job *job) {
    struct cuda_device *cuda = lane->cuda;
    size_t made = cuda->products_count;
    size_t known = made < CUDA_PRODUCTS_MAX ? made : CUDA_PRODUCTS_MAX;
    for (size_t i = 0; i < known; i++)
        if (same(&cuda->products[i].key, &job->key))
            return &cuda->products[i];
    struct product *p = &cuda->products[made % CUDA_PRODUCTS_MAX];
    cuda->products_count++;
    make(lane, p, job);
    return p;
}

static unsigned alignment_of(const struct product_job *job) {
    uintptr_t all = (uintptr_t)job->weights | (uintptr_t)job->x |
                    (uintptr_t)job->bias | (uintptr_t)job->c |
                    (uintptr_t)job->d | ALIGNMENT_MOST;
    return (unsigned)(all & -all);
}

static bool not_accepted(int status) {
    return status == BLAS_NOT_SUPPORTED || status == BLAS_INVALID_VALUE;
}

static unsigned log2_of(size_t rows) {
    unsigned log = 0;
    while (rows >>= 1)
        log++;
    return log < PRODUCT_SIZES ? log : PRODUCT_SIZES - 1;
}

/* The shape's algorithm does not do for so many rows: one that does. */
static int multiply_otherwise(struct cuda_lane *lane, struct product *p,
                              const struct product_job *job, size_t workspace) {
    struct product_other *other = &p->other[log2_of(job->rows)];
    struct blas_heuristic found;
    int status = BLAS_NOT_SUPPORTED;
    if (other->known)
        status = multiply(lane, p, job, &other->algorithm, workspace);
    if (!not_accepted(status) || !ask(lane->cuda, p, job->rows, 1, &found))
        return status;
    *other = (struct product_other){true, found.algorithm};
    return multiply(lane, p, job, &other->algorithm, workspace);
}

bool cuda_product(struct cuda_lane *lane, struct product_job *job) {
    struct cuda_device *cuda = lane->cuda;
    size_t workspace = job->key.takes_workspace ? cuda->workspace_bytes : 0;
    if (!cuda_enter(cuda))
        return false;
    job->key.alignment = alignment_of(job);
    struct product *p = product_of(lane, job);
    if (p->refused || !set_bias(cuda, p, job->bias))
        return false;
    int status = multiply(lane, p, job, &p->algorithm, workspace);
    if (not_accepted(status))
        status = multiply_otherwise(lane, p, job, workspace);
    if (status != 0)
        cuda_broke(cuda, "cublasLtMatmul: status %d", status);
    return status == 0;
}
