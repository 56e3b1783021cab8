#!/bin/sh
# Keys that come, change and go while the manager runs.
. tests/e2e/lib.sh

authorized=$tmp/manager/authorized.d
new_key alice
new_key boss --role admin
new_key small --quota objects:2 --quota bytes:1K --quota sessions:1
new_key guest --rights 'open,get:mail/*' --rights list
start_manager --audit "$tmp/audit"
REEVE_KEY=$tmp/keys/alice.key
export REEVE_KEY

ms() { date +%s%3N; }
says_log() { wait_until grep -q "$1" "$tmp/manager.log"; }

# ---- a key is added ----

reeve keygen --dir "$tmp/keys" --trust "$tmp/manager/manager.pub" carol >/dev/null
REEVE_KEY=$tmp/keys/carol.key run reeve status --timeout 2
says 'a stranger is refused' 100 'does not admit this key'
cp "$tmp/keys/carol.pub" "$authorized/"
check 'the manager reads it by itself' says_log 'keys.read principals=5'
REEVE_KEY=$tmp/keys/carol.key run reeve put jobs x
prints 'and she is in' ''

# ---- a key is taken away ----

reeve put --joinable jobs2 one
background "$BUILD/reeve" get --follow --joinable jobs2
follower=$started
wait_until sh -c "'$BUILD/reeve' status --json | grep -q '\"waiting\": *1'" || bad 'somebody waits'
cp "$authorized/alice.pub" "$tmp/alice.pub"
before=$(ms)
rm "$authorized/alice.pub"
wait "$follower"
code=$?
took=$(($(ms) - before))
equal 'its command ends' "$code" 100
check "within a second ($took ms)" test "$took" -lt 1000
echo "revocation took $took ms"
check 'the log says so' says_log 'session.end .* reason="revoked"'
run reeve status --timeout 2
says 'and it does not come in again' 100 'does not admit this key'
REEVE_KEY=$tmp/keys/boss.key run reeve ls
check 'others go on' test "$code" = 0

# ---- all or nothing ----

echo 'nonsense' >"$authorized/broken.pub"
cp "$tmp/alice.pub" "$authorized/"
check 'a bad file is told' says_log 'keys.refuse why=.*broken.pub: line 1: '
run reeve status --timeout 2
says 'and nothing of the folder counts' 100 'does not admit this key'
REEVE_KEY=$tmp/keys/boss.key run reeve ls
equal 'but what counted before' "$code" 0
rm "$authorized/broken.pub"
wait_until sh -c "'$BUILD/reeve' status --timeout 1 >/dev/null 2>&1" || bad 'it counts when the bad file is gone'

# ---- SIGHUP ----

lines=$(grep -c keys.read "$tmp/manager.log")
kill -HUP "$manager"
wait_until sh -c "[ \$(grep -c keys.read '$tmp/manager.log') -gt $lines ]" || bad 'SIGHUP reads the keys'

# ---- rights change ----

reeve put shared item
echo 'rights = put:shared' >>"$authorized/alice.pub"
wait_until sh -c "'$BUILD/reeve' get shared 2>&1 | grep -q 'no right'" || bad 'a right is taken away'
cp "$tmp/alice.pub" "$authorized/"
wait_until sh -c "'$BUILD/reeve' put shared item && [ \"\$('$BUILD/reeve' get -n 1 shared 2>/dev/null)\" = item ]" || bad 'and given back'

# ---- a job belongs to the key that gave it ----

for name in giver other; do
    reeve keygen --dir "$tmp/keys" --trust "$tmp/manager/manager.pub" --rights run,list $name >/dev/null
done
reeve keygen --dir "$tmp/keys" --trust "$tmp/manager/manager.pub" --rights run blind >/dev/null
cp "$tmp/keys/giver.pub" "$tmp/keys/other.pub" "$tmp/keys/blind.pub" "$authorized/"
check 'three more come in' says_log 'keys.read principals=8'
as() { REEVE_KEY=$tmp/keys/$1.key; shift; run reeve "$@"; REEVE_KEY=$tmp/keys/alice.key; }
as giver map --detach=mine -- true ::: 1
equal 'a job is given' "$code" 0
for who in other blind; do
    as $who cancel mine
    says 'others do not cancel it' 100 'the job belongs to another key'
    as $who attach mine
    says 'nor get what comes of it' 100 'the job belongs to another key'
