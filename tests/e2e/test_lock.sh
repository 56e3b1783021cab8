#!/bin/sh
# reeve lock, sem, barrier, event and why: what scripts on many hosts wait with.
. tests/e2e/lib.sh

new_key alice
start_manager
REEVE_KEY=$tmp/keys/alice.key
REEVE_RESUME_MS=300 # what a killed process held passes on after this
export REEVE_KEY REEVE_RESUME_MS

why_says() { reeve why "$1" 2>/dev/null | grep -qE -- "$2"; }

# ---- lock ----

run reeve lock nightly -- sh -c 'echo "$REEVE_ABANDONED"; exit 7'
equal 'a command runs under the lock, and its code is ours' "$code $(cat "$tmp/out")" '7 0'
run reeve lock nightly -- no-such-command
says 'a command that is not there' 100 'cannot run no-such-command: No such file'
run reeve lock nightly --on-abandoned perhaps -- true
says 'run or fail, nothing else' 2 'run or fail'

background "$BUILD/reeve" lock nightly -- sleep 60
holder=$started
check 'why says who holds it' wait_until why_says nightly "^holds +Lock nightly +session [0-9]+ +reeve on .*, pid $holder"
run reeve lock nightly --timeout 200ms -- echo no
says 'a lock that is held' 111 "held by session [0-9]+ .*pid $holder"
out=$tmp/next.out err=$tmp/next.err background "$BUILD/reeve" lock nightly -- sh -c 'echo "$REEVE_ABANDONED"'
next=$started
check 'why says who waits' wait_until why_says nightly "^waits +Lock nightly .*pid $next"
stop "$holder" KILL
wait "$next"
equal 'the lock of a killed owner passes on' "$? $(cat "$tmp/next.out")" '0 1'
check 'and the next one is told' grep -q "pid $holder.* died holding it" "$tmp/next.err"

background "$BUILD/reeve" lock other -- sleep 60
check 'held' wait_until why_says other '^holds'
stop "$started" KILL
run reeve lock other --on-abandoned fail -- echo no
says 'it may fail on an abandoned lock' 100 'died holding it'
run reeve lock other -- echo yes
equal 'the one after hears of it, too' "$code $(cat "$tmp/out")" '0 yes'

# A stopped command lets go.
background "$BUILD/reeve" lock third -- sleep 60
check 'held again' wait_until why_says third '^holds'
stop "$started" TERM
equal 'a signal is passed on to the command' "$code" 143
run reeve lock third --timeout 5 -- echo free
prints 'and the lock is free, and nobody died' free

# A lock that is removed is held no more, and somebody else may have it: that is no success.
err=$tmp/removed.err background "$BUILD/reeve" lock removed -- sleep 60
check 'held, too' wait_until why_says removed '^holds'
reeve rm removed
wait "$started"
equal 'who held it is told' "$? $(grep -c 'removed; what it held is lost, so the command is ended' "$tmp/removed.err")" '111 1'
run reeve lock removed -- "$BUILD/reeve" rm removed
says 'also at the end' 111 'removed; what it held is lost'
run reeve sem removed 2 -- "$BUILD/reeve" rm removed
says 'and of a semaphore' 111 'removed; what it held is lost'
if command -v script >/dev/null; then
    background "$BUILD/reeve" lock seen -- sleep 60
    holder=$started
    check 'held once more' wait_until why_says seen '^holds'
    run timeout 60 script -qefc "'$BUILD/reeve' lock seen --timeout 300ms -- true" /dev/null
    check 'who looks on is told for whom it waits' grep -q "held by session .*pid $holder.*; waiting, Ctrl-C ends it" "$tmp/out"
    stop "$holder" TERM
fi

# ---- three programs wait for each other ----

circle() {
    err=$tmp/circle.$1 background "$BUILD/examples/lock_circle" "$1" ${2:-waits}
    eval "circle_$1=$started"
}
for i in 0 1 2; do circle $i; done
three='^  session [0-9]+, the first of these$'
check 'why explains it' wait_until why_says circle-0 "$three"
session=$(reeve why circle-1 --json | sed -E 's/.*"role": "holds", "session": ([0-9]+).*/\1/')
check 'of a session, too' why_says "$session" "$three"
check 'and the manager has said it' grep -q 'lock.cycle calls=3' "$tmp/manager.log"
for pid in $circle_0 $circle_1 $circle_2; do stop "$pid" KILL; done
free() { [ -z "$(reeve why circle-0 | grep -E '^(holds|waits)')" ] && [ -z "$(reeve why circle | grep '^waits')" ]; }
check 'they are gone' wait_until free
for i in 0 1 2; do reeve rm circle-$i; done
for i in 0 1 2; do circle $i asks; done
told=0
for pid in $circle_0 $circle_1 $circle_2; do
    wait "$pid"
    told=$((told + $?))
done
equal 'who asked hears of it' "$told" 3
check 'in words' grep -q 'which waits for circle-[012], held by' "$tmp/circle.0" "$tmp/circle.1" "$tmp/circle.2"

# ---- sem, barrier, event ----

run reeve sem gpus 2 -- echo one
prints 'a permit' one
background "$BUILD/reeve" sem gpus 2 -- sleep 60
one=$started
background "$BUILD/reeve" sem gpus 2 -- sleep 60
two=$started
both() { [ "$(reeve why gpus | grep -c '^holds')" = 2 ]; }
check 'two permits' wait_until both
run reeve sem gpus 2 --timeout 200ms -- echo no
says 'not a third' 111 'held by'
stop "$one" KILL
run reeve sem gpus 2 --timeout 10 -- echo back
prints 'a permit of the dead comes back' back
stop "$two" TERM
run reeve sem gpus 0 -- true
says 'no permit at all' 2 'number of permits'

out=$tmp/zero background "$BUILD/reeve" barrier start 2
check 'one has come' wait_until why_says start '^waits +Barrier start'
run reeve barrier start 2
prints 'the second opens it' 1
wait "$started"
equal 'the first goes on' "$? $(cat "$tmp/zero")" '0 0'
run reeve barrier start 2 --timeout 100ms
says 'who gives up breaks it' 100 'has waited for long enough; reeve barrier NAME N --reset'
run reeve barrier start 2
says 'for all' 100 'has waited for long enough; reeve barrier NAME N --reset'
run reeve barrier start 2 --reset
prints 'until it is reset' ''

run reeve event wait go --timeout 100ms
says 'an event that is not set' 111 'deadline passed'
background "$BUILD/reeve" event wait go
check 'one waits' wait_until why_says go '^waits +Event go'
run reeve event set go
prints 'set' ''
wait "$started"
equal 'it goes on' "$?" 0
run reeve event wait go
prints 'and who comes later, too' ''
run reeve event ring go
says 'no such verb' 2 'wait, set or clear'

run reeve why no-such-object
says 'why of nothing' 1 'no such object'
finish
