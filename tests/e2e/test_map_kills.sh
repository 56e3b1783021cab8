#!/bin/sh
# A map over hosts (network namespaces): a manager, a client and two agents, with keys made as in
# the README. Each second one of the agents is killed with all that it runs, and another life of
# it starts at once. Each index has its one result, which is what the client computes itself.
set -u
BUILD=${BUILD:-build}
ITEMS=${ITEMS:-8000}
BUILD=$(cd "$BUILD" && pwd)
job=$BUILD/tests/e2e/map_job
tag=rw$$

if [ ! -x "$job" ] || [ ! -x "$BUILD/reeve-worker" ]; then
    echo "skipped: $job or reeve-worker is not built"
    exit 77
fi
if [ "$(id -u)" != 0 ] || ! command -v ip >/dev/null; then
    echo "skipped: needs root and ip"
    exit 77
fi
if ! ip netns add "$tag-t" 2>/dev/null || ! ip netns exec "$tag-t" true 2>/dev/null; then
    ip netns del "$tag-t" 2>/dev/null
    echo "skipped: this machine lets us make no network namespace"
    exit 77
fi
ip netns del "$tag-t"

work=$(mktemp -d)
server=
client=
agent_a=
agent_b=
cleanup() {
    for p in $client $agent_a $agent_b $server; do kill -9 "$p" 2>/dev/null; done
    wait 2>/dev/null
    for n in m c a b; do ip netns del "$tag-$n" 2>/dev/null; done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

fail() {
    echo "FAIL: $*"
    tail -5 "$work"/*.log "$work/out" 2>/dev/null
    exit 1
}

# wait_for COMMAND...: at most ten seconds.
wait_for() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || return 1
        sleep 0.05
    done
}

# Hosts around the bridge of one of them; the addresses are of this test only.
for n in m c a b; do ip netns add "$tag-$n" || fail "no namespaces"; done
ip -n "$tag-m" link add name hub0 type bridge && ip -n "$tag-m" link set hub0 up || fail "no bridge"
ip -n "$tag-m" addr add 10.78.0.1/24 dev hub0
ip -n "$tag-m" link set lo up
i=2
for n in c a b; do
    ip link add name "$tag$n" netns "$tag-m" type veth peer name eth0 netns "$tag-$n" || fail "no veth"
    ip -n "$tag-m" link set "$tag$n" master hub0 up
    ip -n "$tag-$n" addr add 10.78.0.$i/24 dev eth0
    ip -n "$tag-$n" link set eth0 up
    ip -n "$tag-$n" link set lo up
    i=$((i + 1))
done

reeve=$BUILD/reeve
"$reeve" keygen --dir "$work/m" manager >"$work/keygen.log" || fail "keygen manager"
"$reeve" keygen --dir "$work/c" --trust "$work/m/manager.pub" --rights run client >>"$work/keygen.log" ||
    fail "keygen client"
for n in a b; do
    "$reeve" keygen --dir "$work/$n" --trust "$work/m/manager.pub" --role worker "agent-$n" >>"$work/keygen.log" ||
        fail "keygen agent-$n"
done
cp "$work/c/client.pub" "$work/a/agent-a.pub" "$work/b/agent-b.pub" "$work/m/authorized.d/"

ip netns exec "$tag-m" "$BUILD/reeve-server" --keys "$work/m" --bind tcp://10.78.0.1:7300 \
    --ready-fd 3 3>"$work/ready" 2>"$work/server.log" &
server=$!
wait_for test -s "$work/ready" || fail "the manager did not start"
export REEVE_URL=tcp://10.78.0.1:7300

# start_agent a|b: its id is in $agent. `ip netns exec` becomes the agent.
start_agent() {
    ip netns exec "$tag-$1" "$BUILD/reeve-worker" --key "$work/$1/agent-$1.key" --name "agent-$1" \
        --slots 2 --cache "$work/$1/cache" 2>>"$work/agent-$1.log" &
    agent=$!
}
start_agent a
agent_a=$agent
start_agent b
agent_b=$agent

JOB_RUNS=$work/runs JOB_NAP_MS=5 REEVE_KEY=$work/c/client.key \
    ip netns exec "$tag-c" timeout -k 5 100 "$job" nap "$ITEMS" >"$work/out" 2>"$work/client.log" &
client=$!

# some_runs: more items have begun than before the last kill
begun=0
some_runs() { [ -s "$work/runs" ] && [ "$(wc -l <"$work/runs")" -gt "$begun" ]; }
wait_for some_runs || fail "no item began"
kills=0
while kill -0 "$client" 2>/dev/null; do
    sleep 1
    begun=$(wc -l <"$work/runs")
    if [ $((kills % 2)) = 0 ]; then
        kill -9 "$agent_a"
        start_agent a
        agent_a=$agent
    else
        kill -9 "$agent_b"
        start_agent b
        agent_b=$agent
    fi
    kills=$((kills + 1))
    [ $kills -lt 60 ] || fail "no end after $kills kills"
done 2>/dev/null
wait "$client"
code=$?
client=
grep -qx "items=$ITEMS failed=0 wrong=0" "$work/out" && [ $code = 0 ] || fail "the map ended with $code"
[ $kills -ge 3 ] || fail "only $kills kills: the map was too short"

ran=$(cut -d' ' -f1 "$work/runs" | sort -u | wc -l)
[ "$ran" = "$ITEMS" ] || fail "$ran items ran"
again=$(($(wc -l <"$work/runs") - ran))
# Each kill loses what ran, and results that had not left.
[ $again -le $((kills * 20)) ] || fail "$again items ran again, for $kills kills"
for n in a b; do
    lives=$(grep -c "agent.open .*name=agent-$n" "$work/server.log")
    [ "$lives" -ge 2 ] || fail "agent-$n had only $lives lives"
done
echo "$ITEMS items, $kills agents killed: each index once, as computed here; $again items ran again," \
    "$(tail -n 1 "$work/client.log")"
