#include "server/principals.h"
#include "server/core/quota.h"
#include "server/core/rights.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { WHY = 512 };

static int is_public(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);

    return entry->d_name[0] != '.' && len > 4 && strcmp(entry->d_name + len - 4, ".pub") == 0;
}

static reeve_err check(const struct rv_keyfile *file, const char *path, char *why)
{
    static const char *const roles[] = {"client", "worker", "admin"};
    bool known = false;

    for (size_t i = 0; i < rv_countof(roles); i++)
        known = known || strcmp(file->role, roles[i]) == 0;
    if (!known) {
        snprintf(why, WHY, "cannot admit %.200s: its role must be client, worker or admin", path);
        return REEVE_EINVAL;
    }
    for (size_t i = 0; i < file->rights_len; i++)
        if (!rights_valid(file->rights[i], strlen(file->rights[i]))) {
            snprintf(why, WHY, "cannot admit %.200s: no such right: %.100s", path, file->rights[i]);
            return REEVE_EINVAL;
        }
    for (size_t i = 0; i < file->quotas_len; i++)
        if (!quotas_valid(file->quotas[i], strlen(file->quotas[i]))) {
            snprintf(why, WHY, "cannot admit %.200s: no such quota: %.31s", path, file->quotas[i]);
            return REEVE_EINVAL;
        }
    return REEVE_OK;
}

static reeve_err read_one(struct principals *out, const char *folder, const char *name, int64_t now,
                          char *why)
{
    struct rv_keyfile *file = &out->files[out->len];
    char path[1024];
    reeve_err err = REEVE_OK;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    err = rv_keys_read(file, path, false, why);
    if (err != REEVE_OK)
        return err;
    if (file->role[0] == '\0')
        snprintf(file->role, sizeof file->role, "client");
    err = check(file, path, why);
    if (err != REEVE_OK)
        return err;
    if (file->expires != 0 && file->expires <= now) {
        out->expired++;
        return REEVE_OK;
    }
    if (file->expires != 0 && (out->next_expires == 0 || file->expires < out->next_expires))
        out->next_expires = file->expires;
    out->len++;
    return REEVE_OK;
}

reeve_err principals_read(struct principals *out, const char *keys, int64_t now, char *why)
{
    char folder[768];
    struct dirent **entries = NULL;
    reeve_err err = REEVE_OK;
    int len = 0;

    *out = (struct principals){0};
    snprintf(folder, sizeof folder, "%s/authorized.d", keys);
    len = scandir(folder, &entries, is_public, alphasort);
    if (len < 0 && errno != ENOENT) {
        snprintf(why, WHY, "cannot read %.300s: %s", folder, strerror(errno));
        return REEVE_ESYS;
    }
    if (len > 0)
        out->files = rv_alloc((size_t)len * sizeof *out->files);
    if (len > 0)
        out->ids = rv_alloc((size_t)len * sizeof *out->ids);
    for (int i = 0; i < len; i++) {
        if (err == REEVE_OK)
            err = read_one(out, folder, entries[i]->d_name, now, why);
        out->ids[i] = PRINCIPAL_FIRST + (uint32_t)i;
        free(entries[i]);
    }
    free(entries);
    if (err != REEVE_OK)
        principals_free(out);
    return err;
}

void principals_add(struct principals *p, const struct rv_keyfile *file)
{
    p->files = rv_realloc(p->files, (p->len + 1) * sizeof *p->files);
    p->ids = rv_realloc(p->ids, (p->len + 1) * sizeof *p->ids);
    p->files[p->len] = *file;
    p->ids[p->len] = PRINCIPAL_FIRST + (uint32_t)p->len;
    p->len++;
}

void principals_free(struct principals *p)
{
    free(p->files);
    free(p->ids);
    *p = (struct principals){0};
}

struct rv_net_key *principals_keys(const struct principals *p, size_t *len)
{
    struct rv_net_key *keys = rv_alloc((p->len * 2 + 1) * sizeof *keys);

    *len = 0;
    for (size_t i = 0; i < p->len; i++) {
        const struct rv_keyfile *file = &p->files[i];

        keys[*len].principal = p->ids[i];
        rv_assert(rv_keys_decode(keys[(*len)++].key, file->public_key));
        if (file->other_key[0] == '\0')
            continue;
        keys[*len].principal = p->ids[i];
        rv_assert(rv_keys_decode(keys[(*len)++].key, file->other_key));
    }
    return keys;
}
