#include "cli/options.h"

int exit_status(enum error_code code) {
    switch (code) {
    case ERROR_NONE:
        return 0;
    case ERROR_USAGE:
    case ERROR_CONFLICT:
        return 2;
    case ERROR_FULL:
    case ERROR_BUSY:
    case ERROR_INTERRUPTED:
    case ERROR_DEVICE:
        return 75; /* EX_TEMPFAIL: the same command again, later */
    case ERROR_INPUT:
    case ERROR_MISSING:
    case ERROR_UNSUPPORTED:
    case ERROR_IO:
    case ERROR_MEMORY:
    case ERROR_VECTOR:
        return 1;
    }
    return 1;
}
