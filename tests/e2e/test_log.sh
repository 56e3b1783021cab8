#!/bin/sh
# The tools of a log whose manager has had objects of all kinds: what dump says of each record, and a backup
# that is made under load and started.
. tests/e2e/lib.sh

data=$tmp/data
new_key alice --role admin
new_key worker --role worker
start_manager --data "$data"
REEVE_KEY=$tmp/keys/alice.key
export REEVE_KEY

# ---- one of each ----

# A consumer that never says that an item is done.
cat >"$tmp/holder.c" <<'END'
#include <reeve.h>
#include <unistd.h>
int main(void)
{
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    reeve_value *item = NULL;
    if (reeve_open(&ctx, &(reeve_options){.resume_ms = 100}) != REEVE_OK ||
        reeve_queue_open(&q, ctx, "mortal", &(reeve_queue_options){.joinable = true}) != REEVE_OK ||
        reeve_queue_get(&item, q, 20000) != REEVE_OK || reeve_ping(ctx, 5000) != REEVE_OK)
        return 1;
    _exit(0);
}
END
${CC:-cc} -std=c11 -D_GNU_SOURCE -Iinclude "$tmp/holder.c" -o "$tmp/holder" \
    -L"$BUILD" -lreeve -Wl,-rpath,"$BUILD" || exit 1

{
    out=$tmp/worker.out err=$tmp/worker.err background "$BUILD/reeve-worker" --manager "$REEVE_URL" \
        --key "$tmp/keys/worker.key"
    reeve put plain one two three
    reeve put "$(printf 'a\302\23331m"b')" odd
    reeve put --durable os level-os x
    reeve put --joinable kept a b c
    reeve get kept -n 1
    reeve put --joinable --deliveries 1 mortal poison
    "$tmp/holder"
    reeve dict dict set k '{"a": [1, 2]}'
    reeve list list append 1 2 3
    reeve set set add x y
    reeve value value set 7
    reeve array array --typecode q --length 4
    reeve array array set 1 5
    reeve namespace namespace set at 3
    reeve event set event
    reeve lock lock -- true
    reeve sem sem 2 -- true
    reeve map -- echo ::: a b
    reeve map --detach=done -- echo ::: a b c
    background "$BUILD/reeve" lock held -- sleep 60
    background "$BUILD/reeve" barrier barrier 2
    reeve map --detach=slow -- sleep ::: 60 60 60 60
} >/dev/null 2>&1
wait_until sh -c "'$BUILD/reeve' dead ls mortal 2>/dev/null | grep -q poison" || bad 'an item is dead'
wait_until sh -c "'$BUILD/reeve' jobs | grep -q 'done .* 3 of 3 done'" || bad 'a job is done'
wait_until sh -c "'$BUILD/reeve' jobs | grep -q 'slow .* running [1-9]'" || bad 'another one runs'

# ---- what dump says ----

run reeve log dump "$data"
equal 'the log of a manager that runs is listed' "$code" 0
cp "$tmp/out" "$tmp/dump"
lists() {
    check "dump lists $1" grep -qE \
        "^ +[0-9]+  2[0-9-]+T[0-9:.]+Z  life 1  flush [0-9]+[. ] +[0-9]+ bytes  $2\$" "$tmp/dump"
}
lists 'the beginning of a life' 'restart  term 1'
lists 'a key' 'principal  principal [0-9]+  key "alice"  role "admin"'
lists 'a client' 'open  principal [0-9]+  host ".+"( .this one.)?  pid [0-9]+  program "reeve"'
lists 'a client that died' '(detach  session [0-9]+  attempt 1|end  session [0-9]+  because: .+)'
lists 'a deadline' 'expire  a deadline has come'
lists 'an acknowledgement' 'messages  session [0-9]+(  durable none)?  acknowledges [0-9]+'
message() { lists "$1" "messages  session [0-9]+( .*)?  from message [0-9]+: $2"; }
message 'a queue' 'object_open "plain"'
message 'a name without what a terminal would obey' 'object_open "a[?]31m[?]b"'
message 'a put' 'queue_put [0-9]+'
lists 'a level' 'messages  session [0-9]+  durable os  from message [0-9]+: queue_put [0-9]+'
message 'an item that is done' 'queue_take [0-9]+, queue_task_done [0-9]+'
message 'a change of a dict' 'dict_set [0-9]+'
message 'a batch' 'batch'
message 'a change of a set' 'set_add [0-9]+'
message 'a change of a list' 'list_set [0-9]+'
message 'a lock' 'lock_acquire [0-9]+'
message 'an event' 'event_set [0-9]+'
message 'a barrier' 'barrier_wait [0-9]+'
message 'a job' 'job_open "slow"'
message 'results' 'agent_item [0-9]+( x[0-9]+)?'
message 'the end of a session' 'goodbye'
run grep -E 'operation [0-9]|[?]$' "$tmp/dump"
equal 'and has a name for everything' "$code" 1
run grep poison "$tmp/dump"
equal 'nor does it tell what is in an item' "$code" 1

