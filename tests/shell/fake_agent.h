#ifndef FAKE_AGENT_H
#define FAKE_AGENT_H

/*
 * fake_agent.h -- an agent without processes, for the thread sanitizer: each item is its own result,
 * after as many milliseconds as nobody counts.
 *
 *     "echo"    the item comes back
 *     "fail"    each item fails
 *     "hold"    no item is ever answered
 */

#include <reeve/types.h>

struct fake_agent;

/* It serves the manager of ctx, whose background thread runs it. */
struct fake_agent *fake_agent_start(reeve_context *ctx, unsigned slots);

/* Before its context is closed. */
void fake_agent_stop(struct fake_agent **agent);

#endif
