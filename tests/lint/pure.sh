#!/bin/sh
# A pure object asks nothing of the outside world: no clock, file, socket, thread, chance.
#
#     sh tests/lint/pure.sh [build/common/base/*.o build/server/core/*.o ...]
#
# Give all objects together: what one asks for, another may define. That is also why a call of
# rv_clock_now() is caught: common/net is not among them.

LC_ALL=C
export LC_ALL
# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- $(make -s pure-objects)

bytes='mem(cpy|move|set|cmp|chr|rchr|mem)|bcmp|str(n?len|n?cmp|n?cpy|n?cat|r?chr|str|spn|cspn|pbrk|n?dup|error)'
libc="$bytes|v?snprintf|qsort|bsearch|malloc|calloc|realloc|free"
value='msgpack_.*|crypto_generichash_(init|update|final)'
compiler='_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__(mem|str|v?snprintf)[a-z]*_chk'
compiler="$compiler|__(asan|hwasan|msan|tsan|ubsan|sanitizer|sancov|gcov|llvm)_.*|__start___sancov.*|__stop___sancov.*"
compiler="$compiler|__assert_fail"                       # utlist's own assertions
mutant='rv_mutant'                                      # chosen by the simulator
death='abort|stderr|fprintf|__fprintf_chk|fwrite|fputs|fputc' # rv_assert_failed, in base.o alone

own=$(mktemp)
trap 'rm -f "$own" "$own.asked"' EXIT
nm --defined-only "$@" | awk 'NF == 3 { print $3 }' | sort -u >"$own"

bad=0
for object in "$@"; do
    allow="$libc|$value|$compiler|$mutant"
    case $object in *common/base/base.o) allow="$allow|$death" ;; esac
    if nm -u "$object" | awk 'NF == 2 { print $2 }' | sed 's/@.*//' | sort -u |
        grep -vxFf "$own" | grep -vxE "$allow" >"$own.asked"; then
        echo "$object: not pure, asks for: $(tr '\n' ' ' <"$own.asked")"
        bad=1
    fi
done
exit $bad
