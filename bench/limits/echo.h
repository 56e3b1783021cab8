#ifndef LIMIT_ECHO_H
#define LIMIT_ECHO_H

/* echo.h -- a ROUTER that sends back what it gets, and who calls it. */

#include "bench/limits/raw.h"

enum { ECHO_MESSAGE = 40 };

/* Body of a process; arg is a struct raw_shared. Runs until it is killed. */
void echo_serve(void *arg);

/* Call and wait so many times; the nanoseconds of each. */
void echo_call(void *dealer, size_t calls, int64_t *samples);

#endif
