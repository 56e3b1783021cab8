#ifndef KEPT_H
#define KEPT_H

/* kept.h -- make the folder that later versions must be able to read. 0: done. */
int kept_make(const char *folder);

#endif
