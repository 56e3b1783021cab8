#ifndef DISK_DIR_H
#define DISK_DIR_H

/* disk_dir.h -- a folder of this system as the disk of a log (server/core/disk.h). */

#include "server/core/disk.h"

/* The folder is made (0700) when create is set and it is missing. lock: nobody else may have it
 * so; a second one gets -EWOULDBLOCK. 0 or -errno. */
int disk_dir_open(struct disk **out, const char *path, bool create, bool lock);
void disk_dir_close(struct disk **d);

/* The next segment of a log is read by a thread while one is replayed. It costs the memory of a segment, until
 * the log has been read. */
void disk_dir_read_ahead(struct disk *d);

#endif
