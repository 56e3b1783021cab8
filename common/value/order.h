#ifndef RV_ORDER_H
#define RV_ORDER_H

/*
 * order.h -- which of two values comes first: images, bytes that compare as the values do.
 *
 * nil < bool < number < string < bytes < array < map < reference. false is before true. Numbers
 * are compared as the numbers that they are: 1 is 1.0, -0.0 is 0, and 2^53 + 1 lies between two
 * floats; all NaNs are one number, before minus infinity. Strings and bytes go by their bytes,
 * arrays item by item; a beginning comes before the whole. The pairs of a map are put in the order
 * of their keys, equal keys as the map has them, and then compared key, value, key, value.
 * References go by kind, object and store.
 *
 * Values that are equal (key.h) have one image, and two that have one image are equal unless there
 * is a NaN in them, or a map that has a key twice. No image is the beginning of another one, so
 * images can stand one behind the other and compare as the arrays of these values do.
 */

#include <msgpack/object.h>

#include <reeve/error.h>

#include "common/base/buf.h"

/* Append the image of o: at most 11 bytes for each of its encoding. Errors, with nothing appended:
 * ENOMEM, after which out is bad. */
REEVE_NODISCARD reeve_err rv_value_image(struct rv_buf *out, const msgpack_object *o);

/* Below zero, zero or above, as a's value is before, at or behind b's. */
int rv_image_compare(struct rv_slice a, struct rv_slice b);

#endif
