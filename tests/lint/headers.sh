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
# The macros of task.h, expanded; what is not registered does not compile.
macros() {
    cat <<'END'
#include <reeve.h>
static reeve_err f(reeve_task *t, const reeve_value *in, reeve_builder *out)
{
    (void)in;
    return reeve_task_index(t) > 9 ? reeve_task_fail(t, "%d", 1) : reeve_put_nil(out);
}
REEVE_FUNCTION(f);
static reeve_err g(const reeve_value *arg) { return arg ? REEVE_OK : REEVE_EINVAL; }
REEVE_INITIALIZER(g);
int main(int argc, char **argv)
{
    reeve_main(&argc, &argv);
    return REEVE_FN(f)->function != f || REEVE_INIT(g)->function != g;
}
END
}
# shellcheck disable=SC2086
macros | $cc -x c -std=c11 $flags - || failed=1
# shellcheck disable=SC2086
[ -z "$cxx" ] || macros | $cxx -x c++ -std=c++17 $flags - || failed=1
# shellcheck disable=SC2086
if macros | sed 's/REEVE_FN(f)/REEVE_FN(g)/' | $cc -x c -std=c11 $flags - 2>/dev/null; then
    echo "headers.sh: REEVE_FN takes a function that is not registered"
    failed=1
fi
exit $failed
