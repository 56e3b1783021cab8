#!/bin/sh
# A manager with a log is killed a hundred times under load, ended in order, found damaged; what it
# acknowledged is there each time, once, and who waited goes on waiting.
. tests/e2e/lib.sh

kills=${KILLS:-100}
data=$tmp/data
new_key alice --role admin
new_key worker --role worker
start_manager --data "$data"
REEVE_KEY=$tmp/keys/alice.key
export REEVE_KEY
logs=$tmp/logs

# start_again: at the same address, in the same folder.
start_again() {
    cat "$tmp/manager.log" >>"$logs"
    rm -f "$tmp/ready"
    mkfifo "$tmp/ready"
    "$BUILD/reeve-server" --bind "$REEVE_URL" --keys "$tmp/manager" --ready-fd 3 --data "$data" \
        3>"$tmp/ready" 4>&- 5<&- >"$tmp/manager.out" 2>"$tmp/manager.log" &
    manager=$!
    running="$running $manager"
    read -r line <"$tmp/ready"
}
# kill_rounds N: the load goes on and its manager is killed, so often; then the load ends, as we do.
kill_rounds() {
    round=0
    while [ $round -lt "$1" ]; do
        printf x >&4
        read -r line <&5 # it goes on
        pause 0.1
        stop "$manager" KILL
        start_again
        round=$((round + 1))
    done
    exec 4>&-
    read -r result <&5
    wait "$load"
}
pause() { python3 -c 'import random, time; time.sleep(random.random() * float("'"$1"'"))'; }

# ---- killed, again and again ----

mkfifo "$tmp/ask" "$tmp/told"
"$BUILD/tests/e2e/durable_load" <"$tmp/ask" >"$tmp/told" 2>"$tmp/trouble" &
load=$!
running="$running $load"
exec 4>"$tmp/ask" 5<"$tmp/told"
read -r line <&5
seq 1 1000 >"$tmp/numbers"
out=$tmp/worker.out err=$tmp/worker.log background "$BUILD/reeve-worker" --manager "$REEVE_URL" \
    --key "$tmp/keys/worker.key" 4>&- 5<&-
worker=$started
"$BUILD/reeve" map -k -- sh -c 'sleep 0.02; echo {}' \
    <"$tmp/numbers" >"$tmp/mapped" 2>"$tmp/map.err" 4>&- 5<&- &
map=$!
running="$running $map"
kill_rounds "$kills"
equal 'nothing was lost, doubled or refused, in queues and containers' $? 0
echo "    $result"
wait "$map"
equal 'a map went through all of it' $? 0
check 'each of its lines has one result' cmp "$tmp/numbers" "$tmp/mapped"
sed 's/^/    /' "$tmp/trouble" | head -n 20
cat "$tmp/manager.log" >>"$logs"
sed -n 's/.*log.open .* ms=\([0-9]*\) .*/\1/p' "$logs" | sort -n |
    awk '{ t[NR] = $1 } END { printf "    %d starts: recovery in %d ms, at most %d ms\n", NR, t[int((NR + 1) / 2)], t[NR] }'

stop "$worker" KILL

# ---- the same with nothing but containers that survive the end of the process ----

reeve rm book rows moves total
"$BUILD/tests/e2e/durable_load" alone <"$tmp/ask" >"$tmp/told" 2>"$tmp/trouble" &
load=$!
running="$running $load"
exec 4>"$tmp/ask" 5<"$tmp/told"
read -r line <&5
kill_rounds $((kills / 5))
equal 'what containers answered survives the end of the process, without anybody else' $? 0
echo "    $result"
sed 's/^/    /' "$tmp/trouble" | head -n 20

# ---- ended in order: no client hears an end, a wait goes on ----

"$BUILD/reeve" get late --timeout 60 >"$tmp/late" 2>"$tmp/err" &
waiter=$!
running="$running $waiter"
waits() { reeve ls late 2>/dev/null | grep -q late; }
reeve put late first >/dev/null 2>&1
wait_until sh -c "grep -q first '$tmp/late'"
wait "$waiter"
reeve put --joinable kept one two three
for level in none os sync; do
    reeve put -v --durable "$level" "level-$level" x 2>"$tmp/err"
    check "a put says that it survives: $level" grep -q "durable: $level\$" "$tmp/err"
done
run reeve put --durable os level-sync x
equal 'a queue has one level' "$code" 100
run reeve put --durable never level-sync x
equal 'of three' "$code" 2
stop "$manager" TERM
equal 'a manager that is told to end does' "$code" 0
start_again
check 'it says that it was ended in order' grep -q 'log.open .*end=ordered' "$tmp/manager.log"
equal 'what it held is there' "$(reeve get kept | tr '\n' ' ')" 'one two three '
stop "$manager" TERM

# ---- the tools: of a manager that runs ----

start_again
reeve put kept six seven
run reeve log verify "$data"
equal 'a log is verified while it is written' "$code" 0
check 'its state is shown' grep -q '^state .* objects' "$tmp/out"
run reeve log dump "$data"
check 'its commands are listed' grep -q messages "$tmp/out"
check 'a backup is made of it' reeve backup "$data" "$tmp/backup"
run reeve backup "$data" "$tmp/backup"
equal 'not over another one' "$code" 100
check 'a backup can be verified' reeve log verify "$tmp/backup"
reeve put kept eight
check 'and brought back' reeve restore "$tmp/backup" "$tmp/restored"
stop "$manager" TERM
before=$data
data=$tmp/restored
start_again
equal 'it has what there was then' "$(reeve get kept | tr '\n' ' ')" 'six seven '
stop "$manager" TERM
data=$before

# ---- two managers of one folder ----

start_again
run "$BUILD/reeve-server" --bind tcp://127.0.0.1:0 --keys "$tmp/manager" --data "$data"
equal 'a second one is refused' "$code" 100
check 'and says why' grep -q 'another reeve-server has it' "$tmp/err"
reeve put kept four five
stop "$manager" TERM

# ---- damage ----

segment=$(ls "$data"/log.* | tail -n 1)
printf '\377' | dd of="$segment" bs=1 seek=200 conv=notrunc 2>/dev/null
run "$BUILD/reeve-server" --bind tcp://127.0.0.1:0 --keys "$tmp/manager" --data "$data"
equal 'a damaged log is refused' "$code" 100
check 'by file and offset' grep -q "$(basename "$segment") is damaged at offset" "$tmp/err"
run reeve log verify "$data"
equal 'the tool refuses it, too' "$code" 100
check 'in the same words' grep -q "cannot verify .*$data.*$(basename "$segment") is damaged at offset" "$tmp/err"

# ---- what the tools say of folders that are none ----

says() {
    what=$1
    words=$2
    shift 2
    run reeve "$@"
    check "$what" grep -q "$words" "$tmp/err"
}
mkdir "$tmp/none"
says 'no log' 'cannot verify the log in the folder .*none: .* holds no log' log verify "$tmp/none"
says 'no folder' 'cannot read the log in the folder .*/lost: No such file' log stat "$tmp/lost"
says 'no such word' 'it wants verify, stat or dump, not show' log show "$data"
equal 'which is a mistake on the command line' "$code" 2
touch "$tmp/none/mine"
says 'not empty' 'cannot write a copy to the folder .*none: it is not empty' restore "$tmp/backup" "$tmp/none"
run "$BUILD/reeve-server" --repair truncate
check 'a repair of nothing' grep -q 'wants --data' "$tmp/err"

finish
