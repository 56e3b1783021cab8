#!/bin/sh
# The tool reeve against a real manager: what it prints, what it says when something is wrong.
. tests/e2e/lib.sh

# ---- keys ----

run reeve keygen --dir "$tmp/manager" manager
check 'the manager has a secret key' test -f "$tmp/manager/manager.key"
equal 'which nobody else can read' "$(stat -c %a "$tmp/manager/manager.key")" 600
check 'it has a public key' grep -q '^public = ' "$tmp/manager/manager.pub"
check 'and a place for those of others' test -d "$tmp/manager/authorized.d"
cp "$tmp/manager/manager.key" "$tmp/before"
run reeve keygen --dir "$tmp/manager" manager
says 'a key is not replaced' 100 '^reeve: cannot make .*manager\.key: it exists, .*; '
check 'and is as it was' cmp "$tmp/before" "$tmp/manager/manager.key"

run reeve keygen --dir "$tmp/keys" --role admin boss
check 'it says where the public file goes' \
    grep -q '^copy boss.pub into authorized.d/ of the manager, ' "$tmp/out"
check 'and how to trust the manager' \
    grep -qx 'copy manager.pub here and run: reeve keygen --trust manager.pub boss' "$tmp/out"
cp "$tmp/keys/boss.pub" "$tmp/before"
run reeve keygen --dir "$tmp/keys" --trust "$tmp/manager/manager.pub" boss
equal 'trust is added to an existing key' "$code" 0
check 'which stays the same' cmp "$tmp/before" "$tmp/keys/boss.pub"
cp "$tmp/keys/boss.pub" "$tmp/manager/authorized.d/"
run reeve keygen --dir "$tmp/keys" --trust "$tmp/manager/manager.pub" --role worker boss
says 'a role is not changed by trust' 2 'role and rights stand in'
run reeve keygen --dir "$tmp/keys" --trust 'not a key' eve
says 'trust wants a key' 100 '; --trust wants the manager'
run reeve keygen --dir "$tmp/keys" --role king eve
says 'a role is one of three' 2 '^reeve: cannot take --role king: it is client, worker or admin; '
run reeve keygen --dir "$tmp/keys" --rights 'fly:jobs' eve
says 'a right has known verbs' 2 '^reeve: cannot take --rights fly:jobs: '
run reeve keygen --dir "$tmp/keys" ../eve
says 'a name is no path' 2 '^reeve: cannot make a key for '
run reeve keygen --dir "$tmp/keys"
says 'a key has a name' 2 '^reeve: cannot keygen: it wants NAME; see reeve keygen --help'
check 'nothing of these was made' test ! -e "$tmp/keys/eve.key"

new_key alice
new_key guest --rights 'open,get:mail/*' --rights 'list'
reeve keygen --dir "$tmp/keys" --trust "$tmp/manager/manager.pub" stranger >/dev/null
reeve keygen --dir "$tmp/other" manager >/dev/null
reeve keygen --dir "$tmp/keys" --trust "$tmp/other/manager.pub" misled >/dev/null
reeve keygen --dir "$tmp/keys" lonely >/dev/null
check 'rights stand in the public file' grep -qx 'rights = open,get:mail/\*' "$tmp/keys/guest.pub"

start_manager
REEVE_KEY=$tmp/keys/alice.key
export REEVE_KEY

# ---- queues ----

run reeve put jobs one two 'and three'
prints 'put is silent' ''
run reeve get jobs
prints 'what was put is got, in order' "$(printf 'one\ntwo\nand three')"
run reeve get jobs
equal 'an empty queue: nothing is printed' "$code $(cat "$tmp/out" "$tmp/err")" '1 '
run reeve get --timeout 200ms jobs
equal 'nor after waiting' "$code" 1
run reeve get no-such-queue
says 'a queue that is missing' 1 '^reeve: cannot open .*no-such-queue: .*; '

