#ifndef DICT_H
#define DICT_H

/* dict.h -- a dict; and a namespace, which is one whose keys are texts. */

#include "server/core/state.h"

extern const struct object_ops dict_ops;

#endif
