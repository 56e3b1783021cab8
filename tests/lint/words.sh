#!/bin/sh
# Words that do not belong into the tree: somebody's folders, promises to do it later, conflicts.
#
#     sh tests/lint/words.sh

LC_ALL=C
export LC_ALL
# Written so that this file does not find itself.
words='/[w]ork/|/[f]arm/|/[r]oot/|(^|[^A-Za-z])([T]ODO|[F]IXME|[X]XX|[H]ACK)([^A-Za-z]|$)|^<{7} |^>{7} '

if git ls-files >/dev/null 2>&1; then
    list='git ls-files -z -c -o --exclude-standard'
else
    list='find . -type f -not -path ./build* -not -path ./.git/* -print0'
fi
if $list | xargs -0 grep -nHIE "$words" 2>/dev/null; then
    echo "words.sh: these words do not belong into the tree"
    exit 1
fi
