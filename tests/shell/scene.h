#ifndef SCENE_H
#define SCENE_H

/* scene.h -- the library over the fake transport: one manager, and whoever talks to it. */

#include "tests/shell/fake_conn.h"
#include "tests/shell/lab.h"

#define SCENE_URL "tcp://fake-1:7300"

struct scene {
    struct lab lab;
    struct fake *fake;
};

static inline void scene_begin(struct scene *s)
{
    lab_begin(&s->lab);
    s->fake = fake_start(SCENE_URL, s->lab.manager.public_key, s->lab.client.public_key);
}

static inline void scene_end(struct scene *s)
{
    fake_stop(&s->fake);
    lab_end(&s->lab);
}

static inline reeve_context *scene_open(const struct scene *s)
{
    return lab_open(&s->lab, SCENE_URL);
}

/* The thread sanitizer and a busy host make everything slower; nothing may depend on how much. */
enum { SLACK_MS = 1500 };

#endif
