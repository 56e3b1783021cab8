#!/bin/sh
# reeve dict, list, set, value, array, namespace and show: containers for scripts.
# row: T12 T13 T14 T15 T16 T17
. tests/e2e/lib.sh

new_key alice
start_manager
REEVE_KEY=$tmp/keys/alice.key
export REEVE_KEY

# gives WANTED ARGUMENT...: reeve with these prints that, with ; for the ends of its lines.
gives() {
    wanted=$1
    shift
    run reeve "$@"
    equal "reeve $*" "$code $(tr '\n' ';' <"$tmp/out")$(cat "$tmp/err")" "0 $wanted"
}
# refused CODE PATTERN ARGUMENT...
refused() {
    wanted=$1 pattern=$2
    shift 2
    run reeve "$@"
    says "reeve $*" "$wanted" "$pattern"
}

# ---- every verb that the help names is there ----

for type in dict list set value array namespace; do
    for verb in $(reeve $type --help | sed -n '/^  [a-z]/{s/^  //;s/  .*//;s/, /\n/g;p;}' | sed 's/ .*//'); do
        run reeve $type x "$verb" 1 2 3 4 --follow
        equal "$type $verb is a verb" "$code $(grep -c 'no such verb' "$tmp/err")" '2 0'
    done
done
refused 2 '^reeve: cannot fly a dict: there is no such verb; see reeve dict --help$' dict d fly
refused 1 '^reeve: cannot open dict d: no such object; ' dict d

# ---- dict ----

gives '' dict d set alice 7
gives '' dict d set bob seven
gives '' dict d set 5 '[1, {"a": null}]'
gives '7;' dict d get alice
gives 'seven;' dict d get bob
gives '"seven";' dict d get bob --json
gives '{"alice": 7, "bob": "seven", "5": [1, {"a": null}]};' dict d
gives 'alice;bob;5;' dict d keys
gives "$(printf 'alice\t7;bob\tseven;5\t[1, {"a": null}];')" dict d items
gives '3;' dict d len
refused 1 '^reeve: cannot get carol of dict d: no such key$' dict d get carol
gives '5;' dict d add alice -2
refused 100 '^reeve: cannot add bob of dict d: only to a number can be added$' dict d add bob 1
refused 2 '^reeve: cannot add x: it is not a number; ' dict d add alice x
gives '' dict d cas alice 5 6
run reeve dict d cas alice 5 8
equal 'a cas that is late prints what is there' "$code $(cat "$tmp/out" "$tmp/err")" '1 6'
refused 1 'cannot cas carol of dict d: no such key' dict d cas carol 1 2
gives 'true;' dict d has alice
run reeve dict d has carol
equal 'no is 1' "$code $(cat "$tmp/out" "$tmp/err")" '1 false'
gives '1;' dict d setdefault carol 1
gives '1;' dict d setdefault carol 2
refused 1 'cannot del dan of dict d: no such key' dict d del carol dan
gives 'seven;' dict d pop bob
gives "$(printf '5\t[1, {"a": null}];')" dict d popitem
gives '' dict d clear
refused 1 '^reeve: cannot popitem dict d: it is empty$' dict d popitem

# What is JSON, and what is a text.
for text in 007 seven 12345678901234567890123 1e999 .5 1. 2024-01-02 '' "'x'" nul; do
    gives '' dict words set x "$text"
    gives "\"$text\";" dict words get x --json
done
for json in 7 -1 18446744073709551615 null '"7"' '[]' '{"pairs": [[1, 2]]}'; do
    gives '' dict words set x "$json"
    gives '' dict words cas --json x "$json" '"same"'
done
gives '' dict words set --text 7 7
gives '"7";' dict words get --text 7 --json
refused 1 'no such key' dict words get 7
refused 100 'cannot set z: not JSON at character 1: .*; without --json it is a text' dict words set --json z z
gives '' dict words set --text --json 8 8
gives '8;' dict words get --text 8
gives '' dict words set -- -k -v
gives '-v;' dict words get -- -k

# Load takes what dump gives, whatever the keys are.
gives '' dict odd update '{"a": 1, "b": {"bytes": "AAEC"}}' '{"c": "x"}'
gives '' dict odd set '[1, "k"]' 1.5
gives '' dict odd set --text 1 one
gives '' dict odd set 1 eins
reeve dict odd dump >"$tmp/odd"
equal 'keys that are no texts are kept' "$(cat "$tmp/odd")" \
    '{"pairs": [["a", 1], ["b", {"bytes": "AAEC"}], ["c", "x"], [[1, "k"], 1.5], ["1", "one"], [1, "eins"]]}'
