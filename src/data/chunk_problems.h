/* chunk_problems.h - keeps the first problems of an intake and tells the sink
 * of them. */

#ifndef DATA_CHUNK_PROBLEMS_H
#define DATA_CHUNK_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/event.h"
#include "data/chunks.h"
#include "data/json_scan.h"

struct chunk_problems {
    const struct sink *sink;    /* borrowed */
    const char *collection;     /* borrowed */
    struct arena *arena;        /* borrowed; owner of the kept ones */
    struct chunk_problem *kept; /* [PROBLEMS_KEPT] once there is one */
    size_t count;
    uint64_t total;
};

/* True while a further problem would be kept: what is costly to find out about
 * one (its column) is not needed otherwise. */
bool problems_wanted(const struct chunk_problems *problems);

/* PROBLEM's strings are copied; its message gets the place in front of it. */
bool problems_add(struct chunk_problems *problems,
                  const struct chunk_problem *problem, struct error *err);
/* Say how many were not told one by one. */
void problems_end(const struct chunk_problems *problems);

/* The code of a fault of JSON, and what becomes of the line, or is to be done
 * about the file, which is open as FD. */
const char *problem_code(enum json_fault fault, bool lines);
const char *problem_remedy(const struct json_scan *scan, int fd, bool lines);

/* What messages call a file. */
const char *problem_file(const char *relative);

#endif