done
as other jobs
check 'who may list sees it' grep -q mine "$tmp/out"
as blind jobs
check 'who may not does not' sh -c "! grep -q mine '$tmp/out'"
as blind logs mine
says 'nor what it printed' 100 'no right'
as boss cancel mine
equal 'an admin ends it' "$code" 0
rm "$authorized/giver.pub" "$authorized/other.pub" "$authorized/blind.pub"

# ---- two keys of one principal ----

reeve keygen --dir "$tmp/new" --trust "$tmp/manager/manager.pub" alice >/dev/null
grep '^public' "$tmp/new/alice.pub" >>"$authorized/alice.pub"
wait_until sh -c "REEVE_KEY='$tmp/new/alice.key' '$BUILD/reeve' status --timeout 1 >/dev/null 2>&1" || bad 'the new key is good'
run reeve status --timeout 2
equal 'and the old one still' "$code" 0
background "$BUILD/reeve" get --follow waited
old=$started
REEVE_KEY=$tmp/new/alice.key background "$BUILD/reeve" get --follow waited
new=$started
wait_until sh -c "[ \$('$BUILD/reeve' status | grep -c 'waiting 1') = 2 ]" || bad 'both wait'
cp "$tmp/new/alice.pub" "$authorized/"
wait_until sh -c "! REEVE_KEY='$tmp/keys/alice.key' timeout 20 '$BUILD/reeve' status --timeout 2 >/dev/null 2>&1" || bad 'the old key is void'
wait "$old"
check 'its connection is cut' test $? = 100
REEVE_KEY=$tmp/new/alice.key run reeve put waited done
wait_until grep -q done "$tmp/background.out" || bad 'that of the new key is not'
stop "$new" INT
REEVE_KEY=$tmp/new/alice.key
cp "$tmp/new/alice.pub" "$tmp/alice.pub"

# ---- expiry ----

{ cat "$tmp/alice.pub"; date -u -d '+5 seconds' '+expires = %Y-%m-%dT%H:%M:%SZ'; } >"$authorized/alice.pub"
sleep 0.3
run reeve status --timeout 2
equal 'a key is good until it expires' "$code" 0
background "$BUILD/reeve" get --follow waited
wait "$started"
equal 'then its sessions end' $? 100
check 'which the log says' says_log 'keys.read principals=4 expired=1'
echo 'expires = 2027-02-30' >>"$authorized/carol.pub"
check 'a date must be one' says_log 'keys.refuse .*carol.pub: line .: expires is a day'
# ---- quotas ----

REEVE_KEY=$tmp/keys/small.key
run reeve keygen --dir "$tmp/keys" --quota lunch:1 bad
says 'a quota has one of six words' 2 'cannot take --quota lunch:1'
reeve put a 1 2 3
reeve put b 1
run reeve put c 1
says 'a quota of objects' 111 'key small has its quota of objects'
run reeve put a "$(head -c 2000 /dev/zero | tr '\0' x)"
says 'a quota of bytes' 111 'key small has its quota of bytes'
background "$BUILD/reeve" get --follow b
wait_until sh -c "REEVE_KEY='$tmp/keys/boss.key' '$BUILD/reeve' status | grep -q '^session  small'" || bad 'one session'
run reeve status
says 'a quota of sessions' 111 'key small has its quota of sessions'
stop "$started" INT

# ---- the audit ----

REEVE_KEY=$tmp/keys/boss.key reeve put mail/x secret
REEVE_KEY=$tmp/keys/guest.key run reeve put mail/x item
says 'a right that is not there' 100 'no right'
check 'the audit has who came' grep -qE '^[0-9T:.-]+Z session.open session=[0-9]+ key=alice host=' "$tmp/audit"
check 'who was taken away' grep -qE ' session.end session=[0-9]+ reason="revoked"$' "$tmp/audit"
check 'what was refused by a quota' grep -qE ' call.refuse session=[0-9]+ key=small op=object_open object=0 error=EQUOTA$' "$tmp/audit"
check 'and by a right' grep -qE ' call.refuse session=[0-9]+ key=guest op=queue_put object=[0-9]+ error=EPERM$' "$tmp/audit"
check 'and no item' sh -c "! grep -q secret '$tmp/audit'"
equal 'it is not for everybody' "$(stat -c %a "$tmp/audit")" 600
mv "$tmp/audit" "$tmp/audit.1"
kill -HUP "$manager"
wait_until test -e "$tmp/audit" || bad 'SIGHUP opens a new file'
finish
