#!/bin/sh
# A deadlock of three hosts, as who looks for it sees it: three network namespaces around the
# manager's, each with a host name of its own. Where this machine lets us have none, the three are
# processes of one host, and only the host names are not looked at.
. tests/e2e/lib.sh

tag=rvd$$
hosts='paris oslo rome'

# shellcheck disable=SC2317
remove_namespaces() {
    for n in m $hosts; do ip netns del "$tag-$n" 2>/dev/null; done
}

# on HOST COMMAND...
on() { shift; "$@"; }
inside=
bind=tcp://127.0.0.1:0
hosted=no
if [ "$(id -u)" = 0 ] && command -v ip >/dev/null && ip netns add "$tag-m" 2>/dev/null &&
    ip netns exec "$tag-m" unshare --uts true 2>/dev/null; then
    trap 'clean; remove_namespaces' EXIT
    hosted=yes
    ip -n "$tag-m" link set lo up
    ip -n "$tag-m" link add name hub0 type bridge && ip -n "$tag-m" link set hub0 up || exit 1
    ip -n "$tag-m" addr add 10.79.0.1/24 dev hub0
    i=2
    for n in $hosts; do
        ip netns add "$tag-$n" || exit 1
        ip link add name "$n" netns "$tag-m" type veth peer name eth0 netns "$tag-$n" || exit 1
        ip -n "$tag-m" link set "$n" master hub0 up
        ip -n "$tag-$n" addr add 10.79.0.$i/24 dev eth0
        ip -n "$tag-$n" link set eth0 up
        i=$((i + 1))
    done
    on() {
        host=$1
        shift
        exec ip netns exec "$tag-$host" unshare --uts sh -c 'hostname "$0"; exec "$@"' "$host" "$@"
    }
    inside="ip netns exec $tag-m"
    bind=tcp://10.79.0.1:7300
fi

new_key alice
mkfifo "$tmp/ready" || exit 1
# shellcheck disable=SC2086
$inside "$BUILD/reeve-server" --bind "$bind" --keys "$tmp/manager" --ready-fd 3 3>"$tmp/ready" \
    >"$tmp/manager.out" 2>"$tmp/manager.log" &
running="$running $!"
read -r REEVE_URL <"$tmp/ready" || {
    echo "the manager did not start:"
    cat "$tmp/manager.log"
    exit 1
}
REEVE_KEY=$tmp/keys/alice.key
export REEVE_URL REEVE_KEY

# why WHAT, from the first of the hosts: in $tmp/why.
why() { (on paris "$BUILD/reeve" why "$@") >"$tmp/why" 2>"$tmp/why.err"; }
line() { grep -E "$1" "$tmp/why" | sed -n 1p; }

# start LOCK_CIRCLE...: one on each host
start_circle() {
    i=0
    for n in $hosts; do
        (on "$n" "$BUILD/examples/lock_circle" $i "$@") >"$tmp/$n.out" 2>&1 &
        eval "circle_$i=$!"
        running="$running $!"
        i=$((i + 1))
    done
}

# The lines of the cycle say who waits, where, for how long, for what, and stand in its order.
as_names='s/^  session [0-9]+  lock_circle on [^ ]+, pid [0-9]+, thread 1  has waited [0-9.]+ m?s for Lock circle-([012]), held by$/waits \1/
s/^  session [0-9]+, the first of these$/first/'
cycle_is() { why "$1" && [ "$(sed -E -n "/^cycle: none of these goes on/,\$ { $as_names; p; }" "$tmp/why" | tail -n +2 | tr '\n' ' ')" = "$2" ]; }
seen() { cycle_is circle-0 'waits 0 waits 1 waits 2 first '; }

start_circle waits
check 'why explains the circle' wait_until seen
[ $failed = 0 ] || cat "$tmp/why" "$tmp/why.err"
if [ $hosted = yes ]; then
    for n in $hosts; do check "its line names $n" grep -qE "^  session .* on $n, pid .* has waited " "$tmp/why"; done
    check 'the owner, with its host' [ -n "$(line '^holds +Lock circle-0 +session [0-9]+ +lock_circle on paris, pid [0-9]+')" ]
    check 'who waits, with its host' [ -n "$(line '^waits +Lock circle-0 +session [0-9]+ +lock_circle on rome, pid [0-9]+')" ]
    check 'the log names all hosts' grep -qE 'lock.cycle calls=3 why=.*on (paris|oslo|rome), .*on (paris|oslo|rome), .*on (paris|oslo|rome), ' \
        "$tmp/manager.log"
fi
pid=$(sed -E -n 's/^holds .* pid ([0-9]+),.*/\1/p' "$tmp/why")
check 'the process id is the one of that host' grep -q lock_circle "/proc/$pid/cmdline"
equal 'the log tells it once' "$(grep -c 'lock.cycle' "$tmp/manager.log")" 1
waiter=$(line '^waits' | sed -E 's/.*session ([0-9]+) .*/\1/')
check 'of a session, too' cycle_is "$waiter" 'waits 0 waits 1 waits 2 first '

# The one that is killed breaks the circle, and why says no more of it.
kill -9 "$pid"
open_again() { why circle-0 && ! grep -q '^cycle' "$tmp/why"; }
check 'a death ends it' wait_until open_again
for pid in "$circle_0" "$circle_1" "$circle_2"; do wait "$pid"; done
finish
