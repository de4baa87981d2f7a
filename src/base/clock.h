/* clock.h - durations by the monotonic clock, dates by the wall clock. */

#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

int64_t clock_now_ns(void);    /* monotonic; only differences mean something */
int64_t clock_now_ms(void);    /* monotonic */
int64_t clock_thread_ns(void); /* that the calling thread has computed */
void clock_sleep_ms(int64_t ms);

/* A condition whose timed waits go by the monotonic clock, so that a date that
 * is set back lengthens none, and the moment in MS for pthread_cond_timedwait.
 */
void clock_condition(pthread_cond_t *condition);
struct timespec clock_in_ms(int64_t ms);

/* The date as 2026-11-21T12:34:56Z and a NUL. */
void clock_date(char text[21]);

#endif
