#ifndef REEVE_H
#define REEVE_H

/* reeve.h -- all of reeve: Python's multiprocessing for C programs, carried across a network. */

#include <reeve/context.h>
#include <reeve/error.h>
#include <reeve/pool.h>
#include <reeve/queue.h>
#include <reeve/task.h>
#include <reeve/types.h>
#include <reeve/value.h>

#endif
