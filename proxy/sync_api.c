/* sync_api.c -- opening and closing what synchronises, and threads that end while they hold it. */

#include "proxy/sync_api.h"

#include <stdatomic.h>
#include <stdio.h>

enum { OPEN_MS = 5000, CALL_MS = 30000 };

struct rv_sync_shared {
    struct rv_claims claims; /* first: found by its object */
    reeve_context *ctx;
    unsigned handles;
    struct rv_sync_shared *prev, *next; /* in the registry */
};

/* ---- the registry: where a thread that ends may have held something ---- */

/*
 * Its mutex comes before that of any context. A child that was forked while some thread had it
 * would wait for ever: so each process begins its own.
 */
struct registry {
    pthread_mutex_t mutex;
    uint32_t generation;
    struct rv_sync_shared *shared;
    struct registry *older; /* the parent's; kept, for nobody knows who still has it */
};

static struct registry *_Atomic current;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool key_made;

/* NULL without memory. */
static struct registry *registry(void)
{
    uint32_t generation = rv_generation();
    struct registry *r = atomic_load(&current);
    struct registry *made = NULL;

    if (r != NULL && r->generation == generation)
        return r;
    made = calloc(1, sizeof *made);
    if (made == NULL)
        return NULL;
    pthread_mutex_init(&made->mutex, NULL);
    made->generation = generation;
    made->older = r;
    if (atomic_compare_exchange_strong(&current, &r, made))
        return made;
    pthread_mutex_destroy(&made->mutex);
    free(made); /* another thread was faster */
    return r;
}

/* The value of the key is the thread's serial. */
static void thread_ended(void *value)
{
    uint64_t thread = (uint64_t)(uintptr_t)value;
    struct registry *r = registry();
    struct rv_sync_shared *shared = NULL;

    if (r == NULL)
        return;
    pthread_mutex_lock(&r->mutex);
    DL_FOREACH (r->shared, shared) {
        if (rv_enter(shared->ctx, "leave", "a lock") != REEVE_OK)
            continue;
        rv_claims_abandon(&shared->claims, thread);
        rv_drive(shared->ctx);
        rv_leave(shared->ctx);
    }
    pthread_mutex_unlock(&r->mutex);
}

static void make_key(void)
{
    key_made = pthread_key_create(&key, thread_ended) == 0;
}

/* This thread is about to hold something. */
static void watch_thread(uint64_t thread)
{
    pthread_once(&key_once, make_key);
    if (key_made && pthread_getspecific(key) == NULL)
        (void)pthread_setspecific(key, (void *)(uintptr_t)thread);
}

/* ---- opening ---- */

static reeve_err no_memory(const struct rv_sync *s, const char *verb)
{
    return rv_fail(REEVE_ENOMEM, "cannot %s %s: out of memory", verb,
                   s->label == NULL ? "it" : s->label);
}

static void clear(struct rv_sync *s)
{
    free(s->name);
    free(s->label);
    *s = (struct rv_sync){0};
}

static bool has_claims(uint8_t kind)
{
    return kind >= RV_KIND_LOCK && kind <= RV_KIND_CONDITION;
}

struct rv_claims *rv_sync_claims(const struct rv_sync *s)
{
    return &s->shared->claims;
}

static reeve_err join_shared(struct rv_sync *s, struct registry *r, bool leases)
{
    struct rv_claims *claims = rv_claims_find(&s->ctx->link, s->object);
    struct rv_sync_shared *shared = (struct rv_sync_shared *)claims;

    if (shared == NULL) {
        shared = calloc(1, sizeof *shared);
        if (shared == NULL)
            return no_memory(s, "open");
        if (rv_claims_init(&shared->claims, &s->ctx->link, s->object, s->kind, leases) !=
            REEVE_OK) {
            free(shared);
            return no_memory(s, "open");
        }
        shared->ctx = s->ctx;
        DL_APPEND(r->shared, shared);
    }
    shared->claims.leases = shared->claims.leases && leases;
    shared->handles++;
    s->shared = shared;
    return REEVE_OK;
}

void rv_open_done(struct rv_link *link, struct rv_request *call, rv_ns now,
                  const struct rv_outcome *outcome)
{
    struct rv_object_open_result opened;

    (void)now;
    rv_buf_add(&call->result, outcome->result.data, outcome->result.len);
    if (call->abandoned && outcome->error == REEVE_OK &&
        rv_object_open_result_decode(&opened, outcome->result))
        (void)rv_link_say(link, RV_OP_object_close, opened.object, rv_slice(NULL, 0));
}

