#ifndef PAGES_H
#define PAGES_H

/*
 * pages.h -- memory for a state that is built in one go, when a log is replayed.
 *
 * Two fifths of a replay were the kernel's work for one small page after the other. The heap grows in
 * long steps instead, and each step is told to be in large pages. With another allocator than that of glibc
 * nothing happens.
 */

#include <stddef.h>

/* About so many bytes come. */
void pages_expect(size_t len);

/* To be called now and then while they come. */
void pages_look(void);

/* They have come; the heap grows and shrinks as before. */
void pages_settle(void);

#endif