reeve dict again load <"$tmp/odd"
gives "$(cat "$tmp/odd");" dict again dump
for key in bytes pairs; do
    gives '' dict $key set $key '[[1, 2]]'
    reeve dict $key dump | reeve dict $key-2 load
    gives "{\"pairs\": [[\"$key\", [[1, 2]]]]};" dict $key-2 dump
done
# In parts, if it is large; a part with one pair is one, whatever that is called.
python3 -c 'import json
print(json.dumps({"bytes": "x" * 1100000, "pairs": [[1, 2]] * 150000, "z": 1}))' | reeve dict parts load
gives 'bytes;pairs;z;' dict parts keys
equal 'whole' "$(reeve dict parts get bytes | wc -c) $(reeve dict parts get pairs --json | wc -c)" '1100001 1200001'
python3 -c 'import json
print(json.dumps({"pairs": [[i, "x" * 1000] for i in range(3000)]}))' | reeve dict ints load
gives '3000;' dict ints len
gives 'true;' dict ints has 2999
python3 -c 'import json
print(json.dumps(["x" * 1000] * 3000))' | reeve list parts-2 load
gives '3000;' list parts-2 len
echo '[1]' | reeve dict again load 2>"$tmp/err"
code=$?
says 'a dict is loaded from an object' 100 'cannot load standard input: it is not a JSON object'
echo '{"a": 1' | reeve dict again load 2>"$tmp/err"
code=$?
says 'which must be JSON' 100 'cannot load standard input: not JSON at character [0-9]+: '

# ---- list ----

gives '' list l append 3 1 two 1
gives '[3, 1, "two", 1];' list l
gives '1;' list l get -1
gives '1;two;' list l slice 1:3
gives '1;1;' list l slice 1::2
gives '1;two;1;3;' list l slice ::-1
refused 2 'cannot slice 3: it is not a slice, as ' list l slice 3
refused 1 '^reeve: cannot get 4 of list l: index out of range$' list l get 4
refused 2 '^reeve: cannot get x: it is not an index, as 0 or -1; ' list l get x
gives '2;' list l count 1
gives '2;' list l index two
refused 1 '^reeve: cannot index three of list l: no such value$' list l index three
refused 1 '^reeve: cannot remove three of list l: no such value$' list l remove three
gives '' list l remove two
gives '' list l sort
gives '[1, 1, 3];' list l
gives '' list l sort --reverse
gives '3;' list l get 0
gives '' list l reverse
gives '8;' list l add -1 5
gives '' list l cas -1 8 9
gives '' list l insert 0 first
gives '' list l set 1 second
gives 'first;' list l pop 0
gives '9;' list l pop
gives '' list l del 0
gives '' list l del :1
gives '[];' list l
refused 1 '^reeve: cannot pop list l: it is empty$' list l pop
seq 1 2500 | reeve list long append
gives '2500;' list long len
gives '1;2500;' list long slice ::2499
reeve list long dump | reeve list other load
equal 'a list is loaded as it was dumped' "$(reeve list other)" "$(reeve list long)"
printf '1\n2\nx\n' | reeve list some append --json 2>"$tmp/err"
code=$?
says 'a bad line is told' 100 'not JSON at character 1' 2
check 'and which it was' grep -q '^reeve: the lines before line 3 were taken$' "$tmp/err"
gives '[1, 2];' list some
refused 100 'cannot open list d: object or value of another type; ' list d

# ---- places inside a value ----

gives '' dict places set db '{"hosts": ["a"], "port": 1, "deep": {"x": [1, 2]}}'
gives 'a;' dict places get db --at '["hosts", 0]'
gives '1;' dict places get db --at port
gives '2;' dict places get db --at '["deep", "x", -1]'
gives '' dict places append-at db b --at hosts
gives '' dict places set db two --at '["deep", "y"]'
gives '4;' dict places add db 3 --at port
gives '' dict places del db --at '["deep", "x", 0]'
gives '{"hosts": ["a", "b"], "port": 4, "deep": {"x": [2], "y": "two"}};' dict places get db
refused 1 '^reeve: cannot get db at \["hosts", 7\] of dict places: no such ' dict places get db --at '["hosts", 7]'
refused 1 '^reeve: cannot set no at port of dict places: no such key$' dict places set no 1 --at port
refused 100 'cannot append-at db at port of dict places' dict places append-at db 1 --at port
refused 2 '^reeve: cannot take --at \["hosts: not JSON' dict places get db --at '["hosts'
refused 2 '^reeve: cannot take --at: it goes with get, set' dict places pop db --at port
gives '' list lp append '[1, [2]]'
gives '' list lp append-at 0 x
gives '' list lp append-at -1 3 --at 1
gives '3;' list lp get 0 --at '[1, 1]'
gives '' list lp set 0 y --at 0
gives '12;' list lp add 0 10 --at '[1, 0]'
gives '' list lp del 0 --at 2
gives '["y", [12, 3]];' list lp get 0

