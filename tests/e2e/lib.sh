# lib.sh -- what the end-to-end tests share. Sourced from the root of the tree; BUILD says where
# the programs are. A test calls `finish` last. Everything started by `background` is stopped, and
# $tmp is removed, however the test ends.
# shellcheck shell=sh disable=SC2034,SC2154

set -u
LC_ALL=C
export LC_ALL

BUILD=${BUILD:-build}
case $BUILD in
/*) ;;
*) BUILD=$PWD/$BUILD ;;
esac

unset REEVE_URL REEVE_KEY REEVE_CONFIG REEVE_BINDIR
passed=0
failed=0
running=
tmp=

# shellcheck disable=SC2317
clean() {
    trap '' INT TERM HUP
    for pid in $running; do kill -9 "$pid" 2>/dev/null; done
    wait 2>/dev/null
    [ -z "$tmp" ] || rm -rf "$tmp"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

for program in reeve reeve-server; do
    [ -x "$BUILD/$program" ] || {
        echo "skipped: $BUILD/$program is not built"
        exit 77
    }
done
tmp=$(mktemp -d "${TMPDIR:-/tmp}/reeve-e2e.XXXXXX") || exit 1
export HOME="$tmp/home" XDG_RUNTIME_DIR="$tmp/run"
mkdir -p "$HOME"
mkdir -m 700 "$XDG_RUNTIME_DIR"

reeve() { timeout 60 "$BUILD/reeve" "$@"; }

# ---- programs ----

# background PROGRAM ARGUMENT...: its id is in $started. Redirect with out= and err=.
background() {
    "$@" >"${out:-$tmp/background.out}" 2>"${err:-$tmp/background.err}" &
    started=$!
    running="$running $started"
}

# stop PID [SIGNAL]: its exit code is in $code
stop() {
    kill "-${2:-TERM}" "$1" 2>/dev/null
    wait "$1" 2>/dev/null
    code=$?
}

# new_key NAME [OPTION]...: a key that the manager admits; before the manager starts.
new_key() {
    key_name=$1
    shift
    [ -e "$tmp/manager/manager.key" ] || reeve keygen --dir "$tmp/manager" manager >/dev/null || exit 1
    reeve keygen --dir "$tmp/keys" --trust "$tmp/manager/manager.pub" "$@" "$key_name" >/dev/null &&
        cp "$tmp/keys/$key_name.pub" "$tmp/manager/authorized.d/" || exit 1
}

# An address of this test's own: who starts a manager again on its port finds that nobody took it meanwhile.
address=127.1.$(($$ / 256 % 256)).$(($$ % 256))

# start_manager [OPTION]...: on a free port, which is in $REEVE_URL; its id is in $manager.
start_manager() {
    rm -f "$tmp/ready"
    mkfifo "$tmp/ready" || exit 1
    "$BUILD/reeve-server" --bind "tcp://$address:0" --keys "$tmp/manager" --ready-fd 3 \
        "$@" 3>"$tmp/ready" >"$tmp/manager.out" 2>"$tmp/manager.log" &
    manager=$!
    running="$running $manager"
    read -r REEVE_URL <"$tmp/ready" || {
        echo "the manager did not start:"
        cat "$tmp/manager.log"
        exit 1
    }
    export REEVE_URL
}

# wait_until COMMAND...: at most ten seconds.
wait_until() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || return 1
        sleep 0.05
    done
}

# ---- checks ----

good() { passed=$((passed + 1)); }

bad() {
    failed=$((failed + 1))
    echo "FAIL $1"
    shift
    for line in "$@"; do echo "     $line"; done
}

# check WHAT COMMAND...: the command succeeds.
check() {
    what=$1
    shift
    if "$@" >"$tmp/check.out" 2>&1; then
        good
    else
        bad "$what" "$* ended with $?" "$(head -20 "$tmp/check.out")"
    fi
}

# equal WHAT GOT WANTED
equal() {
    if [ "$2" = "$3" ]; then good; else bad "$1" "got:    $2" "wanted: $3"; fi
}

# run COMMAND...: code in $code, texts in $tmp/out and $tmp/err.
run() {
    "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    code=$?
}

# says WHAT CODE PATTERN: the last run ended with CODE and said one line like PATTERN.
says() {
    if [ "$code" = "$2" ] && grep -qE -- "$3" "$tmp/err" && [ "$(wc -l <"$tmp/err")" = "${4:-1}" ]; then
        good
    else
        bad "$1" "code $code, wanted $2; wanted: $3" "got: $(cat "$tmp/err")"
    fi
}

# prints WHAT TEXT: the last run succeeded, and printed TEXT and no error.
prints() {
    if [ "$code" = 0 ] && [ "$(cat "$tmp/out")" = "$2" ] && [ ! -s "$tmp/err" ]; then
        good
    else
        bad "$1" "code $code; wanted: $2" "got: $(cat "$tmp/out" "$tmp/err")"
    fi
}

finish() {
    echo "$(basename "$0"): $passed passed, $failed failed"
    [ $failed = 0 ]
    exit $?
}