static struct rv_request *open_request(reeve_context *ctx, const char *name,
                                       const struct rv_sync_conf *conf, uint32_t timeout_ms)
{
    static const uint8_t creates[] = {
        [REEVE_CREATE_OR_GET] = 1, [REEVE_CREATE] = 2, [REEVE_GET_ONLY] = 0};
    struct rv_buf args = {0};
    struct rv_request *call = NULL;

    if (conf->ref != 0)
        rv_object_ref_args_encode(&args, &(struct rv_object_ref_args){.object = conf->ref});
    else
        rv_object_open_args_encode(
            &args, &(struct rv_object_open_args){.name = rv_slice_str(name),
                                                 .create = creates[conf->create],
                                                 .kind = conf->kind,
                                                 .maxsize = conf->number,
                                                 .ttl_ms = conf->ttl_ms,
                                                 .typecode = conf->typecode,
                                                 .bytes = conf->bytes,
                                                 .durable = (uint8_t)conf->durable});
    if (!args.bad)
        call = rv_link_call(&ctx->link, conf->ref != 0 ? RV_OP_object_ref : RV_OP_object_open, 0,
                            timeout_ms, rv_buf_slice(&args), NULL, 0);
    if (call != NULL)
        call->hook = rv_open_done;
    rv_buf_free(&args);
    return call;
}

