#ifndef REEVE_H
#define REEVE_H

/* reeve.h -- all of reeve: Python's multiprocessing for C programs, carried across a network. */

#include <reeve/barrier.h>
#include <reeve/batch.h>
#include <reeve/class.h>
#include <reeve/condition.h>
#include <reeve/context.h>
#include <reeve/dict.h>
#include <reeve/error.h>
#include <reeve/event.h>
#include <reeve/list.h>
#include <reeve/lock.h>
#include <reeve/manager.h>
#include <reeve/namespace.h>
#include <reeve/pool.h>
#include <reeve/queue.h>
#include <reeve/ref.h>
#include <reeve/semaphore.h>
#include <reeve/set.h>
#include <reeve/shared.h>
#include <reeve/task.h>
#include <reeve/types.h>
#include <reeve/value.h>

#endif
