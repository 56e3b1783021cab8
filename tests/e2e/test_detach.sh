#!/bin/sh
# reeve map --detach and reeve attach: the manager goes on alone, and shows it to who asks.

. "$(dirname "$0")/lib.sh"

lines() { printf '%s\n' "$@"; }
data=$tmp/data
seq 300 >"$tmp/numbers"
new_key alice --role admin
new_key bob --rights 'open,run,list'
new_key carol --rights 'open,run,list'
new_key worker --role worker
start_manager --data "$data"
REEVE_KEY=$tmp/keys/bob.key
export REEVE_KEY

# start_agent NAME
start_agent() {
    out=$tmp/$1.out err=$tmp/$1.log background "$BUILD/reeve-worker" --manager "$REEVE_URL" \
        --key "$tmp/keys/worker.key" --slots 2 --name "$1"
}
start_agent w1
worker=$started
check 'an agent' wait_until sh -c "'$BUILD/reeve' status | grep -q '^agent'"

# It prints a name, says how to go on, and ends; the map does not.
run sh -c "'$BUILD/reeve' map --detach=night -- sh -c 'sleep 0.01; echo {} got {}; echo {} >>$tmp/ran' <'$tmp/numbers'"
equal 'the name' "$code $(cat "$tmp/out")" '0 night'
says 'how to go on' 0 'the manager has all 300 lines; reeve attach night shows their output'
run reeve attach -k night
sed 's/.*/& got &/' "$tmp/numbers" >"$tmp/wanted"
equal 'all of it, in order' "$code $(cmp "$tmp/out" "$tmp/wanted" 2>&1)" '0 '
run reeve attach --tag night
equal 'once more, as it came, with its lines' "$code $(sort -n "$tmp/out" | head -1)" \
    "0 $(printf '1\t1 got 1')"
equal 'all of it' "$(wc -l <"$tmp/out")" 300
equal 'each ran once' "$(sort -n "$tmp/ran" | cmp - "$tmp/numbers" 2>&1)" ''
check 'it is listed' sh -c "'$BUILD/reeve' jobs | grep -q 'night.*300 of 300 done.*ended'"

# The joblog, which --resume goes on with.
run reeve attach --joblog "$tmp/log" night
equal 'its joblog' "$code $(tail -n +2 "$tmp/log" | cut -f1 | sort -n | cmp - "$tmp/numbers" 2>&1)" '0 '
equal 'with the commands' "$(grep -c 'sleep 0.01; echo [0-9]* got' "$tmp/log")" 300
run reeve attach --resume --joblog "$tmp/log" night
prints 'nothing is new' ''

# Names.
run reeve map --detach=night -- true ::: 1
says 'a name that is taken' 100 'there is a job named night; reeve attach night shows it'
run reeve map --detach=17 -- true ::: 1
says 'a number is no name' 2 'is not a number'
run reeve map --detach -k -- true ::: 1
says 'what belongs to attach' 2 'these are for reeve attach'
run reeve attach nobody
says 'an unknown name' 1 'cannot attach to nobody: there is no job of this name'
REEVE_KEY=$tmp/keys/carol.key run reeve attach night
says 'the job of another key' 100 'cannot attach to night: the job belongs to another key'
REEVE_KEY=$tmp/keys/alice.key run reeve attach -k night
equal 'an admin sees it' "$code $(wc -l <"$tmp/out")" '0 300'
name=$(reeve map --detach -- echo ::: a b 2>"$tmp/err")
check 'a name was made' sh -c "case $name in map-??????) true ;; *) false ;; esac"
run reeve attach -k "$name"
prints 'and is good' "$(lines a b)"
run reeve rm "$name"
REEVE_KEY=$tmp/keys/alice.key run reeve rm "$name"
equal 'rm forgets it' "$code" 0
run reeve attach "$name"
equal 'it is forgotten' "$code" 1

# What fails, fails there, and tells. The log has the run in which it did.
run reeve map --detach=codes --retries 1 -- sh -c 'exit {}' ::: 0 7
run reeve attach codes
says 'how many failed' 3 '^reeve: 1 of 2 commands failed, the first item 2 \(7\): exit code 7; --joblog FILE lists all$'
run reeve logs codes
equal 'its log' "$code $(sed 's/  on .*pid [0-9]*//' "$tmp/out" | tr '\n' ';')" \
    '0 item 1  failed  run 1  exit code 7;item 1  failed  run 2  exit code 7;'
