#!/bin/sh
# clang-format decides, nobody argues.
#
#     sh tests/lint/format.sh           says what is not formatted
#     sh tests/lint/format.sh --fix     formats it

tool=
for name in clang-format-14 clang-format; do
    command -v $name >/dev/null && { tool=$name; break; }
done
[ -n "$tool" ] || { echo "format.sh: skipped, clang-format is not installed"; exit 0; }

files=$(find common server proxy worker cli include examples tests bench \
    -name '*.[ch]' 2>/dev/null | sort)
[ -n "$files" ] || exit 0

# shellcheck disable=SC2086
if [ "$1" = --fix ]; then
    exec $tool -i $files
fi
# shellcheck disable=SC2086
$tool --dry-run -Werror $files >/dev/null 2>&1 && exit 0
bad=0
for file in $files; do
    $tool --dry-run -Werror "$file" >/dev/null 2>&1 || {
        echo "$file: not formatted"
        $tool "$file" | diff -u "$file" - | sed -n '3,12p'
        bad=1
    }
done
[ $bad = 0 ] || echo "format.sh: to mend it: sh tests/lint/format.sh --fix ($($tool --version))"
exit $bad
