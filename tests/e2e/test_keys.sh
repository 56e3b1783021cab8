#!/bin/sh
# Keys that come, change and go while the manager runs.
. tests/e2e/lib.sh

authorized=$tmp/manager/authorized.d
new_key alice
new_key boss --role admin
start_manager
REEVE_KEY=$tmp/keys/alice.key
export REEVE_KEY

ms() { date +%s%3N; }
says_log() { wait_until grep -q "$1" "$tmp/manager.log"; }

# ---- a key is added ----

reeve keygen --dir "$tmp/keys" --trust "$tmp/manager/manager.pub" carol >/dev/null
REEVE_KEY=$tmp/keys/carol.key run reeve status --timeout 2
says 'a stranger is refused' 100 'does not admit this key'
cp "$tmp/keys/carol.pub" "$authorized/"
check 'the manager reads it by itself' says_log 'keys.read principals=3'
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

{ cat "$tmp/alice.pub"; date -u -d '+3 seconds' '+expires = %Y-%m-%dT%H:%M:%SZ'; } >"$authorized/alice.pub"
sleep 0.3
run reeve status --timeout 2
equal 'a key is good until it expires' "$code" 0
background "$BUILD/reeve" get --follow waited
wait "$started"
equal 'then its sessions end' $? 100
check 'which the log says' says_log 'keys.read principals=2 expired=1'
echo 'expires = 2027-02-30' >>"$authorized/carol.pub"
check 'a date must be one' says_log 'keys.refuse .*carol.pub: line .: expires is a day'
finish
