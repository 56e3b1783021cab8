#ifndef RV_IMAGE_H
#define RV_IMAGE_H

/*
 * image.h -- a copy of this process that only reads its memory, writes a file and ends.
 *
 * The copy has the memory of this instant, whatever the original does afterwards. It has one
 * thread, no descriptors but 0 to 2 and the one it is given, and dies with the thread that made
 * it. It must leave by _exit, and take no lock that another thread may have held.
 */

#include <sys/types.h>

/* Returns 0 in the copy, its number in the original, -1 when there is none. *fd is one end of a
 * pipe from the copy to the original, which reads its end when the copy has gone. */
pid_t rv_image_start(int *fd);

/* The copy has ended, or will in a moment: its exit code, or -1 when it was killed. */
int rv_image_end(pid_t image);

#endif
