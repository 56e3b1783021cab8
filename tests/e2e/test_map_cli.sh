#!/bin/sh
# reeve map, run, jobs, cancel and logs: without a manager, and with one and an agent.

. "$(dirname "$0")/lib.sh"

seq 3000 >"$tmp/numbers"
lines() { printf '%s\n' "$@"; }

# with INPUT COMMAND...: as run, with these lines on standard input.
with() {
    input=$1
    shift
    printf '%s\n' "$input" | "$@" >"$tmp/out" 2>"$tmp/err"
    code=$?
}

# Without a manager there is a private one, which is gone afterwards.
with "$(lines a b)" reeve map -k -- echo word
prints 'a map without a manager' "$(lines 'word a' 'word b')"

background "$BUILD/reeve-server"
server=$started
check 'a manager' wait_until reeve status
background "$BUILD/reeve-worker" --slots 2 --name w1
worker=$started
check 'an agent' wait_until sh -c "'$BUILD/reeve' status | grep -q '^agent'"

# Places, order, tags, the shell.
run reeve map -k -- echo '{/}' '{.}' '{//}' '{#}' '{}' ::: /a/b.c d
prints 'places' "$(lines 'b.c /a/b /a 1 /a/b.c' 'd d . 2 d')"
run reeve map -k "echo x{} | tr x '('" ::: "it's" ';'
prints 'lines are quoted for a shell' "$(lines "(it's" '(;')"
run reeve map --tag -- echo ::: one
prints 'tag' "$(printf 'one\tone')"
with "$(lines 'echo 1' 'echo 2')" reeve map -k
prints 'lines are commands' "$(lines 1 2)"

# Names of files need not be UTF-8.
printf 'a\377b\n' | reeve map -- printf '%s' >"$tmp/out"
equal 'a line of any bytes' "$(od -An -tx1 "$tmp/out" | tr -d ' ')" 61ff62

# A reader that leaves ends it, though the lines have no end.
equal 'a reader that left' "$(yes | timeout 20 "$BUILD/reeve" map -- echo | head -1)" y
check 'its job is gone' wait_until sh -c "! '$BUILD/reeve' jobs | grep -q running"

# With -k what waits for a slow line is bounded, and all comes.
run sh -c "seq 3000 | '$BUILD/reeve' map -k 'test {} != 1 || sleep 1; echo {}' | cmp - $tmp/numbers"
equal 'order behind a slow line' "$code$(cat "$tmp/out" "$tmp/err")" 0

# Outputs come whole.
run reeve map -- sh -c 'for i in 1 2 3 4 5; do echo $0$0$0; done' ::: a b c d e f
equal 'outputs are not mixed' "$(uniq "$tmp/out" | wc -l)" 6

# Failures, retries, timeouts.
run reeve map -- test 1 = ::: 1 2
says 'a command that fails' 3 '^reeve: 1 of 2 commands failed, the first item 2 \(2\): exit code 1; --joblog FILE lists all$'
run reeve map --joblog "$tmp/failed" -- sh -c 'exit {}' ::: 0 0 0
prints 'none fails' ''
run reeve logs 999999
says 'no such job' 1 '^reeve: cannot show job 999999: no such job; reeve jobs lists them$'
run reeve map --retries 2 -- sh -c "test -e $tmp/second || { touch $tmp/second; exit 1; }" ::: x
equal 'a command that fails once' "$code" 0
run reeve map --timeout 300ms -- sleep ::: 20
says 'a command that takes too long' 3 'item 1 \(20\): it took longer than it might'
run reeve map --resume -- true ::: 1
says 'resume without a joblog' 2 'cannot map: --resume wants --joblog FILE'

# The joblog, and what is missing by it.
run reeve map --joblog "$tmp/log" -- sh -c "test \$0 != 2 || test -e $tmp/third" ::: 1 2 3
equal 'one of three fails' "$code" 3
equal 'the joblog has all three' "$(tail -n +2 "$tmp/log" | wc -l)" 3
touch "$tmp/third"
run reeve map --resume --joblog "$tmp/log" -- sh -c 'echo $0' ::: 1 2 3
prints 'only the one that is missing' 2

# What was torn when its writer died is run again, and swallows no other line.
printf '9\tw1\t0.0' >>"$tmp/log"
run reeve map --resume --joblog "$tmp/log" -- echo ::: 1 2 3 4
prints 'what a torn joblog misses' 4
run reeve map --resume --joblog "$tmp/log" -- echo ::: 1 2 3 4
prints 'and its next line counts' ''

# The bar, on a terminal: agents, and what ran again; and it is gone at the end.
# on_terminal COMMAND: what a terminal of 100 columns shows of it.
on_terminal() {
    run timeout 60 script -qefc "stty cols 100; $1" /dev/null
    tr '\r' '\n' <"$tmp/out" | sed 's/\x1b\[K//g' >"$tmp/shown"
}
if command -v script >/dev/null; then
    on_terminal "'$BUILD/reeve' map --bar --retries 1 -- sh -c 'test -e $tmp/again.{} || { touch $tmp/again.{}; exit 1; }; exec sleep 1' ::: 1 2 3 4 5 6"
    equal 'a map with a bar' "$code" 0
    check 'the bar shows how far it is, agents and retries' \
        grep -qE '^#+-+  [1-5]/6  .*  1 agent  [1-6] again$' "$tmp/shown"
    equal 'and nothing of it stays' "$(tail -c 4 "$tmp/out" | od -An -c | tr -d ' ')" '\r033[K'
fi
run sh -c "'$BUILD/reeve' map --bar -- echo ::: a b 2>&1"
equal 'no bar without a terminal' "$code $(sort "$tmp/out" | tr '\n' ' ')" '0 a b '

# One command: streams and exit code.
run reeve run -- sh -c 'echo out; echo err >&2; exit 7'
equal 'its code and its streams' "$code $(cat "$tmp/out") $(cat "$tmp/err")" '7 out err'
run reeve run --host w1 -- true
equal 'on the agent of this name' "$code" 0
run reeve run -- sh -c 'kill -TERM $$'
equal 'ended by a signal' "$code" 143

# A job that runs is listed, and ends when it is cancelled.
out=$tmp/map.out err=$tmp/map.err background "$BUILD/reeve" map -- sleep ::: 61.$$ 62.$$ 63.$$
map=$started
check 'two of three run' wait_until sh -c "'$BUILD/reeve' jobs | grep -q 'running 2'"
check 'both slots are busy' sh -c "'$BUILD/reeve' status | grep -q '^agent *w1 .*slots 2 *busy 2'"
job=$(reeve jobs | sed -n 's/^job \([0-9]*\) .*running 2.*/\1/p')
run reeve cancel "$job"
equal 'cancel' "$code" 0
wait "$map"
equal 'the map that was cancelled' "$? $(grep -c 'cancelled' "$tmp/map.err")" '111 1'
check 'its commands are gone' wait_until sh -c "! pgrep -f '^sleep 6[123][.]$$\$'"
run reeve cancel 999999
says 'no such job' 1 '^reeve: cannot cancel job 999999: no such job; reeve jobs lists them$'

# Who waits for an agent is told, and a pool's function is not what was asked for.
background env --default-signal=INT "$BUILD/reeve" run --host nowhere -- true
lonely=$started
check 'it is told' wait_until grep -qx 'reeve: there is no agent nowhere now, and it is waited for; reeve status shows the agents' "$tmp/background.err"
stop "$lonely" INT
equal 'it waits until Ctrl-C' "$code" 130
run reeve run -- "$tmp/no-such-command"
says 'no such command' 3 '^reeve: cannot run [^ ]*/no-such-command: cannot start '

# Ctrl-C ends it everywhere. A shell without job control starts things deaf to it.
run timeout --preserve-status -s INT 2 "$BUILD/reeve" map -- sleep ::: 71.$$ 72.$$
equal 'Ctrl-C, which is told by the exit code alone' "$code$(cat "$tmp/err")" 130
check 'its commands are gone, too' wait_until sh -c "! pgrep -f '^sleep 7[12][.]$$\$'"

stop "$worker"
equal 'the agent drains' "$code" 0
stop "$server"
finish