# ---- a backup under load ----

mkfifo "$tmp/numbers"
"$BUILD/reeve" put load <"$tmp/numbers" &
load=$!
running="$running $load"
python3 -c 'for i in range(1, 10**9): print(i, flush=i % 100 == 0)' >"$tmp/numbers" 2>/dev/null &
numbers=$!
running="$running $numbers"
has_items() { reeve ls load 2>/dev/null | awk '$1 == "load" && $4 >= 100 { ok = 1 } END { exit !ok }'; }
wait_until has_items || bad 'items come'
for n in 1 2 3; do
    check 'a backup is made under load' reeve backup "$data" "$tmp/backup$n"
done
kill "$load" "$numbers"
wait "$load" "$numbers" 2>/dev/null
check 'it is whole' reeve log verify "$tmp/backup3"
run reeve log dump "$tmp/backup3"
equal 'there is nothing to dump of it' "$(cat "$tmp/out")" ''
check 'which is told' grep -q 'no commands behind snapshot [0-9]*, which holds the state' "$tmp/err"
portrait() {
    for kind in 'dict dict' 'list list' 'set set' 'value value' 'array array' 'namespace namespace'; do
        # shellcheck disable=SC2086
        reeve $kind
    done
    reeve ls | grep -vE '^(load|slow|barrier|held) ' | sed 's/ttl [^ ,]* [0-9hms]*//'
    reeve jobs | sed -nE 's/.*(done  .*)   agents .*ended/\1/p'
    reeve dead ls mortal | sed 's/  [0-9.]* [a-z]* ago//'
}
portrait >"$tmp/before"
stop "$manager" TERM
run reeve log dump "$data"
equal 'the last line is the end in order' "$(tail -n 1 "$tmp/out" | sed 's/^ *[0-9]*  //')" 'ended in order'
state() { reeve log stat "$1" | sed -n 's/^state .*hash \([0-9a-f]*\):.*/\1/p'; }
check 'a backup of it' reeve backup "$data" "$tmp/ended"
equal 'has the state of the log' "$(state "$tmp/ended")" "$(state "$data")"

rm -f "$tmp/ready"
mkfifo "$tmp/ready"
"$BUILD/reeve-server" --bind "$REEVE_URL" --keys "$tmp/manager" --ready-fd 3 --data "$tmp/backup3" \
    3>"$tmp/ready" >"$tmp/manager.out" 2>"$tmp/manager.log" &
manager=$!
running="$running $manager"
read -r line <"$tmp/ready"
check 'a manager starts from it' grep -q 'log.open .* records=0 .*end=snapshot' "$tmp/manager.log"
portrait >"$tmp/after"
check 'with the same objects' diff "$tmp/before" "$tmp/after"
reeve get load >"$tmp/load"
check 'and what had been put by then, without a gap' sh -c "test -s '$tmp/load' &&
    seq \$(wc -l <'$tmp/load') | cmp - '$tmp/load'"
check 'it has a job that goes on' sh -c "'$BUILD/reeve' jobs | grep -q 'slow '"

# ---- damage: what was listed is not listed again ----

stop "$manager" KILL
segment=$(ls "$data"/log.* | tail -n 1)
printf '\377' | dd of="$segment" bs=1 seek=2000 conv=notrunc 2>/dev/null
run reeve log dump "$data"
equal 'a damaged log ends with its code' "$code" 100
equal 'what is before the damage is listed once' "$(sort "$tmp/out" | uniq -d | wc -l)" 0
check 'and there is some' grep -q 'restart  term 1' "$tmp/out"

finish
