/* script.h - what happens to simulated cards, and when.
 *
 * JSON Lines; each line is one action on one device:
 *
 *     {"device": "sim:t4-0", "at_submit": 40, "take_bytes": 6442450944}
 *     {"device": "sim:t4-0", "at_submit": 90, "give_bytes": 6442450944}
 *     {"device": "sim:t4-1", "at_submit": 7, "fail": "alloc", "count": 2}
 *
 * A device counts its submits from 1 and, at the beginning of each, does all
 * actions whose "at_submit" has come, in the order of the file. 0 is when the
 * device is opened. docs/sim.md says what each action does.
 *
 * A script is immutable once read, so that several devices and threads may use
 * it at once. Actions for a device that nobody opened are no error: one file
 * serves several command lines.
 */

#ifndef DEVICE_SIM_SCRIPT_H
#define DEVICE_SIM_SCRIPT_H

#include "device/device.h"

enum script_kind {
    SCRIPT_TAKE,  /* a stranger wants `value` bytes */
    SCRIPT_GIVE,  /* and gives back `value` bytes */
    SCRIPT_DELAY, /* each submit from now on sleeps `value` milliseconds */
    SCRIPT_ALLOC, /* this and the next submits are refused, `value` in all */
    SCRIPT_NAN,   /* this and the next submits give NaN, `value` in all */
    SCRIPT_LOST,
};

struct script_action {
    char device[DEVICE_NAME_BYTES];
    uint64_t at_submit;
    enum script_kind kind;
    uint64_t value;
};

struct device_script {
    struct memory *memory;         /* borrowed */
    struct script_action *actions; /* owned; [count], by at_submit */
    size_t count, capacity;
};

#endif
