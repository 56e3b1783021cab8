#!/bin/sh
# kill -9 of producers and consumers under load: nothing that was accepted is lost, and only what
# was redelivered is seen twice.
. tests/e2e/lib.sh

numbers=40000

new_key alice
start_manager
REEVE_KEY=$tmp/keys/alice.key
REEVE_RESUME_MS=500 # what a killed process held comes back after half a second
export REEVE_KEY REEVE_RESUME_MS

cat >"$tmp/field.py" <<'END'
import json, sys
for o in json.load(sys.stdin):
    if o["name"] == sys.argv[1]:
        print(*(o[name] for name in sys.argv[2:]))
END
field() { reeve ls --json "$1" | python3 "$tmp/field.py" "$@"; }
manager_field() {
    reeve status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["manager"][sys.argv[1]])' "$1"
}
sessions() { [ "$(manager_field sessions)" = "$1" ]; }
lines() { [ -f "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ]; }

# ---- a killed producer: what it put is the beginning of its input, without a gap ----

mkfifo "$tmp/endless"
seq 1 100000000 >"$tmp/endless" 2>/dev/null &
running="$running $!"
"$BUILD/reeve" put stream <"$tmp/endless" 2>"$tmp/err" &
producer=$!
running="$running $producer"
enough() {
    size=$(field stream size)
    [ "${size:-0}" -gt 5000 ]
}
wait_until enough
stop "$producer" KILL
equal 'the producer was killed' "$code" 137
wait_until sessions 1
reeve get stream >"$tmp/got"
seq 1 "$(wc -l <"$tmp/got")" >"$tmp/wanted"
check 'what it put has no gap' cmp "$tmp/got" "$tmp/wanted"
check 'and was much' lines "$tmp/got" 5000
rm -f "$tmp/got" "$tmp/wanted"

# ---- killed consumers of a joinable queue: nothing is lost ----

seq 1 $numbers >"$tmp/numbers"
"$BUILD/reeve" put --joinable --maxsize 2000 tasks <"$tmp/numbers" 2>"$tmp/err" &
producer=$!
running="$running $producer"
wait_until sh -c "'$BUILD/reeve' ls tasks | grep -q tasks"

# consumer I: its lines go to got.I, its id is in $started
consumer() {
    out=$tmp/got.$1 err=$tmp/trouble.$1 background "$BUILD/reeve" get --follow tasks
}

round=1
kills=0
consumer 1
older=$started
while [ $round -lt 8 ]; do
    consumer $((round + 1))
    newer=$started
    wait_until lines "$tmp/got.$round" 200 || break
    stop "$older" KILL
    [ "$code" != 137 ] || kills=$((kills + 1))
    older=$newer
    round=$((round + 1))
done
consumer 99
last=$started
wait "$producer"
equal 'the producer got rid of everything' $? 0
all_done() { [ "$(field tasks size unfinished)" = '0 0' ]; }
wait_until all_done
equal 'everything is done' "$(field tasks size unfinished)" '0 0'
reeve shutdown --queue tasks
wait "$older"
equal 'a consumer that was not killed ends well' $? 0
wait "$last"
equal 'the last one too' $? 0
check 'several were killed in the middle' test $kills -ge 3

cat >"$tmp/count.py" <<'END'
import sys
numbers, redelivered, names = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
seen = {}
for name in names:
    text = open(name).read()
    for line in text.split("\n")[:-1]:      # without the line that a kill has cut
        seen[int(line)] = seen.get(int(line), 0) + 1
missing = [n for n in range(1, numbers + 1) if n not in seen]
strange = [n for n in seen if not 1 <= n <= numbers]
twice = sum(count - 1 for count in seen.values())
print(f"missing {len(missing)} strange {len(strange)}")
print(f"twice {twice} redelivered {redelivered}", file=sys.stderr)
if twice > redelivered:
    print(f"{twice} came twice, but {redelivered} were redelivered")
END
equal 'nothing is lost, and only what was redelivered came twice' \
    "$(python3 "$tmp/count.py" $numbers "$(manager_field redelivered)" "$tmp"/got.* 2>"$tmp/counts")" \
    'missing 0 strange 0'
echo "killed $kills consumers: $(cat "$tmp/counts")"

# ---- a consumer that is stopped politely gives back what it has not written ----

reeve put --joinable polite <"$tmp/numbers"
out=$tmp/polite.1 background "$BUILD/reeve" get --follow polite
polite=$started
wait_until lines "$tmp/polite.1" 1000
stop "$polite" TERM
equal 'SIGTERM ends follow' "$code" 0
reeve get polite >"$tmp/polite.2"
cat "$tmp/polite.1" "$tmp/polite.2" >"$tmp/both"
check 'both parts together are all, in order, once' cmp "$tmp/both" "$tmp/numbers"

kill -TERM "$manager"
wait "$manager"
equal 'the manager is well' $? 0
finish