static reeve_err check_options(const char *name, const struct rv_sync_conf *conf)
{
    for (size_t i = 0; i < 4; i++)
        if (conf->reserved[i] != 0)
            return rv_fail(REEVE_EINVAL, "cannot open %s %s: a reserved option is not zero",
                           conf->word, name);
    if ((unsigned)conf->create > REEVE_GET_ONLY)
        return rv_fail(REEVE_EINVAL, "cannot open %s %s: no such create option", conf->word, name);
    if ((unsigned)conf->durable > REEVE_DURABLE_SYNC)
        return rv_fail(REEVE_EINVAL, "cannot open %s %s: no such durable option", conf->word, name);
    if (strlen(name) > RV_LIMIT_NAME_BYTES)
        return rv_fail(REEVE_ELIMIT, "cannot open %s %.40s...: a name has at most %d bytes",
                       conf->word, name, RV_LIMIT_NAME_BYTES);
    for (const char *c = name; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return rv_fail(REEVE_EINVAL, "cannot open %s: control characters in its name",
                           conf->word);
    return REEVE_OK;
}

static reeve_err opened_as(struct rv_sync *s, const struct rv_object_open_result *opened,
                           const struct rv_sync_conf *conf)
{
    if (opened->kind != conf->kind)
        return rv_fail(REEVE_ETYPE, "cannot open %s: %s", s->label, reeve_strerror(REEVE_ETYPE));
    s->object = opened->object;
    s->number = opened->maxsize;
    return REEVE_OK;
}

static reeve_err open_object(struct rv_sync *s, const char *name, const struct rv_sync_conf *conf)
{
    uint32_t timeout_ms = conf->timeout_ms == 0 ? OPEN_MS : conf->timeout_ms;
    struct rv_object_open_result opened = {0};
    struct rv_buf result = {0};
    reeve_err err = rv_enter(s->ctx, "open", s->label);

    if (err != REEVE_OK)
        return err;
    err = rv_finish(s->ctx, open_request(s->ctx, name, conf, timeout_ms), timeout_ms, "open",
                    s->label, &result);
    if (err == REEVE_OK && !rv_object_open_result_decode(&opened, rv_buf_slice(&result)))
        err = rv_fail(REEVE_EPROTO, "cannot open %s: malformed answer", s->label);
    else if (err == REEVE_OK)
        err = opened_as(s, &opened, conf);
    if (err == REEVE_ETYPE && opened.object != 0)
        (void)rv_link_say(&s->ctx->link, RV_OP_object_close, opened.object, rv_slice(NULL, 0));
    rv_leave(s->ctx);
    rv_buf_free(&result);
    return err;
}

static reeve_err share(struct rv_sync *s, bool leases)
{
    struct registry *r = registry();
    reeve_err err = r == NULL ? no_memory(s, "open") : REEVE_OK;

    if (err != REEVE_OK)
        return err;
    pthread_mutex_lock(&r->mutex);
    err = rv_enter(s->ctx, "open", s->label);
    if (err == REEVE_OK) {
        err = join_shared(s, r, leases);
        rv_leave(s->ctx);
    }
    pthread_mutex_unlock(&r->mutex);
    return err;
}

static reeve_err open_sync(struct rv_sync *s, reeve_context *ctx, const char *name,
                           const struct rv_sync_conf *conf)
{
    reeve_err err = REEVE_OK;

    if (name == NULL)
        name = "";
    *s = (struct rv_sync){.ctx = ctx, .kind = conf->kind};
    err = check_options(name, conf);
    if (err != REEVE_OK)
        return err;
    s->name = strdup(name);
    if (s->name == NULL ||
        asprintf(&s->label, "%s %s", conf->word, *name == '\0' ? "(no name)" : name) < 0) {
        s->label = NULL;
        clear(s);
        return rv_fail(REEVE_ENOMEM, "cannot open %s: out of memory", conf->word);
    }
    err = open_object(s, name, conf);
    if (err == REEVE_OK && has_claims(s->kind)) {
        err = share(s, conf->leases);
        if (err != REEVE_OK && rv_enter(ctx, "close", s->label) == REEVE_OK) {
            (void)rv_link_say(&ctx->link, RV_OP_object_close, s->object, rv_slice(NULL, 0));
            rv_leave(ctx);
        }
    }
    if (err != REEVE_OK)
        clear(s);
    return err;
}

static reeve_err from_ref(struct rv_sync *s, reeve_context *ctx, reeve_ref ref, uint32_t kinds,
                          const char *word)
{
    static const uint64_t none[4];
    reeve_err err = rv_check_ref(ctx, ref, kinds, word);

    if (err != REEVE_OK)
        return err;
    return open_sync(
        s, ctx, NULL,
        &(struct rv_sync_conf){
            .kind = (uint8_t)ref.kind, .word = word, .ref = ref.object, .reserved = none});
}

static reeve_err adopt(struct rv_sync *s, reeve_context *ctx, uint64_t object, uint8_t kind,
                       const char *word)
{
    *s = (struct rv_sync){.ctx = ctx, .object = object, .kind = kind, .name = strdup("")};
    if (s->name != NULL && asprintf(&s->label, "%s (no name)", word) >= 0)
        return REEVE_OK;
    s->label = NULL;
    clear(s);
    if (rv_enter(ctx, "close", word) == REEVE_OK) {
        (void)rv_link_say(&ctx->link, RV_OP_object_close, object, rv_slice(NULL, 0));
        rv_leave(ctx);
    }
    return rv_fail(REEVE_ENOMEM, "cannot open %s: out of memory", word);
}

static void leave(struct rv_sync *s, struct registry *r)
{
    struct rv_sync_shared *shared = s->shared;

    if (shared == NULL || --shared->handles > 0) {
        (void)rv_link_say_late(&s->ctx->link, rv_clock_now(), RV_OP_object_close, s->object,
                               rv_slice(NULL, 0));
        rv_wake_before(s->ctx, s->ctx->link.late_at);
        return;
    }
    DL_DELETE(r->shared, shared);
    rv_claims_fini(&shared->claims);
    free(shared);
    rv_drive(s->ctx);
}

static void close_sync(struct rv_sync *s)
{
    struct registry *r = registry();

    if (r != NULL && s->label != NULL) {
        pthread_mutex_lock(&r->mutex);
        if (rv_enter(s->ctx, "close", s->label) == REEVE_OK) {
            leave(s, r);
            rv_leave(s->ctx);
        }
        pthread_mutex_unlock(&r->mutex);
    }
    clear(s);
}

/* ---- handles ---- */

static reeve_err make(struct rv_sync **out, size_t size, const char *word)
{
    *out = calloc(1, size);
    return *out == NULL ? rv_fail(REEVE_ENOMEM, "cannot open %s: out of memory", word) : REEVE_OK;
}

/* What out points to is a pointer to a type that we don't know. */
static reeve_err made(void *out, struct rv_sync *s, reeve_err err)
{
    if (err != REEVE_OK) {
        free(s);
        s = NULL;
    }
    memcpy(out, &s, sizeof s);
    return err;
}

reeve_err rv_handle_open(void *out, size_t size, reeve_context *ctx, const char *name,
                         const struct rv_sync_conf *conf)
{
    struct rv_sync *s = NULL;
    reeve_err err = make(&s, size, conf->word);

    return made(out, s, err == REEVE_OK ? open_sync(s, ctx, name, conf) : err);
}

reeve_err rv_handle_from(void *out, size_t size, reeve_context *ctx, reeve_ref ref, uint32_t kinds,
                         const char *word)
{
    struct rv_sync *s = NULL;
    reeve_err err = make(&s, size, word);

    return made(out, s, err == REEVE_OK ? from_ref(s, ctx, ref, kinds, word) : err);
}

reeve_err rv_handle_adopt(void *out, size_t size, reeve_context *ctx, uint64_t object, uint8_t kind,
                          const char *word)
{
    struct rv_sync *s = NULL;
    reeve_err err = make(&s, size, word);

    return made(out, s, err == REEVE_OK ? adopt(s, ctx, object, kind, word) : err);
}

reeve_ref rv_handle_ref(const void *handle)
{
    const struct rv_sync *s = handle;

    return s == NULL ? (reeve_ref){0} : rv_ref(s->ctx, s->object, s->kind);
}

void rv_handle_close(void *out)
{
    struct rv_sync *s = NULL;

    if (out == NULL)
        return;
    memcpy(&s, out, sizeof s);
    if (s == NULL)
        return;
    memset(out, 0, sizeof s);
    close_sync(s);
    free(s);
}

/* ---- whole calls ---- */

reeve_err rv_sync_wait(const struct rv_sync *s, uint16_t op, struct rv_buf *args,
                       uint32_t timeout_ms, bool forever, const char *verb, struct rv_buf *result)
{
    struct rv_request *call = NULL;
    reeve_err err = rv_enter(s->ctx, verb, s->label);

    if (err == REEVE_OK) {
        if (!args->bad)
            call =
                rv_link_call(&s->ctx->link, op, s->object, timeout_ms, rv_buf_slice(args), NULL, 0);
        err = rv_finish(s->ctx, call, forever ? REEVE_FOREVER : timeout_ms, verb, s->label, result);
        rv_leave(s->ctx);
    }
    rv_buf_free(args);
    return err;
}

/* It does not wait for anything but the manager. */
reeve_err rv_sync_call(const struct rv_sync *s, uint16_t op, struct rv_buf *args, const char *verb,
                       struct rv_buf *result)
{
    return rv_sync_wait(s, op, args, CALL_MS, false, verb, result);
}

reeve_err rv_sync_read(const struct rv_sync *s, uint16_t op, struct rv_buf *args, const char *verb,
                       struct rv_buf *result)
{
    struct rv_request *call = NULL;
    reeve_err err = rv_enter(s->ctx, verb, s->label);

    if (err == REEVE_OK) {
        if (!args->bad)
            call = rv_link_read(&s->ctx->link, op, s->object, rv_buf_slice(args));
        err = rv_finish(s->ctx, call, CALL_MS, verb, s->label, result);
        rv_leave(s->ctx);
    }
    rv_buf_free(args);
    return err;
}

reeve_err rv_sync_state(const struct rv_sync *s, const char *verb,
                        struct rv_sync_state_result *state)
{
    struct rv_buf result = {0};
    reeve_err err = rv_sync_read(s, RV_OP_sync_state, &(struct rv_buf){0}, verb, &result);

    *state = (struct rv_sync_state_result){0};
    if (err == REEVE_OK && !rv_sync_state_result_decode(state, rv_buf_slice(&result)))
        err = rv_fail(REEVE_EPROTO, "cannot %s %s: malformed answer", verb, s->label);
    rv_buf_free(&result);
    return err;
}

reeve_err rv_sync_acquire(const struct rv_sync *s, uint32_t timeout_ms, bool no_cycle)
{
    uint64_t thread = rv_thread_serial();
    struct rv_claims *claims = rv_sync_claims(s);
    reeve_err err = rv_enter(s->ctx, "acquire", s->label);

    if (err != REEVE_OK)
        return err;
    watch_thread(thread);
    err = rv_claims_acquire_here(claims, thread);
    if (err == REEVE_ELIMIT)
        err = rv_fail(err, "cannot acquire %s: this thread has it %d times", s->label,
                      RV_LIMIT_LEVELS);
    else if (err == REEVE_ENOMEM)
        err = no_memory(s, "acquire");
    else if (err == REEVE_ETIME)
        err = rv_finish(s->ctx, rv_claims_acquire(claims, thread, timeout_ms, no_cycle), timeout_ms,
                        "acquire", s->label, NULL);
    rv_leave(s->ctx);
    return err;
}

reeve_err rv_sync_release(const struct rv_sync *s)
{
    uint64_t thread = rv_thread_serial();
    struct rv_claims *claims = rv_sync_claims(s);
    reeve_err err = rv_enter(s->ctx, "release", s->label);

    if (err != REEVE_OK)
        return err;
    err = rv_claims_release(claims, rv_clock_now(), thread);
    if (err == REEVE_ENOENT)
        err = rv_finish(s->ctx, rv_claims_ask_release(claims, thread), CALL_MS, "release", s->label,
                        NULL);
    else if (err != REEVE_OK)
        err = rv_fail(err, "cannot release %s: %s", s->label,
                      s->ctx->link.state == RV_LINK_DEAD ? s->ctx->link.why : reeve_strerror(err));
    else if (claims->port.tick_at != RV_NEVER)
        rv_wake_before(s->ctx, claims->port.tick_at);
    else if (rv_link_ready(&s->ctx->link))
        rv_drive(s->ctx);
    rv_leave(s->ctx);
    return err;
}