seq 1 20000 >"$tmp/numbers"
reeve put numbers <"$tmp/numbers"
reeve get numbers >"$tmp/got"
check 'a pipeline keeps all lines' cmp "$tmp/numbers" "$tmp/got"
printf 'no newline' | reeve put last
equal 'the last line needs no newline' "$(reeve get last)" 'no newline'
printf 'a\n\nb\n' | reeve put blanks
equal 'an empty line is an empty item' "$(reeve get blanks | tr '\n' ,)" 'a,,b,'
printf 'x\0y\n' | reeve put nul
equal 'a text may have a NUL' "$(reeve get nul | od -An -tx1 | tr -d ' ')" '7800790a'
seq 1 100 | reeve put -v counted 2>"$tmp/err"
check 'verbose says how many' grep -q '^reeve: put 100 items, 192 B, in ' "$tmp/err"
equal '-n takes so many' "$(reeve get -n 3 counted | tr '\n' ,)" '1,2,3,'
equal 'and the rest stays, in order' "$(reeve get counted | sed -n 1p)" 4
seq 1 100000 | reeve put big
equal 'a large -n too' "$(reeve get -n 50000 big | tail -1) $(reeve get -n 1 big)" '50000 50001'
run reeve put -- dash -x --json
equal 'words after -- are items' "$(reeve get dash | tr '\n' ,)" '-x,--json,'

# JSON there and back.
cat >"$tmp/json" <<'END'
null
true
-42
18446744073709551615
2.5
1.0
"caf\u00e9 \ud83d\ude00 \"\\\/\b\f\n\r\t"
[1, [], {}, [[2]]]
{"a": {"b": [1, 2, 3]}, "c": "x,y]}"}
{"bytes": "AAEC/w=="}
{"pairs": [[1, [2]], [[3], {"a": 4}]]}
END
reeve put --json values <"$tmp/json"
reeve get --json values >"$tmp/got"
cat >"$tmp/same.py" <<'END'
import json, sys
a, b = ([json.loads(line) for line in open(name)] for name in sys.argv[1:])
assert a == b, (a, b)
assert [type(x) for x in a] == [type(x) for x in b]
END
check 'JSON there and back is the same' python3 "$tmp/same.py" "$tmp/json" "$tmp/got"
reeve put --json values '"text"' '[1, 2]'
equal 'texts are printed as they are' "$(reeve get values | tr '\n' ,)" 'text,[1, 2],'
for text in '{' '[1,]' '[1 2]' '{"a" 1}' '"x' '"\u12"' '"\ud800"' '1 2' 'nul' '01x' '+1' '' '{,}' 007 1. .5 1e 1e999 \
    "$(printf '[%.0s' $(seq 1 70))"; do
    run reeve put --json values "$text"
    says "not JSON: $text" 100 '^reeve: cannot put item 1: not JSON at character [0-9]+: '
done
run reeve get values
equal 'nothing of that was put' "$code" 1
printf '1\n2\n{\n4\n' | reeve put --json some 2>"$tmp/err"
check 'a bad line is named' grep -q '^reeve: cannot put line 3: ' "$tmp/err"
check 'and what was before' grep -q 'the lines before line 3 were put' "$tmp/err"
equal 'which is so' "$(reeve get some | tr '\n' ,)" '1,2,'

printf '\377\376\n' >"$tmp/latin"
reeve put latin <"$tmp/latin" 2>"$tmp/err"
code=$?
says 'text is UTF-8' 100 '^reeve: cannot put line 1: it is not UTF-8; put it with --bytes'
reeve put --bytes latin <"$tmp/latin"
reeve get --bytes latin >"$tmp/got"
check 'bytes there and back' cmp "$tmp/latin" "$tmp/got"

# ---- bounds, other options ----

cat >"$tmp/field.py" <<'END'
import json, sys
for o in json.load(sys.stdin):
    if o["name"] == sys.argv[1]:
        print(*(o[name] for name in sys.argv[2:]))
END
field() { reeve ls --json | python3 "$tmp/field.py" "$@"; }
# has QUEUE FIELD FIGURE
has() { [ "$(field "$1" "$2")" = "$3" ]; }

