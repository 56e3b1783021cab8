#ifndef STAGE_H
#define STAGE_H

/*
 * stage.h -- a client's link, and a manager that says what the test wants.
 *
 *     struct stage s;
 *
 *     stage_begin(&s);                         connected and welcome
 *     call = rv_link_call(&s.link, ...);
 *     stage_reply(&s, call->number, ...);      the manager answers it
 *     stage_end(&s);
 */

#include "common/wire/link.h"

struct stage {
    rv_ns now;
    struct rv_link link;
    uint64_t said;      /* number of the manager's last message */
    uint64_t heard;     /* number of the client's last one */
    uint16_t ops[64];   /* of its last calls, the newest at heard_len - 1 */
    struct rv_buf args; /* of the last call */
    size_t ops_len;
};

void stage_begin(struct stage *s);
void stage_end(struct stage *s);

/* Take all that leaves. Returns how many calls were in it. */
size_t stage_hear(struct stage *s);

/* The manager says this, behind what it said before. */
void stage_say(struct stage *s, const struct rv_msg *msg, const struct rv_slice *bodies,
               size_t bodies_len);
void stage_push(struct stage *s, uint16_t op, uint64_t object, struct rv_slice args);
void stage_reply(struct stage *s, uint64_t call, reeve_err error, const char *text,
                 struct rv_slice result);

#endif
