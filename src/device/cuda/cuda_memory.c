/* cuda_memory.c - blocks on the card, and ways into them.
 *
 * Weights go over while they are loaded: they are rounded (or copied) into one
 * of two pieces of host memory, and copied from there while the other one is
 * filled. So whoever calls has his memory back at once, and reading the file,
 * rounding and copying overlap. */

#include "device/cuda/cuda_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- blocks ------------------------------------------------------------- */

static bool no_room(const struct cuda_device *cuda, uint64_t bytes,
                    uint64_t left, struct error *err) {
    uint64_t total = cuda->card.bytes_total;
    uint64_t ours = memory_live(&cuda->account);
    uint64_t taken = ours + left < total ? total - left - ours : 0;
    return error_set(err, ERROR_MEMORY,
                     "%s: %" PRIu64 " bytes are needed, but of %" PRIu64
                     " bytes %" PRIu64 " are ours, %" PRIu64
                     " other programs' and %" PRIu64
                     " free; lower the budget or use another device",
                     cuda->device.name, bytes, total, ours, taken, left);
}

static bool look_for_room(struct cuda_device *cuda, uint64_t bytes,
                          struct error *err) {
    uint64_t left = 0;
    return cuda_free_bytes(cuda, &left, err) &&
           (bytes <= left || no_room(cuda, bytes, left, err));
}

/* Between the look and this somebody else may have been quicker. */
static bool take(struct cuda_device *cuda, struct cuda_block *block,
                 struct error *err) {
    cu_result result = cuda->cu->cuMemAlloc(&block->at, block->bytes);
    if (result == 0)
        return true;
    uint64_t left = 0;
    memory_discharge(&cuda->account, block->bytes);
    if (result == CU_OUT_OF_MEMORY)
        return cuda_free_bytes(cuda, &left, err) &&
               no_room(cuda, block->bytes, left, err);
    return cuda_worked(cuda, result, "cuMemAlloc") || cuda_alive(cuda, err);
}

static bool charge_and_take(struct cuda_device *cuda, struct cuda_block *block,
                            struct reservation *from, struct error *err) {
    struct error cause;
    if (!look_for_room(cuda, block->bytes, err))
        return false;
    if (!memory_charge(&cuda->account, block->bytes, from, &cause))
        return error_set(err, cause.code, "%s: %s", cuda->device.name,
                         cause.message);
    return take(cuda, block, err);
}

bool cuda_take(struct cuda_device *cuda, cu_pointer *at, size_t bytes,
               const char *use, struct error *err) {
    cu_result result = cuda->cu->cuMemAlloc(at, bytes);
    if (result == CU_OUT_OF_MEMORY)
        return error_set(err, ERROR_MEMORY,
                         "%s: there is no room for the %zu bytes that %s; end "
                         "what else runs there, or use another device",
                         cuda->device.name, bytes, use);
    return cuda_worked(cuda, result, "cuMemAlloc") || cuda_alive(cuda, err);
}

/* CHARGE is what BYTES are: the device does not count shapes. */
void *cuda_alloc(struct device *device, size_t bytes, uint64_t charge,
                 struct reservation *from, struct error *err) {
    struct cuda_device *cuda = cuda_of(device);
    uint64_t multiple = device->block_multiple;
    (void)charge;
    if (bytes > SIZE_MAX - multiple) {
        error_set(err, ERROR_MEMORY, "%s: %zu bytes cannot be addressed",
                  device->name, bytes);
        return NULL;
    }
    struct cuda_block *block = memory_alloc(cuda->host, 1, sizeof *block, err);
    if (!block)
        return NULL;
    uint64_t least = bytes ? bytes : 1;
    block->bytes = (least + multiple - 1) / multiple * multiple;
    if (!charge_and_take(cuda, block, from, err)) {
        memory_free(cuda->host, block);
        return NULL;
    }
    pthread_mutex_lock(&cuda->mutex);
    block->next = cuda->blocks;
    cuda->blocks = block;
    pthread_mutex_unlock(&cuda->mutex);
    return cuda_pointer(block->at);
}

