#ifndef TYPECODE_H
#define TYPECODE_H

/*
 * typecode.h -- what an array, or a value with a type, may hold: the letters of Python's array module.
 *
 *     b B h H i I l L q Q   integers of 1, 1, 2, 2, 4, 4, 8, 8, 8 and 8 bytes; capitals without a sign
 *     f d                   floats of 4 and 8 bytes; integers become such
 *     ?  c  u w             a bool; one byte; a text of one character
 */

#include <reeve/error.h>

#include "common/base/buf.h"

bool typecode_known(uint8_t code);

/* What is there before anything was set, encoded; nil for no code. */
struct rv_slice typecode_zero(uint8_t code);

/* Append the value as it is kept. Errors, with a text: ETYPE, EVALUE (out of range). */
REEVE_NODISCARD reeve_err typecode_fit(uint8_t code, struct rv_slice value, struct rv_buf *out,
                                       const char **text);

#endif
