#!/bin/sh
# One deliberate defect: the simulator sees it, or the tests of the log do.
#
#     sh tests/sim/mutant.sh BUILD NAME [A B]      with the histories A to B
#
# Prints one line, and more when it is seen by the log alone. Exit code 1 when nobody sees it; with the name
# NONE, when somebody sees something.

build=$1
name=$2
shift 2
# A story that runs for ever with the defect is ended soon; a whole one takes a fraction of a second.
line=$(CHECK_SECONDS=${CHECK_SECONDS:-5} "$build/run-sim" --mutant "$name" ${1:+--seeds "$1" "$2"})
code=$?
if [ "$name" = NONE ]; then
    printf '%s\n' "$line"
    exit $code
fi
case $code in
0) ;;
1)
    printf '%s\n' "$line"
    exit 0
    ;;
*)
    echo "$name: run-sim ended with $code: $line"
    exit 1
    ;;
esac
out=$build/log-$name.out
if LOG_MUTANT=$name "$build/run-log" >"$out" 2>&1; then
    printf '%s\n%s\n' "$line" "$name: survives the tests of the log, too"
    exit 1
fi
printf '%s\n%s\n' "$line" "$name: caught by the tests of the log: $(grep -m 1 ^FAIL "$out")"