run reeve map --detach=bad --timeout 3s -- sh -c 'test {} = 1 || exec sleep 20' ::: 1 2
equal 'it is given' "$code" 0
run reeve attach bad
says 'who is late is named by its line' 3 'item 2 \(2\): it took longer than it might'
run reeve attach --joblog "$tmp/late" bad
equal 'its line and its command are in the joblog' \
    "$(grep -c "^2	.*sh -c test 2 = 1 || exec sleep 20$" "$tmp/late")" 1

# Ctrl-C ends the showing. Two show at a time. Neither ends the map, which goes on when it may. A shell
# without job control starts things deaf to Ctrl-C.
run sh -c "seq 60 | '$BUILD/reeve' map --detach=slow -- sh -c 'test {} -le 2 || until test -e $tmp/go; do sleep 0.05; done; echo {}'"
out=$tmp/out err=$tmp/err background env --default-signal=INT "$BUILD/reeve" attach slow
check 'it shows what is there' wait_until sh -c "test \$(wc -l <$tmp/out) = 2"
stop "$started" INT
says 'Ctrl-C' 130 'slow goes on; reeve attach slow shows it again'
out=$tmp/first err=$tmp/first.err background "$BUILD/reeve" attach -k slow
first=$started
out=$tmp/second err=$tmp/second.err background "$BUILD/reeve" attach -k slow
second=$started
out=$tmp/third err=$tmp/third.err background "$BUILD/reeve" attach slow
stop "$started" KILL
touch "$tmp/go"
wait "$first"
equal 'the first' "$? $(seq 60 | cmp - "$tmp/first" 2>&1)" '0 '
wait "$second"
equal 'the second' "$? $(seq 60 | cmp - "$tmp/second" 2>&1)" '0 '

# The manager and the agent are killed in between, and the reader waits for them.
run sh -c "seq 100 | '$BUILD/reeve' map --detach=long -- sh -c 'sleep 0.05; echo {}'"
out=$tmp/reader err=$tmp/reader.err background "$BUILD/reeve" attach -k long
reader=$started
check 'it has begun' wait_until sh -c "'$BUILD/reeve' jobs | grep -q 'long.* [1-9][0-9]* of 100 done'"
stop "$manager" KILL
stop "$worker" KILL
rm -f "$tmp/ready"
mkfifo "$tmp/ready"
"$BUILD/reeve-server" --bind "$REEVE_URL" --keys "$tmp/manager" --ready-fd 3 --data "$data" \
    3>"$tmp/ready" >"$tmp/manager.out" 2>"$tmp/manager.log" &
manager=$!
running="$running $manager"
read -r line <"$tmp/ready"
start_agent w1
worker=$started
wait "$reader"
equal 'the reader has it' "$? $(seq 100 | cmp - "$tmp/reader" 2>&1)" '0 '
run reeve attach -k night
equal 'what was done before is there' "$code $(cmp "$tmp/out" "$tmp/wanted" 2>&1)" '0 '

# Cancelled: what is done is shown, and how it ended.
run sh -c "'$BUILD/reeve' map --detach=off -- sleep ::: 0 60 61"
check 'one is done' wait_until sh -c "'$BUILD/reeve' jobs | grep -q 'off.* 1 of 3 done'"
run reeve cancel off
run reeve attach off
says 'cancelled' 3 'cannot attach to off: cancelled; what had not ended by then was not run'

# Who is killed before all is given takes it along.
mkfifo "$tmp/endless"
out=$tmp/giver err=$tmp/giver.err background sh -c "exec '$BUILD/reeve' map --detach=half -- echo <'$tmp/endless'"
giver=$started
exec 4>"$tmp/endless"
seq 1000 >&4
check 'some of it is there' wait_until sh -c "'$BUILD/reeve' jobs | grep -q ' half .*so far done'"
stop "$giver" KILL
exec 4>&-
check 'it is over' wait_until sh -c "'$BUILD/reeve' jobs | grep -q ' half .*ended: the session that gave it'"

stop "$worker"
equal 'the agent drains' "$code" 0
stop "$manager"

# Without a manager there is nobody to leave it to.
unset REEVE_URL REEVE_KEY
run reeve map --detach -- true ::: 1
equal 'no manager' "$code" 100
finish
