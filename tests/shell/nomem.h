#ifndef NOMEM_H
#define NOMEM_H

/*
 * nomem.h -- allocations of our own objects that can be made to fail, and are counted.
 *
 * The linker puts these in the place of malloc() and its kin (-Wl,--wrap), for our objects alone: what
 * libzmq and the C library allocate does not fail here, because libzmq ends the process when it does.
 */

#include <stdbool.h>
#include <stddef.h>

/* The n-th allocation from now on fails, of any thread, n counting from 1. 0: none. */
void nomem_arm(unsigned long n);

/* Nothing fails any more. Did one? */
bool nomem_disarm(void);

/* What nomem_arm() was given, less what has come since. */
unsigned long nomem_left(void);

/* Allocations that were made and not freed. */
long nomem_live(void);

/* What each is, for a leak: its size and where it was made, on stderr. */
void nomem_tell(void);

#endif
