#!/bin/sh
# reeve-worker as a service: its exit codes, what it says before it can be tried again, how it ends,
# and where it keeps programs. Over tcp, with keys.
. tests/e2e/lib.sh

worker=$BUILD/reeve-worker
[ -x "$worker" ] || { echo "skipped: $worker is not built"; exit 77; }

# ends CODE NAME ARGUMENT...: it ends by itself with this code; its words are in $tmp/err
ends() {
    wanted=$1 name=$2
    shift 2
    timeout 20 "$worker" "$@" >"$tmp/out" 2>"$tmp/err"
    equal "$name" "$?" "$wanted"
}
told() { grep -q -- "$1" "$tmp/err"; }

# ---- what must be changed first is 78 ----

ends 78 'an unknown flag' --no-such-flag
ends 78 'slots that are no number' --slots many
ends 78 'no slots at all' --slots 0
ends 78 'a key file that is not there' --key "$tmp/no.key"
ends 78 'tcp without a key' --manager tcp://127.0.0.1:7300
check 'it says how a key is made' told 'reeve keygen'
mkdir -m 755 "$tmp/open"
ends 78 'a cache that others can enter' --cache "$tmp/open"
check 'it says what to do' told 'chmod 700'
ends 0 'help' --help
check 'each flag is explained' grep -q -- '--lifeline-fd' "$tmp/out"

# ---- nobody there is 75, after a while ----

ends 75 'a manager that is not there' --manager "ipc://$tmp/nowhere/reeve.sock" --lost-exit 1
check 'it says whom it lost' told 'nowhere/reeve.sock is lost'

# ---- keys ----

new_key alice
new_key hand --role worker
start_manager

ends 78 'a key that may not work' --key "$tmp/keys/alice.key" --manager "$REEVE_URL"
check 'it says which one may' told 'role worker'
reeve keygen --dir "$tmp/keys" --trust "$tmp/manager/manager.pub" stranger >/dev/null
ends 78 'a key that the manager does not know' --key "$tmp/keys/stranger.key" --manager "$REEVE_URL"
check 'it says what to put where' told 'authorized.d, with role = worker'

# ---- at work ----

ends 0 'an agent that is idle for long' --key "$tmp/keys/hand.key" --idle-exit 1

mkfifo "$tmp/worker.ready"
err=$tmp/worker.err background sh -c "exec '$worker' --key '$tmp/keys/hand.key' --slots 2 \
    --label fast --label gpu --ready-fd 9 9>'$tmp/worker.ready'"
agent=$started
equal 'it says when it takes work' "$(cat "$tmp/worker.ready")" ready
check 'its cache is closed to others' [ "$(stat -c %a "$HOME/.cache/reeve" 2>/dev/null ||
    stat -c %a /var/cache/reeve)" = 700 ]

# A second one of that name on this host takes over, and the first gives way.
err=$tmp/second.err background "$worker" --key "$tmp/keys/hand.key" --slots 1
second=$started
wait "$agent"
equal 'the older one of a name gives way' "$?" 75
stop "$second"
equal 'and the newer one ends when it is told' "$code" 0

err=$tmp/third.err background "$worker" --key "$tmp/keys/hand.key" --slots 1
third=$started
wait_until grep -q agent.ready "$tmp/third.err"
stop "$third" INT
equal 'an interrupt is a drain' "$code" 0

mkfifo "$tmp/life"
err=$tmp/fourth.err background sh -c "exec '$worker' --key '$tmp/keys/hand.key' --lifeline-fd 8 8<'$tmp/life'"
fourth=$started
exec 7>"$tmp/life"
wait_until grep -q agent.ready "$tmp/fourth.err"
exec 7>&-
wait "$fourth"
equal 'it ends with its lifeline' "$?" 0

# ---- another program has the manager's port while that is away ----

stop "$manager"
port=${REEVE_URL##*:}
for kind in hangs-up garbage http; do
    err=$tmp/bystander.err background /usr/bin/python3 -c 'import socket, sys
says = {"hangs-up": b"", "garbage": b"\x17\x42" * 200, "http": b"HTTP/1.1 400 Bad Request\r\n\r\n"}
s = socket.create_server((sys.argv[2], int(sys.argv[3])))
while True:
    c = s.accept()[0]
    c.sendall(says[sys.argv[1]])
    c.close()
    print("met", flush=True)' "$kind" "$address" "$port"
    bystander=$started
    rm -f "$tmp/put.code" "$tmp/patient.err"
    err=$tmp/patient.err background "$worker" --key "$tmp/keys/hand.key" --slots 1
    patient=$started
    wait_until grep -qs 'manager.away.*:'"$port"': what listens there is no manager' "$tmp/patient.err"
    equal "$kind: the worker says who is there" "$?" 0
    run reeve --key "$tmp/keys/alice.key" --timeout 0.3 status
    says "$kind: a client says so, too" 111 ":$port: what listens there is no manager, .* within 300 ms"
    { reeve --key "$tmp/keys/alice.key" put waited one 2>"$tmp/put.err"; echo $? >"$tmp/put.code"; } &
    client=$!
    running="$running $client"
    stop "$bystander"
    "$BUILD/reeve-server" --bind "$REEVE_URL" --keys "$tmp/manager" 2>"$tmp/manager.log" &
    manager=$!
    running="$running $manager"
    wait "$client"
    equal "$kind: a client finds the true one" "$(cat "$tmp/put.code"; cat "$tmp/put.err")" 0
    wait_until grep -q agent.ready "$tmp/patient.err"
    equal "$kind: and so does the worker" "$?" 0
    stop "$patient"
    equal "$kind: which ends as told" "$code" 0
    stop "$manager"
done

finish
