#include "common/net/keys.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any bytes are read or refused with a reason, and what is read keeps within its limits. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct rv_keyfile nothing;
    struct rv_keyfile k;
    uint8_t key[32];
    char why[RV_KEYS_WHY] = "";

    if (!rv_keys_parse(&k, rv_slice(data, size), why)) {
        rv_assert(why[0] != '\0');
        rv_assert(memcmp(&k, &nothing, sizeof k) == 0);
        return 0;
    }
    rv_assert(rv_keys_decode(key, k.public_key));
    rv_assert(k.secret_key[0] == '\0' || rv_keys_decode(key, k.secret_key));
    rv_assert(k.authkey[0] == '\0' || (k.secret_key[0] != '\0' && k.servers_len == 1));
    rv_assert(strlen(k.name) <= RV_NAME_MAX);
    rv_assert(k.servers_len <= RV_KEYS_SERVERS);
    for (size_t i = 0; i < k.servers_len; i++)
        rv_assert(rv_keys_decode(key, k.servers[i]));
    rv_assert(k.rights_len <= RV_KEYS_RIGHTS);
    for (size_t i = 0; i < k.rights_len; i++)
        rv_assert(strlen(k.rights[i]) < sizeof k.rights[i]);
    return 0;
}