reeve put --maxsize 2 small a b
run reeve put --timeout 0 small c
says 'a full queue' 111 '^reeve: cannot put .*small: .*full.*; '
background env --default-signal=INT "$BUILD/reeve" put --maxsize 4 small2 1 2 3 4 5 6
full=$started
check 'who waits for room is told' wait_until grep -qx 'reeve: queue small2 is full; item 5 waits for room, Ctrl-C ends it' "$tmp/background.err"
stop "$full" INT
equal 'Ctrl-C there' "$code" 130
check 'tells what was put' grep -qx 'reeve: the items before item 5 were put' "$tmp/background.err"
run reeve put --maxsize 3 small c
says 'other options than the existing' 100 '^reeve: cannot open .*small: .*; '
run reeve put --joinable small c
says 'joinable is one of them' 100 '^reeve: cannot open .*small: '
background reeve put small c
waiting=$started
check 'a put waits for room' wait_until has small putters 1
equal 'room lets a waiting put through' "$(reeve get --timeout 5 -n 3 small | tr '\n' ,)" 'a,b,c,'
wait "$waiting"
equal 'which has ended well' $? 0

# A manager that is late with its answer says neither that there is nothing nor that it is gone: this get waits
# for its reader until the manager does not answer, and asks for the next item then.
{ head -c 200000 /dev/zero | tr '\0' x && printf '\nb\n'; } | reeve put late
mkfifo "$tmp/late"
background sh -c '"$1" get -n 2 late >"$2" 2>"$3"' sh "$BUILD/reeve" "$tmp/late" "$tmp/err"
exec 4<"$tmp/late"
equal 'its first item is being written' "$(dd bs=1 count=1 <&4 2>/dev/null)" x
kill -STOP "$manager"
cat <&4 >"$tmp/rest" &
sleep 1
kill -CONT "$manager"
wait "$started"
equal 'a late answer is waited for' "$? $(cat "$tmp/err")" '0 '
wait $!
equal 'and the next item comes' "$(tail -c 2 "$tmp/rest")" b
exec 4<&-

run reeve put "$(printf '%0300d' 0)" x
says 'a name has a limit' 100 '^reeve: cannot open .*255.*'
head -c 17825792 /dev/zero | tr '\0' x >"$tmp/large"
reeve put large <"$tmp/large" 2>"$tmp/err"
code=$?
says 'an item has a limit' 100 '^reeve: cannot put .*; '
head -c 16000000 "$tmp/large" >"$tmp/fits"
reeve put large <"$tmp/fits"
reeve get -n 1 large | head -c 16000000 >"$tmp/got"
check 'an item below it goes through' cmp "$tmp/fits" "$tmp/got"

# ---- joinable, follow, shutdown ----

seq 1 1000 | reeve put --joinable tasks
reeve get -n 300 tasks >/dev/null
equal 'what was printed is done' "$(field tasks size unfinished joinable maxsize)" '700 700 True 0'

out=$tmp/followed background "$BUILD/reeve" get --follow tasks
follower=$started
wait_until sh -c "[ \$(wc -l <'$tmp/followed') = 700 ]"
echo late | reeve put tasks
wait_until grep -qx late "$tmp/followed"
check 'follow prints what comes later at once' grep -qx late "$tmp/followed"
run reeve shutdown --queue tasks
prints 'a queue is shut down' ''
wait "$follower"
equal 'which ends follow' $? 0
equal 'and nothing is unfinished' "$(field tasks size unfinished shutdown)" '0 0 True'
run reeve put tasks x
says 'it takes no more' 100 '^reeve: cannot (put|flush) .*tasks: .*shut down; '
run reeve shutdown --immediate
says 'immediate goes with a queue' 2 'it goes with --queue'
run reeve shutdown --queue nix
says 'a queue to shut down is there' 1 '^reeve: cannot .*nix'

seq 1 10 | reeve put rest
reeve shutdown --queue rest
equal 'a queue that is shut down is drained' "$(reeve get rest | wc -l)" 10
seq 1 10 | reeve put dropped
reeve shutdown --queue dropped --immediate
run reeve get dropped
equal 'immediately: dropped' "$code" 1

out=$tmp/followed background "$BUILD/reeve" get --follow interrupted
follower=$started
wait_until sh -c "'$BUILD/reeve' ls interrupted | grep -q interrupted"
echo first | reeve put interrupted
wait_until grep -qx first "$tmp/followed"
stop "$follower" INT
equal 'SIGINT ends follow' "$code $(cat "$tmp/followed")" '0 first'

