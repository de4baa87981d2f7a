/* cuda_card.c - what the driver tells of a card. */

#include "device/cuda/cuda_parts.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

bool device_name_is_cuda(const char *name, unsigned *ordinal) {
    static const char CUDA[] = "cuda:";
    if (strncmp(name, CUDA, sizeof CUDA - 1) != 0)
        return false;
    const char *digits = name + sizeof CUDA - 1;
    size_t length = strlen(digits);
    if (length < 1 || length > 2 || !isdigit((unsigned char)digits[0]) ||
        !isdigit((unsigned char)digits[length - 1]))
        return false;
    *ordinal = (unsigned)(digits[0] - '0');
    if (length == 2)
        *ordinal = *ordinal * 10 + (unsigned)(digits[1] - '0');
    return length == 1 || digits[0] != '0';
}

/* As nvidia-smi writes it. */
static void write_uuid(const cu_uuid *uuid, char text[CUDA_UUID_BYTES]) {
    size_t used = (size_t)snprintf(text, CUDA_UUID_BYTES, "GPU-");
    for (size_t i = 0; i < sizeof uuid->bytes; i++)
        used +=
            (size_t)snprintf(text + used, CUDA_UUID_BYTES - used, "%s%02x",
                             i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                             (unsigned char)uuid->bytes[i]);
}

/* The call that failed; NULL: none. */
static const char *look_at(const struct cuda_driver *cu, struct cuda_card *card,
                           cu_result *result) {
    cu_device device;
    cu_uuid uuid;
    size_t bytes;
    const char *call = "cuDeviceGet";
    *result = cu->cuDeviceGet(&device, (int)card->ordinal);
    if (*result == 0) {
        call = "cuDeviceGetName";
        *result = cu->cuDeviceGetName(card->name, sizeof card->name, device);
    }
    if (*result == 0) {
        call = "cuDeviceGetUuid";
        *result = cu->cuDeviceGetUuid(&uuid, device);
    }
    if (*result == 0) {
        call = "cuDeviceTotalMem";
        *result = cu->cuDeviceTotalMem(&bytes, device);
    }
    if (*result == 0) {
        call = "cuDeviceGetAttribute";
        *result = cu->cuDeviceGetAttribute(
            &card->major, CU_ATTRIBUTE_CAPABILITY_MAJOR, device);
    }
    if (*result == 0)
        *result = cu->cuDeviceGetAttribute(
            &card->minor, CU_ATTRIBUTE_CAPABILITY_MINOR, device);
    if (*result != 0)
        return call;
    card->name[sizeof card->name - 1] = '\0';
    card->bytes_total = bytes;
    write_uuid(&uuid, card->uuid);
    return NULL;
}

static bool driver_failed(const struct cuda_library *library, cu_result result,
                          const char *call, struct error *err) {
    char text[160];
    cuda_result_text(library, result, text, sizeof text);
    return error_set(err, ERROR_DEVICE,
                     "the NVIDIA driver does not answer: %s: %s; try "
                     "nvidia-smi, or use --device cpu",
                     call, text);
}

bool cuda_card_find(const struct cuda_library *library, const char *name,
                    struct cuda_card *card, struct error *err) {
    const struct cuda_driver *cu = &library->driver;
    int count = 0;
    *card = (struct cuda_card){0};
    bool named = device_name_is_cuda(name, &card->ordinal);
    cu_result result = cu->cuInit(0);
    if (result != 0 && result != CU_NO_DEVICE)
        return driver_failed(library, result, "cuInit", err);
    if (result == 0)
        result = cu->cuDeviceGetCount(&count);
    if (result != 0 && result != CU_NO_DEVICE)
        return driver_failed(library, result, "cuDeviceGetCount", err);
    if (!named || card->ordinal >= (unsigned)count)
        return error_set(err, ERROR_USAGE,
                         "device \"%s\": there is none of that name; the "
                         "driver shows %d card%s, without those that "
                         "CUDA_VISIBLE_DEVICES leaves out; name one that "
                         "`ensembed doctor` lists",
                         name, count, count == 1 ? "" : "s");
    const char *call = look_at(cu, card, &result);
    return !call || driver_failed(library, result, call, err);
}
