#ifndef CAPACITY_H
#define CAPACITY_H

/* capacity.h -- how many items a host can run at a time, and what kind of host it is. */

#include "common/base/base.h"

/* The processors that this process may use, at least 1: the least of its affinity mask, the cgroup's
 * quota (v1 or v2, its own and those above it, rounded up) and $SLURM_CPUS_ON_NODE. */
uint32_t capacity_slots(void);

/* The parts of it, for tests. root is "" or a folder that stands for /; 0: no limit is set. */
uint32_t capacity_cgroup(const char *root);
uint32_t capacity_slurm(const char *text);

/* As "x86_64 glibc 2.36". */
void capacity_machine(char *out, size_t len);

#endif