# Ctrl-C while put waits for input, and while it waits for room.
mkfifo "$tmp/slow"
"$BUILD/reeve" put early <"$tmp/slow" 2>"$tmp/err" &
putter=$!
running="$running $putter"
exec 4>"$tmp/slow"
printf 'a\nb\n' >&4
check 'two lines are put' wait_until has early size 2
stop "$putter" INT
exec 4>&-
equal 'SIGINT ends put' "$code" 130
equal 'and what was read is put' "$(reeve get early | tr '\n' ,)" 'a,b,'
reeve put --maxsize 1 narrow a
background "$BUILD/reeve" put narrow b
check 'another put waits for room' wait_until has narrow putters 1
stop "$started" INT
equal 'SIGINT ends waiting for room' "$code" 130

# A reader that leaves: more than a pipe holds is still there, and nothing is unfinished.
seq 1 60000 | reeve put --joinable leaving
"$BUILD/reeve" get --follow leaving | head -1 >/dev/null
wait_until sh -c "'$BUILD/reeve' status | grep -q ' sessions 1 '"
equal 'a reader that left: taken is done or back' \
    "$(field leaving unfinished)" "$(field leaving size)"
equal 'and the newest is there' "$(reeve get leaving | tail -1)" 60000
seq 1 5000 | reeve put leaving2
reeve get leaving2 >&- 2>"$tmp/err"
code=$?
says 'a closed output is told' 111 '^reeve: cannot write to standard output: '
equal 'a closed output takes nothing for good' "$(reeve get leaving2 | wc -l)" 5000

# ---- status, ls, rm ----

run reeve status
check 'status is for people' grep -qE '^manager  tcp://127\.1\.[0-9.]+:[0-9]+  up .* term 1 .* sessions 1 ' "$tmp/out"
check 'with the sessions' grep -qE '^session  alice +reeve on ' "$tmp/out"
reeve status --json | python3 -c '
import json, sys
s = json.load(sys.stdin)
assert s["manager"]["sessions"] == 1 and s["manager"]["puts"] > 0, s
assert s["sessions"][0]["key"] == "alice", s
' 2>"$tmp/err"
equal 'and JSON for scripts' "$?" 0
reeve put mail/a 1
reeve put mail/b 1 2
check 'ls lists' sh -c "'$BUILD/reeve' ls | grep -q '^mail/b '"
equal 'ls takes a prefix' "$(reeve ls mail/ | awk 'NR > 1 { print $1, $4 }' | tr '\n' ,)" 'mail/a 1,mail/b 2,'
equal 'ls of nothing' "$(reeve ls zzz; echo $?)" 0
run reeve rm mail/a
prints 'rm is silent' ''
run reeve rm mail/a jobs
says 'rm of what is not there' 1 '^reeve: cannot remove mail/a: no such object; reeve ls shows what is there'
equal 'and the others are removed' "$(reeve ls --json jobs)" '[]'

# ---- rights ----

REEVE_KEY=$tmp/keys/guest.key run reeve get -n 1 mail/b
prints 'a right lets in' 1
REEVE_KEY=$tmp/keys/guest.key run reeve put mail/b x
says 'what it does not name is refused' 100 '^reeve: cannot .*mail/b: .*; '
REEVE_KEY=$tmp/keys/guest.key run reeve get numbers
says 'on other names too' 100 '^reeve: cannot .*numbers: .*; '
run reeve shutdown
says 'not everybody ends the manager' 100 '^reeve: cannot end the manager: .*admin'

# ---- what nobody read ----

reeve put shut one two three
reeve shutdown --queue shut
reeve get shut 2>"$tmp/err" >/dev/full
equal 'an item that was not written and cannot go back is printed' "$? $(tail -n 1 "$tmp/err")" '111 one'
equal 'the others are there' "$(reeve get shut | tr '\n' ' ')" 'two three '
reeve put idle one two
run reeve get --follow --timeout 300ms idle
prints 'with --follow and --timeout it ends when none has come for so long' "$(printf 'one\ntwo')"
run reeve get --follow --timeout 100ms idle
equal 'and says whether one has' "$code" 1

# ---- doors that stay closed ----