# ---- bytes that it may take ----

gives '' dict bounded set a 1 --max-bytes 4K
gives '' dict bounded set b "$(head -c 1000 /dev/zero | tr '\0' b)"
refused 111 'has the bytes that it may have; bounds are --max-bytes of an object, ' dict bounded set c "$(head -c 4000 /dev/zero | tr '\0' c)"
gives 'a;b;' dict bounded keys
refused 2 '^reeve: cannot take --max-bytes 4k: it is a number of bytes, as ' dict bounded set c 1 --max-bytes 4k

# ---- set: who is the first hears of it ----

gives 'a;b;' set s add a b a
gives 'c;' set s add a c
gives '["a", "b", "c"];' set s
equal 'a pipeline adds lines' "$(printf 'c\nd\nd\n' | reeve set s add)" d
gives 'a;b;c;d;' set s members
gives 'true;' set s has a
run reeve set s has z
equal 'no is 1' "$code $(cat "$tmp/out" "$tmp/err")" '1 false'
gives '' set s discard z
refused 1 '^reeve: cannot remove z of set s: no such member$' set s remove a z
gives 'd;' set s pop
gives '2;' set s len
reeve set s dump | reeve set t load
gives '["b", "c"];' set t

# ---- value, array, namespace ----

gives '' value v set '{"a": 1}'
gives '{"a": 1};' value v
gives '2;' value hits add 2
refused 100 '^reeve: cannot set value hits: the value is not of the type' value hits set x
gives '2.5;' value sum add 2.5
gives '' value hits cas 2 3
run reeve value hits cas 2 3
equal 'a value that is another' "$code $(cat "$tmp/out" "$tmp/err")" '1 3'

refused 100 '^reeve: cannot make array a: it wants --typecode and --length$' array a --create
refused 2 'it wants --typecode and --length' array a --create --typecode q
gives '[0.0, 0.0, 0.0];' array a --create --typecode d --length 3
gives '' array a set -1 2
gives '1.5;' array a add 0 1.5
gives '0.0;2.0;' array a slice 1:
gives '3;' array a len
refused 1 'cannot get 3 of array a: index out of range' array a get 3
reeve array a dump | reeve array b load --typecode d --length 3
gives '[1.5, 0.0, 2.0];' array b
echo '[1, 2, "x"]' | reeve array b load 2>"$tmp/err"
code=$?
says 'a value of another type is told' 100 'cannot load value 3 of array b: the value is not of the type'
gives '[1.5, 0.0, 2.0];' array b

gives '' namespace n set limit 5
gives '' namespace n set 7 '"x"'
gives '7;' namespace n add limit 2
gives '{"limit": 7, "7": "x"};' namespace n
gives 'limit;7;' namespace n names
refused 1 '^reeve: cannot get most of namespace n: no such attribute$' namespace n get most
reeve namespace n dump | reeve namespace m load
gives "$(printf 'limit\t7;7\tx;')" namespace m items
gives '' namespace m del limit 7
gives '{};' namespace m

# ---- show, ls ----

# shows NAME PATTERN...: a line for each.
shows() {
    run reeve show "$1"
    equal "show $1" "$code $(cat "$tmp/err")" '0 '
    shift
    for line in "$@"; do check "it has $line" grep -qxE -- "$line" "$tmp/out"; done
}
gives '' dict seen set '["k"]' '{"a": "b"}' --ttl 1h
shows seen 'dict seen   pairs 1   .* B   object [0-9]+   open in 0 sessions' \
    'it goes when nobody has had it open for 1h 0m' '  \["k"\]: \{"a": "b"\}'