static struct cuda_block *unlink_block(struct cuda_device *cuda,
                                       cu_pointer at) {
    pthread_mutex_lock(&cuda->mutex);
    struct cuda_block **link = &cuda->blocks, *block;
    while (*link && (*link)->at != at)
        link = &(*link)->next;
    block = *link;
    if (block)
        *link = block->next;
    pthread_mutex_unlock(&cuda->mutex);
    return block;
}

/* What was sent there may be under way. */
void cuda_release(struct device *device, void *memory) {
    struct cuda_device *cuda = cuda_of(device);
    struct cuda_block *block = unlink_block(cuda, cuda_address(memory));
    if (!block)
        return;
    cuda->generation++;
    if (cuda_enter(cuda) && CU(cuda, cuStreamSynchronize, cuda->loading))
        CU(cuda, cuMemFree, block->at);
    memory_discharge(&cuda->account, block->bytes);
    memory_free(cuda->host, block);
}

/* Does POINTER lie on the card? */
static bool on_card(struct cuda_device *cuda, const void *pointer) {
    cu_pointer at = cuda_address(pointer);
    bool found = false;
    pthread_mutex_lock(&cuda->mutex);
    for (const struct cuda_block *b = cuda->blocks; b && !found; b = b->next)
        found = at >= b->at && at - b->at < b->bytes;
    pthread_mutex_unlock(&cuda->mutex);
    return found;
}

/* ---- the stage ---------------------------------------------------------- */

bool cuda_stage_open(struct cuda_device *cuda, struct error *err) {
    struct cuda_stage *stage = &cuda->stage;
    stage->host = memory_alloc(cuda->host, 2, CUDA_STAGE_BYTES, err);
    if (!stage->host)
        return false;
    stage->pinned =
        cuda->cu->cuMemHostRegister(stage->host, 2 * CUDA_STAGE_BYTES, 0) == 0;
    unsigned flag = CU_EVENT_DISABLE_TIMING;
    return (CU(cuda, cuEventCreate, &stage->sent[0], flag) &&
            CU(cuda, cuEventCreate, &stage->sent[1], flag)) ||
           cuda_alive(cuda, err);
}

void cuda_stage_close(struct cuda_device *cuda) {
    struct cuda_stage *stage = &cuda->stage;
    if (cuda->loading)
        cuda->cu->cuStreamSynchronize(cuda->loading);
    for (int i = 0; i < 2; i++)
        if (stage->sent[i])
            cuda->cu->cuEventDestroy(stage->sent[i]);
    if (stage->pinned)
        cuda->cu->cuMemHostUnregister(stage->host);
    memory_free(cuda->host, stage->host);
}

void cuda_stage_settle(struct cuda_device *cuda) {
    struct cuda_stage *stage = &cuda->stage;
    if (!stage->used)
        return;
    stage->used = false;
    for (int i = 0; i < 2; i++)
        if (!CU(cuda, cuStreamWaitEvent, cuda->lane.stream, stage->sent[i], 0))
            return;
}

static bool send_some(struct cuda_device *cuda,
                      const struct cuda_sending *sending, const void *from,
                      size_t count, void *to) {
    struct cuda_stage *stage = &cuda->stage;
    unsigned turn = stage->turn;
    char *host = stage->host + turn * (size_t)CUDA_STAGE_BYTES;
    stage->turn = 1 - turn;
    if (!CU(cuda, cuEventSynchronize, stage->sent[turn]))
        return false;
    sending->write(sending, from, count, host);
    stage->used = true;
    return CU(cuda, cuMemcpyHtoDAsync, cuda_address(to), host,
              count * sending->to_bytes, cuda->loading) &&
           CU(cuda, cuEventRecord, stage->sent[turn], cuda->loading);
}

void cuda_send(struct cuda_device *cuda, const struct cuda_sending *sending,
               const void *from, size_t count, void *to) {
    size_t step = CUDA_STAGE_BYTES / sending->to_bytes;
    if (!on_card(cuda, to)) {
        sending->write(sending, from, count, to);
        return;
    }
    cuda->generation++;
    if (!cuda_enter(cuda))
        return;
    for (size_t done = 0; done < count; done += step) {
        size_t some = count - done < step ? count - done : step;
        if (!send_some(cuda, sending,
                       (const char *)from + done * sending->from_bytes, some,
                       (char *)to + done * sending->to_bytes))
            return;
    }
}

