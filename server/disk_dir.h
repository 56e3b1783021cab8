#ifndef DISK_DIR_H
#define DISK_DIR_H

/* disk_dir.h -- a folder of this system as the disk of a log (server/core/disk.h). */

#include "server/core/disk.h"

/* The folder is made (0700) when create is set and it is missing. lock: nobody else may have it
 * so; a second one gets -EWOULDBLOCK. 0 or -errno. */
int disk_dir_open(struct disk **out, const char *path, bool create, bool lock);
void disk_dir_close(struct disk **d);

#endif
