#!/bin/sh
# The library shows reeve_* and nothing else, and has all that its headers declare.
#
#     sh tests/lint/exports.sh [BUILD]

build=${1:-build}
cc=${CC:-cc}
failed=0
shown=$(mktemp)
trap 'rm -f "$shown"' EXIT

look() {
    awk 'NF == 3 { print $3 }' | sort -u >"$shown"
    [ -s "$shown" ] || { echo "exports.sh: $1 shows nothing"; failed=1; }
    grep -vE '^reeve_' "$shown" && { echo "exports.sh: $1 shows the names above"; failed=1; }
    declared | grep -vxFf "$shown" && { echo "exports.sh: declared, but not in $1"; failed=1; }
}

# Functions that are marked REEVE_API in the public headers.
declared() {
    echo '#include <reeve.h>' | $cc -E -P -Iinclude -DREEVE_API=SHOWN - | tr '\n' ' ' | tr ';' '\n' |
        sed -n 's/.*SHOWN//p' | sed -nE 's/^[^(]*(__attribute__[^)]*\)\))?[^(]*[ *](reeve_[a-z0-9_]+) *\(.*/\2/p' |
        sort -u
}

if [ -z "$(declared)" ]; then
    echo "exports.sh: no declarations found in include/reeve.h"
    failed=1
fi

nm -D --defined-only "$build/libreeve.so" >"$shown.nm" || failed=1
look libreeve.so <"$shown.nm"
nm -g --defined-only "$build/libreeve.a" >"$shown.nm" || failed=1
look libreeve.a <"$shown.nm"
rm -f "$shown.nm"
exit $failed
