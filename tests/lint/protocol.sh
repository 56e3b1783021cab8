#!/bin/sh
# The tables and the bytes in docs/PROTOCOL.md are those of the sources.
#
#     sh tests/lint/protocol.sh           are they?
#     sh tests/lint/protocol.sh --write   make them so
#
# A program made here from common/wire/*.def, error.h and tests/wire/examples.h prints what belongs
# between <!-- NAME --> and <!-- /NAME -->.

LC_ALL=C
export LC_ALL
here=docs/PROTOCOL.md
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

cat >"$dir/show.c" <<'END'
#include <stdio.h>
#include <stdlib.h>

#include <reeve/error.h>

#include "tests/wire/examples.h"

#define FIELD(kind, name)    printf("%s`%s` %s", comma++ ? ", " : "", #name, #kind);
#define FIELDS_CELL(FIELDS)  { int comma = 0; (void)comma; FIELDS(FIELD) }

static void messages(void)
{
    puts("| type | message | numbered | fields |\n| ---: | --- | --- | --- |");
#define ROW(name, number, numbered, FIELDS)                                     \
    printf("| %d | %s | %s | ", number, #name, numbered ? "yes" : "");          \
    FIELDS_CELL(FIELDS)                                                         \
    puts(" |");
    RV_MESSAGES(ROW)
#undef ROW
}

static const char *const words[] = {
#define WORD(name, word) word,
    RV_RIGHTS(WORD)
#undef WORD
};

/* As mgr_durable() has it. */
static const char *survives(const struct rv_op_info *info)
{
    return info->flags & (RV_OP_READ | RV_OP_PUSH) ? ""
           : info->number == RV_OP_job_open || rv_op_family(info->number) == 0 ? "sync"
           : info->number == RV_OP_agent_done || info->number == RV_OP_agent_item ||
                   info->number == RV_OP_agent_back || info->number == RV_OP_job_pledge
               ? "as the job"
           : rv_op_family(info->number) == rv_op_family(RV_OP_agent_open) ||
                   info->number == RV_OP_job_cancel ||
                   info->number == RV_OP_blob_open || info->number == RV_OP_blob_put
               ? "sync"
               : "as opened";
}

static void ops(void)
{
    puts("| op | operation | goes as | may wait | right | survives | arguments | result |\n"
         "| ---: | --- | --- | --- | --- | --- | --- | --- |");
#define ROW(name, number, FLAGS, RIGHT, ARGS, RESULT)                                       \
    {                                                                                       \
        const struct rv_op_info *info = rv_op_info(number);                                 \
                                                                                            \
        printf("| %d | %s | %s | %s | %s | %s | ", number, #name,                                \
               info->flags & RV_OP_READ   ? "read"                                            \
               : info->flags & RV_OP_PUSH ? "push"                                            \
               : info->flags & RV_OP_ONEWAY ? "call without reply" : "call",                  \
               info->flags & RV_OP_BLOCK ? "yes" : "",                                        \
               info->right == RV_RIGHT_NONE ? "" : words[info->right],                          \
               survives(info));                         \
        FIELDS_CELL(ARGS)                                                                   \
        printf(" | ");                                                                      \
        FIELDS_CELL(RESULT)                                                                 \
        puts(" |");                                                                         \
    }
    RV_OPS(ROW)
#undef ROW
}

static void rights(void)
{
    for (size_t i = 1; i < rv_countof(words); i++)
        printf("%s`%s`", i > 1 ? ", " : "", words[i]);
    puts("; no word: everybody who was admitted.");
}

static void rows(void)
{
    puts("| row of | fields |\n| --- | --- |");
    printf("| object_list | ");
    FIELDS_CELL(OBJECT_ROW_FIELDS)
    printf(" |\n| session_list | ");
    FIELDS_CELL(SESSION_ROW_FIELDS)
    printf(" |\n| object_debug | ");
    FIELDS_CELL(DEBUG_ROW_FIELDS)
    printf(" |\n| why | ");
    FIELDS_CELL(WHY_ROW_FIELDS)
    printf(" |\n| batch_call | ");
    FIELDS_CELL(BATCH_CALL_FIELDS)
    printf(" |\n| batch_answer | ");
    FIELDS_CELL(BATCH_ANSWER_FIELDS)
    puts(" |");
}

static void limits(void)
{
    puts("| limit | value | unit | what it bounds |\n| --- | ---: | --- | --- |");
#define ROW(name, value, unit, text) printf("| `%s` | %d | %s | %s |\n", #name, value, unit, text);
    RV_LIMITS(ROW)
#undef ROW
}

static void errors(void)
{
    puts("| error | number | meaning |\n| --- | ---: | --- |");
#define ROW(name, number, text) printf("| %s | %d | %s |\n", #name, number, text);
    REEVE_ERRORS(ROW)
#undef ROW
}

/* ---- examples, a line a field ---- */

static struct rv_reader in;
static uint16_t op; /* whose arguments or result come next */

static struct rv_slice next(size_t len)
{
    struct rv_slice bytes = rv_slice(rv_read(&in, len), len);

    if (in.bad)
        abort();
    return bytes;
}

static void hex(struct rv_slice bytes)
{
    int width = 0;

    printf("   ");
    for (size_t i = 0; i < bytes.len; i++) {
        if (width == 54) {
            printf("\n   ");
            width = 0;
        }
        width += printf(" %02x", bytes.data[i]);
    }
    printf("%*s", width < 26 ? 28 - width : 2, "");
}

static uint64_t number(const char *name, size_t width)
{
    struct rv_slice bytes = next(width);
    uint64_t x = rv_get_number(bytes.data, width);

    hex(bytes);
    printf("%s = %llu\n", name, (unsigned long long)x);
    return x;
}

#define show_u8(name)  (void)number(name, 1)
#define show_u16(name) (void)number(name, 2)
#define show_u32(name) (void)number(name, 4)
#define show_u64(name) (void)number(name, 8)
#define show_i64(name) (void)number(name, 8)

static void show_id(const char *name)
{
    hex(next(16));
    puts(name);
}

static void show_str(const char *name)
{
    size_t len = (size_t)number("length", 4);
    struct rv_slice text = next(len);

    hex(text);
    printf("%s = \"%.*s\"\n", name, (int)len, (const char *)text.data);
}

static void show_items(const char *name)
{
    struct rv_reader list;

    (void)name;
    (void)number("count of items", 4);
    list = in;
    list.left = (size_t)number("bytes of items", 4);
    list.data = in.data;
    while (list.left > 0) {
        struct rv_reader before = list;
        struct rv_item item;

        rv_item_read(&list, &item);
        if (list.bad)
            abort();
        hex(next(4));
        printf("item: place %d, %u bytes\n", (int)item.place, (unsigned)item.len);
        if (before.data[0] & 0x80) {
            hex(next(8));
            printf("priority = %lld\n", (long long)item.priority);
            (void)number("deliveries", 4);
        }
        if (item.refs.len > 0)
            (void)number("count of references", 1);
        for (size_t i = 0; i < item.refs.len / 8; i++)
            (void)number("reference", 8);
        if (item.place == RV_FRAGMENTS)
            (void)number("body", 8);
        if (item.place == RV_INLINE) {
            hex(next(item.len));
            puts("the item");
        }
    }
}

#define SHOW(kind, name) show_##kind(#name);

static void show_blob(const char *name)
{
    int result = strcmp(name, "args") != 0;
    static int inside;
    char words_of[32];
    size_t len = 0;

    snprintf(words_of, sizeof words_of, "length of %s", name);
    len = (size_t)number(words_of, 4);
    if (len == 0)
        return;
    if (inside) { /* bytes that the operation has among its arguments */
        hex(next(len));
        printf("%s\n", name);
        return;
    }
    inside = 1;
    switch ((enum rv_op)op) {
#define CASE(name, number, flags, right, ARGS, RESULT)                          \
    case RV_OP_##name:                                                          \
        if (result) {                                                           \
            RESULT(SHOW)                                                        \
        } else {                                                                \
            ARGS(SHOW)                                                          \
        }                                                                       \
        break;
        RV_OPS(CASE)
#undef CASE
    }
    inside = 0;
}

static void show_message(uint16_t result_of)
{
    struct rv_slice bytes;
    const char *name = NULL;

    (void)number("length", 4);
    bytes = next(1);
    name = rv_msg_name((enum rv_msg_type)bytes.data[0]);
    hex(bytes);
    puts(name);
    op = result_of;
    switch ((enum rv_msg_type)bytes.data[0]) {
    case RV_MSG_call:
    case RV_MSG_push:
        op = (uint16_t)rv_get_number(in.data, 2);
        break;
    case RV_MSG_read:
        op = (uint16_t)rv_get_number(in.data + 8, 2);
        break;
    default:
        break;
    }
    switch ((enum rv_msg_type)bytes.data[0]) {
#define CASE(name, number, numbered, FIELDS)                                    \
    case RV_MSG_##name:                                                         \
        FIELDS(SHOW)                                                            \
        break;
        RV_MESSAGES(CASE)
#undef CASE
    }
}

static void show_examples(void)
{
    for (size_t i = 0; i < rv_countof(examples); i++) {
        const struct example *e = &examples[i];
        size_t len = strlen(e->hex) / 2;
        uint8_t *bytes = malloc(len);

        for (size_t k = 0; k < len; k++) {
            char digits[3] = {e->hex[2 * k], e->hex[2 * k + 1], '\0'};

            bytes[k] = (uint8_t)strtoul(digits, NULL, 16);
        }
        in = rv_reader(rv_slice(bytes, len));
        printf("%s**%s.**%s%s\n\n", i > 0 ? "\n" : "", e->title, e->comment[0] ? " " : "", e->comment);
        hex(next(4));
        printf("'R', major %d, %d body frames, 0\n", bytes[1], bytes[2]);
        (void)number("first", 8);
        (void)number("ack", 8);
        while (in.left > 0)
            show_message(e->op);
        free(bytes);
    }
}

int main(void)
{
    static const struct {
        const char *name;
        void (*show)(void);
    } parts[] = {{"messages", messages}, {"ops", ops},       {"rights", rights},
                 {"rows", rows},         {"limits", limits}, {"errors", errors},
                 {"examples", show_examples}};

    /* What is shown is what the encoder makes. */
    for (size_t i = 0; i < rv_countof(examples); i++) {
        struct rv_buf made = {0};

        examples[i].build(&made);
        if (made.len != strlen(examples[i].hex) / 2)
            fprintf(stderr, "protocol: %s: other bytes than in examples.h\n", examples[i].title);
        rv_buf_free(&made);
    }
    for (size_t i = 0; i < rv_countof(parts); i++) {
        printf("<!-- %s -->\n", parts[i].name);
        parts[i].show();
        printf("<!-- /%s -->\n", parts[i].name);
    }
    return 0;
}
END

${CC:-cc} -std=c11 -D_POSIX_C_SOURCE=200809L -I. -Iinclude -o "$dir/show" "$dir/show.c" \
    common/wire/*.c common/base/*.c -lsodium || exit 1
"$dir/show" >"$dir/parts" || { echo "protocol: unable to show the examples"; exit 1; }

awk -v parts="$dir/parts" '
    BEGIN {
        while ((getline line < parts) > 0) {
            if (line ~ /^<!-- [a-z]+ -->$/) { name = line; known[name] = 1; continue }
            if (line ~ /^<!-- \/[a-z]+ -->$/) continue
            part[name] = part[name] line "\n"
        }
    }
    !inside { print }
    $0 in known { printf "%s", part[$0]; inside = 1; seen++ }
    inside && /^<!-- \/[a-z]+ -->$/ { print; inside = 0 }
    END {
        for (name in known) count++
        if (inside || seen != count) {
            print "protocol: markers are missing: " seen " of " count " parts" >"/dev/stderr"
            exit 1
        }
    }' $here >"$dir/new" || exit 1

if [ "$1" = --write ]; then
    cp "$dir/new" $here
    exit 0
fi
cmp -s "$dir/new" $here || {
    echo "protocol: $here is not up to date: sh tests/lint/protocol.sh --write"
    diff $here "$dir/new" | sed -n '1,10p'
    exit 1
}
