#ifndef CRC_H
#define CRC_H

/*
 * crc.h -- CRC32C, which finds every single burst of up to 32 wrong bits.
 *
 * Processors have an instruction for it, ten times faster than a table; a library would be one
 * more dependency for these lines.
 */

#include "common/base/base.h"

/* Of data, going on from crc; begin with 0. */
uint32_t rv_crc32c(uint32_t crc, const void *data, size_t len);

/* The same without the instruction. */
uint32_t rv_crc32c_table(uint32_t crc, const void *data, size_t len);

#endif
