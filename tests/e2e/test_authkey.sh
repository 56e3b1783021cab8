#!/bin/sh
# One secret for both sides, and a manager that changes its own key while clients have only the old one.
. tests/e2e/lib.sh

mode() { stat -c %a "$1"; }
start() {
    rm -f "$tmp/ready"
    mkfifo "$tmp/ready" || exit 1
    "$BUILD/reeve-server" --bind tcp://127.0.0.1:0 --keys "$tmp/manager" --ready-fd 3 "$@" \
        3>"$tmp/ready" 2>"$tmp/manager.log" &
    manager=$!
    running="$running $manager"
    exec 4<"$tmp/ready"
    read -r REEVE_URL <&4
    read -r second <&4
    exec 4<&-
    export REEVE_URL
}

# ---- a secret by chance ----

run reeve keygen --dir "$tmp/a" --authkey cluster
check 'it is made' test "$code" = 0
equal 'only we can read it' "$(mode "$tmp/a/cluster.key")" 600
check 'and is one secret' test "$(grep -c = "$tmp/a/cluster.key")" = 2
run reeve keygen --dir "$tmp/a" --authkey cluster
says 'it is not replaced' 100 'it exists, and a key is not replaced'
run reeve keygen --dir "$tmp/a" --authkey --role admin other
says 'it has no role' 2 'who has it may do everything'
new_key alice
start --authkey "$tmp/a/cluster.key"
REEVE_KEY=$tmp/a/cluster.key
export REEVE_KEY
reeve put jobs one
run reeve get -n 1 jobs
prints 'who has it comes in, and trusts the manager' one
check 'as an admin' reeve rm jobs
run reeve keygen --dir "$tmp/b" --authkey cluster
REEVE_KEY=$tmp/b/cluster.key run reeve status --timeout 2
check 'another one does not' test "$code" != 0
REEVE_KEY=$tmp/keys/alice.key run reeve status --timeout 2
check 'nor who trusts another manager' test "$code" != 0
background "$BUILD/reeve-worker" --key "$tmp/a/cluster.key" --manager "$REEVE_URL" --slots 1 --cache "$tmp/cache"
run reeve run --timeout 20 echo hello
prints 'an agent needs no other' hello
stop "$started"
check 'a worker ends' test "$code" = 0
check 'no secret is told' sh -c "! grep -rqF \"\$(sed -n 's/^authkey = //p' '$tmp/a/cluster.key')\" '$tmp/manager.log' '$tmp/background.err'"
check 'nor in an argument or in the environment' sh -c "! cat /proc/$manager/cmdline /proc/$manager/environ | grep -qF \"\$(sed -n 's/^authkey = //p' '$tmp/a/cluster.key')\""
chmod 640 "$tmp/a/cluster.key"
run reeve status
says 'a file that others can read is refused' 100 'mode 0640 lets others read it'
stop "$manager"

# ---- from a passphrase ----

echo 'correct horse battery' | reeve keygen --dir "$tmp/p1" --authkey --passphrase cluster >"$tmp/p1.out"
echo 'correct horse battery' | reeve keygen --dir "$tmp/p2" --authkey --passphrase cluster >"$tmp/p2.out"
check 'the same words are the same secret' cmp "$tmp/p1/cluster.key" "$tmp/p2/cluster.key"
echo 'too short' | run reeve keygen --dir "$tmp/p3" --authkey --passphrase cluster
check 'a short one is refused' test ! -e "$tmp/p3/cluster.key"
start --authkey "$tmp/p1/cluster.key"
REEVE_KEY=$tmp/p2/cluster.key run reeve put jobs x
prints 'and each host has it' ''
stop "$manager"

# ---- a manager changes its key ----

REEVE_KEY=$tmp/keys/alice.key
reeve keygen --dir "$tmp/next" manager >/dev/null
reeve keygen --dir "$tmp/keys" --trust "$tmp/next/manager.pub" carol >/dev/null
cp "$tmp/keys/carol.pub" "$tmp/manager/authorized.d/"
cp "$tmp/manager/manager.key" "$tmp/old.key"
cp "$tmp/next/manager.key" "$tmp/manager/manager.key"
start --second-bind tcp://127.0.0.1:0 --second-key "$tmp/old.key"
check 'there are two endpoints' test -n "$second"
both=$REEVE_URL,$second
REEVE_KEY=$tmp/keys/carol.key run reeve put jobs new
prints 'who trusts the new key comes in' ''
run reeve status --timeout 2
check 'who trusts the old one does not, there' test "$code" != 0
REEVE_URL=$both run reeve get -n 1 --timeout 5 jobs
prints 'but by the second endpoint, and finds the same objects' new
REEVE_URL=$second background "$BUILD/reeve" get --follow jobs
follower=$started
REEVE_KEY=$tmp/keys/carol.key reeve put jobs across
wait_until grep -q across "$tmp/background.out" || bad 'items go from one side to the other'
rm "$tmp/manager/authorized.d/alice.pub"
wait "$follower"
equal 'a key that is taken away ends on the second one, too' $? 100
reeve keygen --dir "$tmp/keys" --trust "$tmp/next/manager.pub" alice >/dev/null
cp "$tmp/keys/alice.pub" "$tmp/manager/authorized.d/"
wait_until sh -c "'$BUILD/reeve' status --timeout 1 >/dev/null 2>&1" || bad 'a client that has learned the new key needs the old no more'
stop "$manager"
equal 'it ends' "$code" 0
run "$BUILD/reeve-server" --bind tcp://127.0.0.1:0 --keys "$tmp/manager" --second-bind tcp://127.0.0.1:0
says 'two endpoints need two keys' 100 '--second-bind and --second-key need'
finish