shows hits 'Value hits   typecode q   .*' '  3'
shows long '  1' '  100' '  and 2400 more: --all shows them'
equal 'or all' "$(reeve show long --all | grep -c '^  ')" 2500
shows t 'set t   members 2   .*' '  "b"'
shows a 'Array a   typecode d   values 3   .*' '  1\.5'
shows n 'Namespace n   attributes 2   .*' '  "limit": 7'
background "$BUILD/reeve" lock mutex -- sleep 60
held() { reeve show mutex 2>/dev/null | grep -q '^holds'; }
check 'show tells who holds a lock' wait_until held
stop "$started"
reeve put q x
shows q 'Queue q   fifo   items 1   .*'
refused 1 '^reeve: cannot show nobody: no such object; ' show nobody
contents() { reeve show "$1" --json | python3 -c 'import json, sys; m = json.load(sys.stdin); print(m["type"], m["size"], json.dumps(m["contents"]), len(m["who"]))'; }
equal 'for programs' "$(contents seen) $(contents t) $(contents hits)" \
    'dict 1 {"[\"k\"]": {"a": "b"}} 0 set 2 ["b", "c"] 0 Value 1 3 0'
equal 'and a hundred of them' "$(contents long)" "list 2500 [$(seq 1 100 | tr '\n' ' ' | sed 's/ $//; s/ /, /g')] 0"
reeve ls >"$tmp/ls"
check 'ls has the typecode' grep -qE '^a +Array +d +3 +3 ' "$tmp/ls"
check 'and how long one stays' grep -qE '^seen +dict +ttl 1h 0m +1 ' "$tmp/ls"

# ---- --follow: no change is waited for by asking again and again ----

lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }
gives '' dict f set other 1
waiters() { [ "$(reeve ls f --json | sed -E 's/.*"getters": ([0-9]+).*/\1/')" = 2 ]; }
out=$tmp/key background "$BUILD/reeve" dict f get k --follow
key=$started
out=$tmp/whole background "$BUILD/reeve" dict f --follow
whole=$started
check 'what is there is printed' wait_until lines "$tmp/whole" 1
check 'and both wait' wait_until waiters
reeve dict f set k 1
check 'the key came' wait_until lines "$tmp/key" 1
check 'the dict changed' wait_until lines "$tmp/whole" 2
reeve dict f del k
check 'the key went' wait_until lines "$tmp/whole" 3
reeve dict f set k two
check 'and came back' wait_until lines "$tmp/key" 2
check 'for both' wait_until lines "$tmp/whole" 4
goodbyes() { [ "$(grep -c 'session.end .* reason="goodbye"' "$tmp/manager.log")" = "$1" ]; }
before=$(grep -c 'session.end .* reason="goodbye"' "$tmp/manager.log")
stop "$key" INT
equal 'Ctrl-C ends it well' "$code $(tr '\n' ';' <"$tmp/key")" '0 1;two;'
check 'with a goodbye' wait_until goodbyes $((before + 1))
stop "$whole" TERM
check 'twice' wait_until goodbyes $((before + 2))
equal 'and so does SIGTERM' "$code $(tr '\n' ';' <"$tmp/whole")" \
    '0 {"other": 1};{"other": 1, "k": 1};{"other": 1};{"other": 1, "k": "two"};'
out=$tmp/list background "$BUILD/reeve" list fl --follow -n 2
one=$started
check 'a list that is missing is made' wait_until lines "$tmp/list" 1
reeve list fl append x
wait "$one"
equal 'so many times' "$? $(tr '\n' ';' <"$tmp/list")" '0 [];["x"];'
refused 111 'deadline passed' set fs --follow --timeout 100ms
refused 2 'cannot set with --follow: it is for verbs that read' value v set 1 --follow
gives '' dict f set deep '{"a": {"b": 1}}'
out=$tmp/place background "$BUILD/reeve" dict f get deep --at '["a", "b"]' --follow
place=$started
check 'a place is followed' wait_until lines "$tmp/place" 1
reeve dict f set other 2
reeve dict f set deep 7
reeve dict f set deep '{"a": {"b": 1, "c": 2}}'
reeve dict f add deep --at '["a", "b"]' 1 >/dev/null
check 'also when it was away' wait_until lines "$tmp/place" 2
stop "$place" INT
equal 'and it alone' "$code $(uniq "$tmp/place" | tr '\n' ';')" '0 1;2;'
timeout 10 sh -c "'$BUILD/reeve' value v --follow | head -1 >'$tmp/head'"
equal 'a reader that leaves ends it' "$? $(cat "$tmp/head")" '0 {"a": 1}'

# ---- it is there when the manager comes back ----

stop "$manager"
start_manager --data "$tmp/data"
gives '' dict kept set a 1 --durable sync
gives '' dict gone set a 1 --ttl 100ms
missing() { [ -z "$(reeve ls gone)" ]; } # who opens it keeps it
check 'one with a --ttl goes' wait_until missing
stop "$manager" KILL
start_manager --data "$tmp/data"
gives '{"a": 1};' dict kept

stop "$manager"
finish
