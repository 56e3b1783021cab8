#ifndef CONFORM_H
#define CONFORM_H

/*
 * conform.h -- what multiprocessing's rows promise, as programs see it.
 *
 * The same program runs against any manager: the one that $REEVE_URL and $REEVE_KEY name, be it on
 * another host, or without them a private one that it starts itself. It uses the public interface
 * alone. Other parties are processes, which can be killed.
 */

#include "tests/shell/lab.h"

#include <sys/types.h>

struct stage {
    struct lab lab;
    struct manager m;
    bool own; /* the manager is ours */
    reeve_context *ctx;
    char names[8][64];
};

void stage_begin(struct stage *s);
void stage_end(struct stage *s);

/* A name that no other test and no other run has: the i-th of this one. */
const char *stage_name(struct stage *s, int i);

/* A builder with what the letters say; it is the next of some that are used in turn. */
reeve_builder *make(const char *letters, ...);
reeve_builder *integer(int64_t i);

/* Another party: fn(ctx, stage, fd) in a process of its own, which tells by fd. */
struct party {
    pid_t pid;
    int from;
};
typedef void party_fn(reeve_context *ctx, struct stage *s, int fd);
void party_begin(struct party *p, struct stage *s, party_fn *fn);
bool party_hears(struct party *p); /* it has told; false: it is gone */
void party_kill(struct party *p);
void party_end(struct party *p); /* until it ends by itself, without an error */

#endif
