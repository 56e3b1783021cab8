#include "server/core/crc.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

/* A nibble at a time: small, constant, and only for processors without the instruction. */
uint32_t rv_crc32c_table(uint32_t crc, const void *data, size_t len)
{
    static const uint32_t nibbles[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    const uint8_t *at = data;

    crc = ~crc;
    for (; len > 0; len--) {
        crc ^= *at++;
        crc = crc >> 4 ^ nibbles[crc & 15];
        crc = crc >> 4 ^ nibbles[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t with_instruction(uint32_t crc, const uint8_t *at,
                                                                   size_t len)
{
    uint64_t wide = ~crc;

    for (; len >= 8; len -= 8, at += 8) {
        uint64_t word = 0;

        memcpy(&word, at, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    for (; len > 0; len--)
        wide = __builtin_ia32_crc32qi((uint32_t)wide, *at++);
    return ~(uint32_t)wide;
}

static bool has_instruction(void)
{
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;

    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_SSE4_2) != 0;
}

uint32_t rv_crc32c(uint32_t crc, const void *data, size_t len)
{
    static int has = -1; /* asked once: the question leaves the processor's pipeline */

    if (__atomic_load_n(&has, __ATOMIC_RELAXED) < 0)
        __atomic_store_n(&has, has_instruction(), __ATOMIC_RELAXED);
    if (__atomic_load_n(&has, __ATOMIC_RELAXED) > 0)
        return with_instruction(crc, data, len);
    return rv_crc32c_table(crc, data, len);
}

#elif defined(__ARM_FEATURE_CRC32)

uint32_t rv_crc32c(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *at = data;

    crc = ~crc;
    for (; len >= 8; len -= 8, at += 8) {
        uint64_t word = 0;

        memcpy(&word, at, 8);
        crc = __crc32cd(crc, word);
    }
    for (; len > 0; len--)
        crc = __crc32cb(crc, *at++);
    return ~crc;
}

#else

uint32_t rv_crc32c(uint32_t crc, const void *data, size_t len)
{
    return rv_crc32c_table(crc, data, len);
}

#endif
