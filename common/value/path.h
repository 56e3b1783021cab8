#ifndef RV_PATH_H
#define RV_PATH_H

/*
 * path.h -- one place inside an encoded value: find it, or change it and leave the rest as it is.
 *
 * A path is an array of steps, from the outside in: in a map the key, in an array the index, of
 * which -1 is the last. Steps are compared as values are (key.h): 1.0 finds the key 1, and is an
 * index. Of a key that a map has twice the first pair is meant. The empty path is the whole value.
 *
 *     value {"a": [1, 2]}   path ["a", -1]   is 2; set to 7 makes {"a": [1, 7]}
 *
 * Nothing is taken on trust: value, path and operand may be any bytes. Each of them is walked a few
 * times, and the keys on the way are spelled out; no tree is made of the value.
 *
 * Errors, each with a constant sentence in *text, which is NULL after success and after ENOMEM:
 *
 *     EINVAL   value, path or operand is malformed; the path is no array; a step can be no key;
 *              deleting the whole value
 *     EVALUE   a sum of integers that has more than 64 bits
 *     ETYPE    a step into what is neither an array nor a map, or into an array by something else
 *              than an integer; the value there, or the operand, is not of the verb's type
 *     ENOENT   no such key or index
 *     ETOOBIG  nested deeper than RV_VALUE_DEPTH_MAX, or above 4 GiB
 *     ENOMEM
 */

#include <reeve/error.h>

#include "common/base/buf.h"

enum rv_edit {
    RV_EDIT_SET,    /* put the operand there; a last key that is missing is added at the end */
    RV_EDIT_APPEND, /* put the operand at the end of the array that is there */
    RV_EDIT_DELETE, /* remove the item or the pair; the operand is not looked at */
    RV_EDIT_ADD, /* add the operand to the number there; a last key that is missing counts as 0 */
};

/* The encoding of what is at path: a part of value, and borrowed as long. On an error *found is
 * empty. */
REEVE_NODISCARD reeve_err rv_path_get(struct rv_slice *found, struct rv_slice value,
                                      struct rv_slice path, const char **text);

/* Append the whole value with that one change; on an error nothing. No argument may lie in out.
 * The sum of two integers is an integer, of 64 bits with or without a sign; with a float in it, it
 * is a float. A verb that is none of these is EINVAL. */
REEVE_NODISCARD reeve_err rv_path_edit(struct rv_buf *out, struct rv_slice value,
                                       struct rv_slice path, enum rv_edit verb,
                                       struct rv_slice operand, const char **text);

#endif
