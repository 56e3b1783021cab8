#!/bin/sh
# Every public header compiles alone, twice in a row, as C11 and as C++17, without a warning.
#
#     sh tests/lint/headers.sh

cc=${CC:-cc}
cxx=${CXX:-c++}
flags='-Iinclude -fsyntax-only -Wall -Wextra -Wpedantic -Werror'
failed=0

command -v "$cxx" >/dev/null || { echo "headers.sh: no C++ compiler ($cxx): C only"; cxx=; }

try() {
    # shellcheck disable=SC2086
    printf '#include <%s>\n#include <%s>\n' "$name" "$name" | "$@" $flags - || {
        echo "headers.sh: <$name> does not compile alone with: $*"
        failed=1
    }
}

for header in include/reeve.h include/reeve/*.h; do
    name=${header#include/}
    try "$cc" -x c -std=c11
    [ -z "$cxx" ] || try "$cxx" -x c++ -std=c++17
done
exit $failed
