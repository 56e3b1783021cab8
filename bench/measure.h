#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

/*
 * measure.h -- what the speed programs share: clock, processes, figures.
 *
 * A program takes `--word NUMBER` options, runs once and prints lines of `figure=number`, which
 * run.py reads. Whatever goes wrong ends it with a sentence on stderr: a figure that is printed
 * is a figure of work that was done and checked.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { BENCH_ITEM = 64 }; /* bytes of a small item; the first eight are its number */

/* Nanoseconds of the monotonic clock, which is one for all processes. */
int64_t bench_now(void);

/* Say what is wrong and end this process; the program with it. */
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The number after `--name`, or what. */
long bench_option(int argc, char *const *argv, const char *name, long what);

/* Print one figure. */
void bench_figure(const char *name, double value);

/* Zeroed memory that children share; it lives as long as the program. */
void *bench_shared(size_t len);

/* Run body in a child that ends with its parent. */
pid_t bench_fork(void (*body)(void *), void *arg);

/* Wait for a child that ends by itself; die if it failed. */
void bench_join(pid_t pid);

/* End a child that does not. */
void bench_kill(pid_t pid);

/* Keep every thread that a process (0: this one) has now, and what they start, on one processor. */
void bench_pin(pid_t pid);

/* Let this process and its children have as many descriptors as n connections need. */
void bench_descriptors(size_t n);

/* Resident bytes of a process. */
double bench_resident(pid_t pid);

/* Sorts the samples; part is 0.5 for the median. */
double bench_percentile(int64_t *samples, size_t len, double part);

/* Print p50_us and p99_us, with something before, of samples in nanoseconds. */
void bench_latency(const char *before, int64_t *samples, size_t len);

/* Write number i into an item, and die if an item that came is not number i. */
void bench_number(void *item, size_t i);
void bench_check_number(const void *item, size_t i);

#endif