REEVE_KEY=$tmp/keys/stranger.key run reeve status
says 'a key that is not admitted' 100 '^reeve: cannot open a session with tcp.*; .*authorized\.d'
REEVE_KEY=$tmp/keys/misled.key run reeve status
says 'a manager that is not trusted' 100 '^reeve: cannot open a session with tcp.*; '
REEVE_KEY=$tmp/keys/lonely.key run reeve status
says 'no manager is trusted' 100 '^reeve: cannot open a session with tcp.*; .*reeve keygen --trust manager.pub'
chmod 644 "$tmp/keys/stranger.key"
REEVE_KEY=$tmp/keys/stranger.key run reeve status
says 'a key that others can read' 100 '^reeve: cannot read key file .*mode 0644.*; run: chmod 600 '
REEVE_KEY=$tmp/keys/nobody.key run reeve status
says 'a key file that is not there' 100 '^reeve: cannot read key file .*nobody\.key: .*; .*make one: reeve keygen'
run reeve status --url tcp://127.0.0.1:1 --timeout 0.5
says 'no manager listens' 111 '^reeve: cannot open a session with tcp://127\.0\.0\.1:1: .*; is the manager running, '
run reeve status --url http://x
says 'a url of another kind' 100 '^reeve: cannot open a session: http://x is neither tcp'
run reeve status --url tcp://127.0.0.1:99999
says 'a port that is none' 100 '^reeve: cannot open a session: tcp://127.0.0.1:99999 has no port from 1 to 65535'
run reeve status --url tcp://127.0.0.1:9999 --key ''
equal 'an empty key is refused' "$([ "$code" -ge 100 ] && echo yes)" yes

# ---- the line ----

run reeve
says 'no command' 2 '^reeve: cannot run: no command was given; see reeve --help'
run reeve help
check 'help' grep -q '^usage: reeve COMMAND' "$tmp/out"
run reeve help put
check 'help of a command' grep -q '^usage: reeve put ' "$tmp/out"
run reeve help fly
says 'help of none' 2 '^reeve: cannot run fly: there is no such command; '
run reeve fly
says 'an unknown command' 2 '^reeve: cannot run fly: there is no such command; see reeve --help'
run reeve put --fly q
says 'an unknown option' 2 '^reeve: cannot read option --fly: there is no such option; see reeve put --help'
run reeve ls --maxsize 3
says 'an option of another command' 2 '^reeve: cannot take --maxsize: it is not an option of reeve ls; '
run reeve put --maxsize
says 'an option without its value' 2 '^reeve: cannot read option --maxsize: it wants N after it'
run reeve put --maxsize none q x
says 'a value that is no number' 2 '^reeve: cannot take --maxsize none: '
run reeve get --timeout soon q
says 'a value that is no time' 2 '^reeve: cannot take --timeout soon: '
run reeve get --json=yes q
says 'a flag has no value' 2 '^reeve: cannot take --json=yes: '
run reeve get
says 'a word too few' 2 '^reeve: cannot get: it wants QUEUE; '
run reeve get a b
says 'a word too many' 2 '^reeve: cannot get b: there is a word too many; '
run reeve --version
check 'the version' grep -qE '^reeve [0-9]+\.[0-9]+' "$tmp/out"
for command in keygen serve status ls put get rm shutdown; do
    if [ $command = serve ]; then continue; fi
    run reeve $command --help
    check "$command explains itself" grep -q "^usage: reeve $command \[OPTION\]" "$tmp/out"
    check "$command explains its exit codes" grep -qE '^ +111 ' "$tmp/out"
    check "$command is in the list" sh -c "'$BUILD/reeve' --help | grep -qE '^  $command +[a-z]'"
done
run reeve serve --help
check 'serve explains the manager' grep -q '^usage: reeve-server' "$tmp/out"

# ---- the user's own socket, without keys ----

unset REEVE_URL REEVE_KEY
run reeve status
says 'no manager is named' 100 '^reeve: cannot open a session: .*; set REEVE_URL, or run: reeve serve'
err=$tmp/own.log background "$BUILD/reeve" serve
own=$started
wait_until test -S "$XDG_RUNTIME_DIR/reeve/reeve.sock"
reeve put own 'by socket'
equal 'the own socket needs no key' "$(reeve get own)" 'by socket'
stop "$own"
equal 'the own manager ends when asked' "$code" 0

# ---- the end ----

run reeve shutdown --url "$(sed -n 's/.*endpoint=\(tcp[^ ]*\).*/\1/p' "$tmp/manager.log" | head -1)" \
    --key "$tmp/keys/boss.key"
prints 'an admin ends the manager' ''
wait "$manager"
equal 'which ends well' $? 0

finish
