/* avxvnni.h - AVX-VNNI's VPDPBUSD where the machine has none. It raises SIGILL
 * there; the handler decodes it, computes on the registers that the system
 * saved, and goes on behind it. So the kernel's own machine code runs, at some
 * microseconds an instruction.
 *
 *     avxvnni_emulate();
 *
 * in each test: before it cmocka sets its own handler. Any other instruction
 * ends the process as ever. */

#ifndef TESTS_DEVICE_AVXVNNI_H
#define TESTS_DEVICE_AVXVNNI_H

#include <stdatomic.h>

#include "device/fixture.h"

/* Instructions that the handler has computed. */
static _Atomic uint64_t avxvnni_emulated;

#if defined(__x86_64__)
#include <cpuid.h>
#include <signal.h>
#include <ucontext.h>

struct vpdpbusd {
    unsigned sum, x, w; /* registers; w is in memory if there is an address */
    const uint8_t *memory; /* or NULL */
    size_t length;         /* bytes of the instruction */
};

/* By their numbers in an instruction. */
static const int GENERAL_REGISTERS[16] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static inline uint64_t general_register(const ucontext_t *context,
                                        unsigned number) {
    return (uint64_t)context->uc_mcontext.gregs[GENERAL_REGISTERS[number]];
}

/* What ModRM at CODE[4] and the bytes behind it address. HIGH_BASE and
 * HIGH_INDEX are the prefix's fourth bits of the two registers' numbers. */
static inline void decode_address(const ucontext_t *context,
                                  const uint8_t *code, unsigned high_base,
                                  unsigned high_index, struct vpdpbusd *op) {
    unsigned mode = code[4] >> 6, base = code[4] & 7;
    uint64_t address = 0;
    op->length = 5;
    bool bare = base == 5 && mode == 0; /* no register: behind the code */
    bool by_code = bare;
    if (base == 4) {
        uint8_t byte = code[op->length++];
        unsigned index = (byte >> 3 & 7) | high_index << 3;
        base = byte & 7;
        bare = base == 5 && mode == 0;
        if (index != 4)
            address += general_register(context, index) << (byte >> 6);
    }
    if (!bare)
        address += general_register(context, base | high_base << 3);
    int32_t four = 0;
    if (mode == 1) {
        address += (uint64_t)(int64_t)(int8_t)code[op->length++];
    } else if (mode == 2 || bare) {
        memcpy(&four, code + op->length, sizeof four);
        op->length += sizeof four;
        address += (uint64_t)(int64_t)four;
    }
    if (by_code)
        address += (uint64_t)(uintptr_t)code + op->length;
    op->memory = (const uint8_t *)(uintptr_t)address;
}

/* VEX.256.66.0F38.W0 50 /r, with a prefix of three bytes. */
static inline bool decode_vpdpbusd(const ucontext_t *context,
                                   struct vpdpbusd *op) {
    const uint8_t *code =
        (const uint8_t *)(uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    if (code[0] != 0xc4 || (code[1] & 31) != 2 || (code[2] & 0x87) != 5 ||
        code[3] != 0x50)
        return false;
    unsigned r = !(code[1] & 0x80), x = !(code[1] & 0x40),
             b = !(code[1] & 0x20);
    *op = (struct vpdpbusd){.sum = (code[4] >> 3 & 7) | r << 3,
                            .x = ~code[2] >> 3 & 15,
                            .w = (code[4] & 7) | b << 3,
                            .length = 5};
    if (code[4] >> 6 != 3)
        decode_address(context, code, b, x, op);
    return true;
}

/* A register of 32 bytes lies in two halves; the upper ones are not saved while
 * all of them are 0. */
struct saved_registers {
    uint8_t *low, *high; /* [16][16] */
};

static inline struct saved_registers saved_registers(ucontext_t *context) {
    enum { LOW = 160, STATES = 512, LOW_STATE = 2, HIGH_STATE = 4 };
    unsigned size, high, c, d;
    uint64_t states;
    uint8_t *area = (uint8_t *)context->uc_mcontext.fpregs;
    __cpuid_count(0xd, 2, size, high, c, d);
    memcpy(&states, area + STATES, sizeof states);
    if (!(states & LOW_STATE))
        memset(area + LOW, 0, 16 * 16);
    if (!(states & HIGH_STATE))
        memset(area + high, 0, size);
    states |= LOW_STATE | HIGH_STATE;
    memcpy(area + STATES, &states, sizeof states);
    return (struct saved_registers){area + LOW, area + high};
}

static inline void compute_vpdpbusd(struct saved_registers *registers,
                                    const struct vpdpbusd *op) {
    for (unsigned lane = 0; lane < 8; lane++) {
        uint8_t *half = lane < 4 ? registers->low : registers->high;
        unsigned at = lane % 4 * 4;
        const uint8_t *w =
            op->memory ? op->memory + lane * 4 : half + 16 * op->w + at;
        const uint8_t *x = half + 16 * op->x + at;
        int32_t sum;
        memcpy(&sum, half + 16 * op->sum + at, sizeof sum);
        for (unsigned i = 0; i < 4; i++)
            sum += x[i] * (int8_t)w[i];
        memcpy(half + 16 * op->sum + at, &sum, sizeof sum);
    }
}

static inline void on_illegal_instruction(int number, siginfo_t *info,
                                          void *argument) {
    (void)info;
    ucontext_t *context = argument;
    struct vpdpbusd op;
    if (!decode_vpdpbusd(context, &op)) {
        signal(number, SIG_DFL); /* it is raised once more */
        return;
    }
    struct saved_registers registers = saved_registers(context);
    compute_vpdpbusd(&registers, &op);
    context->uc_mcontext.gregs[REG_RIP] += (greg_t)op.length;
    avxvnni_emulated++;
}

static inline void avxvnni_emulate(void) {
    struct sigaction action = {.sa_sigaction = on_illegal_instruction,
                               .sa_flags = SA_SIGINFO};
    assert_int_equal(sigaction(SIGILL, &action, NULL), 0);
}
#else
static inline void avxvnni_emulate(void) {
}
#endif

#endif