/* ---- weights ------------------------------------------------------------ */

static void write_bytes(const struct cuda_sending *sending, const void *from,
                        size_t count, void *to) {
    (void)sending;
    memcpy(to, from, count);
}

static void write_floats(const struct cuda_sending *sending, const void *from,
                         size_t count, void *to) {
    (void)sending;
    memcpy(to, from, count * sizeof(float));
}

static void write_f16(const struct cuda_sending *sending, const void *from,
                      size_t count, void *to) {
    (void)sending;
    cuda_narrow_f16(from, count, to);
}

static void write_bf16(const struct cuda_sending *sending, const void *from,
                       size_t count, void *to) {
    (void)sending;
    cuda_narrow_bf16(from, count, to);
}

static struct cuda_sending sending_numbers(const struct cuda_device *cuda) {
    enum number_type type = cuda->numbers;
    return (struct cuda_sending){.from_bytes = sizeof(float),
                                 .to_bytes = cuda->device.narrow_bytes,
                                 .write = type == NUMBER_F32   ? write_floats
                                          : type == NUMBER_F16 ? write_f16
                                                               : write_bf16};
}

void cuda_put(struct device *device, void *to, const void *from, size_t bytes) {
    struct cuda_sending sending = {1, 1, write_bytes};
    cuda_send(cuda_of(device), &sending, from, bytes, to);
}

void cuda_table_put(struct device *device, const float *rows, size_t columns,
                    size_t row_begin, size_t row_count, void *table) {
    struct cuda_sending sending = sending_numbers(cuda_of(device));
    cuda_send(cuda_of(device), &sending, rows, row_count * columns,
              (char *)table + row_begin * columns * device->narrow_bytes);
}

/* The matrix as it is, [out, in], and behind it, 64-byte aligned, room for its
 * bias in narrow numbers (cuda_linear.c); or e4m3 (cuda_fp8.c). */
size_t cuda_linear_bytes(const struct device *device, size_t in, size_t out) {
    size_t numbers, bytes, all;
    if (cuda_fp8_takes((const struct cuda_device *)device, in, out))
        return cuda_fp8_bytes(in, out);
    if (!size_multiply(in, out, &numbers) ||
        !size_multiply(numbers, device->narrow_bytes, &bytes) ||
        bytes > SIZE_MAX - 64 ||
        __builtin_add_overflow((bytes + 63) / 64 * 64,
                               out * device->narrow_bytes, &all))
        return SIZE_MAX;
    return all;
}

void cuda_linear_pack(struct device *device, const float *weights, size_t in,
                      size_t out, size_t row_begin, size_t row_count,
                      void *packed) {
    struct cuda_device *cuda = cuda_of(device);
    if (cuda_fp8_takes(cuda, in, out)) {
        cuda_fp8_pack(cuda, weights, in, out, row_begin, row_count, packed);
        return;
    }
    cuda_table_put(device, weights, in, row_begin, row_count, packed);
}

/* ---- layers that stream ------------------------------------------------- */

/* Copies are as right without it. */
void cuda_pin(struct device *device, void *host, size_t bytes) {
    struct cuda_device *cuda = cuda_of(device);
    if (bytes && cuda_enter(cuda))
        cuda->cu->cuMemHostRegister(host, bytes, 0);
}

void cuda_unpin(struct device *device, void *host) {
    struct cuda_device *cuda = cuda_of(device);
    if (host && cuda_enter(cuda))
        cuda->cu->cuMemHostUnregister(host);
}

void cuda_upload(struct device *device, void *to, const void *from,
                 size_t bytes) {
    struct cuda_device *cuda = cuda_of(device);
    cuda->generation++;
    if (bytes && cuda_enter(cuda))
        CU(cuda, cuMemcpyHtoDAsync, cuda_address(to), from, bytes,
           cuda->uploading);
}

bool cuda_upload_wait(struct device *device, struct error *err) {
    struct cuda_device *cuda = cuda_of(device);
    if (cuda_enter(cuda) && CU(cuda, cuStreamSynchronize, cuda->loading) &&
        CU(cuda, cuStreamSynchronize, cuda->uploading))
        return true;
    return cuda_alive(cuda, err);
}
