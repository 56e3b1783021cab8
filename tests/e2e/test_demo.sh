#!/bin/sh
# The demo counts the words of a small directory right, with a runner and an agent killed in the
# middle, and leaves nothing behind.
. tests/e2e/lib.sh

[ -x "$BUILD/examples/wordcount" ] || {
    echo "skipped: the examples are not built"
    exit 77
}

# ./demo makes build/ first; another build is shown by the script that ./demo ends with.
demo='sh examples/demo.sh'
[ ! -x ./demo ] || [ "$BUILD" != "$PWD/build" ] || demo=./demo
TMPDIR=$tmp/demo
export BUILD TMPDIR
mkdir "$TMPDIR" "$tmp/text" "$tmp/text/deeper folder"

# Words of every length; files without a last newline, empty, of one long word, not UTF-8.
awk 'BEGIN {
    for (i = 0; i < 1500000; i++)
        printf "%s%s", substr("abcdefghijklmnopqrstuvwxyzABCDEFGH", 1 + i * 7 % 29, 1 + i * i % 13),
            i % 11 == 0 ? "\n" : i % 7 == 0 ? ", 42-" : " "
}' >"$tmp/text/much"
printf 'end' >"$tmp/text/a no newline"
printf 'begin' >"$tmp/text/b no newline"
: >"$tmp/text/empty"
head -c 20000 /dev/zero | tr '\0' y >"$tmp/text/deeper folder/one word"
printf '\377\376caf\303\251 na\357ve\0zero\0' >"$tmp/text/deeper folder/bytes"

# shellcheck disable=SC2086
run timeout -k 5 300 $demo "$tmp/text"
equal 'it ends well' "$code" 0
check 'it says that the counts are equal' grep -q 'checked against sort | uniq -c: equal\.' "$tmp/out"
check 'it says what became of the killed runner' \
    grep -qE 'killed.* at [0-9]+%.*: ([0-9]+ items? ran|no item had to run) again, none missing\.$|before a runner could' \
    "$tmp/out"
check 'it shows ten words' test "$(grep -cE '^ +[0-9]+ [A-Za-z]+$' "$tmp/out")" = 10
equal 'nothing is said to standard error' "$(cat "$tmp/err")" ''
equal 'nothing is left behind' "$(ls "$TMPDIR")" ''

run timeout 60 $demo "$tmp/text/empty"
says 'a file is not a directory' 1 'is not a directory'
mkdir "$tmp/nothing"
run timeout 60 $demo "$tmp/nothing"
says 'nothing to count' 1 'there is nothing to count; '

# Stopped in the middle, it takes everything with it.
mkfifo "$tmp/never"
# shellcheck disable=SC2086
out=$tmp/stopped background $demo "$tmp/text"
demo_pid=$started
wait_until sh -c "ls '$TMPDIR'/*/report" >/dev/null 2>&1
stop "$demo_pid" TERM
equal 'SIGTERM stops it' "$([ "$code" = 143 ] || [ "$code" = 0 ] && echo yes)" yes
equal 'and removes everything' "$(ls "$TMPDIR")" ''
left() { ps -eo args | grep "$TMPDIR" | grep -v grep; }
equal 'and stops everything' "$(left)" ''

# The picture, small: a manager and an agent of its own.
if [ -x "$BUILD/examples/mandelbrot" ]; then
    run timeout 60 "$BUILD/examples/mandelbrot" "$tmp/picture.png" "$tmp/agents.png" 130 70
    equal 'mandelbrot ends well' "$code" 0
    check 'each tile was drawn by its agent' grep -qE '^agent .*: 6 tiles, ' "$tmp/out"
    check 'both pictures are PNG of that size' sh -c "for f in picture agents; do
        od -An -tx1 -N24 '$tmp'/\$f.png | tr -d ' \n' |
            grep -qx 89504e470d0a1a0a0000000d494844520000008200000046 || exit 1; done"
    run "$BUILD/examples/mandelbrot" "$tmp/picture.png" "$tmp/agents.png" 130 much
    says 'mandelbrot wants numbers' 2 '^usage: '
fi

finish
