#!/bin/sh
# Three hosts (network namespaces): a manager, a producer and a consumer, with keys made as in
# the README. While numbered lines flow through a queue, connections are reset and links go
# down ten times. Nothing may be lost, doubled or reordered.
set -u
BUILD=${BUILD:-build}
LINES=${LINES:-300000}
CUTS=${CUTS:-10}
BUILD=$(cd "$BUILD" && pwd)
tag=rv$$

if [ "$(id -u)" != 0 ] || ! command -v ip >/dev/null || ! command -v nft >/dev/null; then
    echo "skipped: needs root, ip and nft"
    exit 77
fi
if ! ip netns add "$tag-t" 2>/dev/null || ! ip netns exec "$tag-t" true 2>/dev/null; then
    ip netns del "$tag-t" 2>/dev/null
    echo "skipped: this machine lets us make no network namespace"
    exit 77
fi
ip netns del "$tag-t"

work=$(mktemp -d)
pids=
cleanup() {
    [ -z "$pids" ] || kill -9 $pids 2>/dev/null
    for n in m p c; do ip netns del "$tag-$n" 2>/dev/null; done
    ip link del "$tag-br" 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

fail() {
    echo "FAIL: $*"
    tail -5 "$work"/*.log 2>/dev/null
    exit 1
}

# Three namespaces around one namespace's bridge; the addresses are of this test only.
ip netns add "$tag-m" && ip netns add "$tag-p" && ip netns add "$tag-c" || fail "no namespaces"
ip -n "$tag-m" link add name hub0 type bridge && ip -n "$tag-m" link set hub0 up || fail "no bridge"
ip -n "$tag-m" addr add 10.77.0.1/24 dev hub0
ip -n "$tag-m" link set lo up
i=2
for n in p c; do
    ip link add name "$tag$n" netns "$tag-m" type veth peer name eth0 netns "$tag-$n" || fail "no veth"
    ip -n "$tag-m" link set "$tag$n" master hub0 up
    ip -n "$tag-$n" addr add 10.77.0.$i/24 dev eth0
    ip -n "$tag-$n" link set eth0 up
    ip -n "$tag-$n" link set lo up
    i=$((i + 1))
done

# Keys: each host makes its own, and one public file goes each way.
reeve=$BUILD/reeve
"$reeve" keygen --dir "$work/m" manager >"$work/keygen.log" || fail "keygen manager"
for n in producer consumer; do
    "$reeve" keygen --dir "$work/$n" --trust "$work/m/manager.pub" $n >>"$work/keygen.log" || fail "keygen $n"
    cp "$work/$n/$n.pub" "$work/m/authorized.d/"
done

ip netns exec "$tag-m" "$BUILD/reeve-server" --keys "$work/m" --bind tcp://10.77.0.1:7300 \
    --ready-fd 3 3>"$work/ready" 2>"$work/server.log" &
pids="$pids $!"
n=0
until [ -s "$work/ready" ]; do
    n=$((n + 1))
    [ $n -lt 100 ] || fail "the manager did not start"
    sleep 0.1
done

export REEVE_URL=tcp://10.77.0.1:7300
REEVE_KEY=$work/consumer/consumer.key ip netns exec "$tag-c" "$reeve" get numbers --follow --timeout 60 \
    >"$work/got" 2>"$work/consumer.log" &
consumer=$!
pids="$pids $consumer"

# A steady flow: bursts with pauses, so that every cut falls into traffic.
i=1
step=$((LINES / 100))
(
    while [ $i -le $LINES ]; do
        seq $i $((i + step - 1))
        i=$((i + step))
        sleep 0.12
    done
) | REEVE_KEY=$work/producer/producer.key ip netns exec "$tag-p" "$reeve" put numbers 2>"$work/producer.log" &
producer=$!
pids="$pids $producer"

nft_in() { ip netns exec "$tag-m" nft "$@"; }
c=0
while [ $c -lt "$CUTS" ]; do
    sleep 0.6
    case $((c % 3)) in
    0) # both hosts' connections are reset by the network
        nft_in add table inet cut
        nft_in add chain inet cut in '{ type filter hook input priority 0; }'
        nft_in add rule inet cut in tcp dport 7300 reject with tcp reset
        sleep 0.4
        nft_in delete table inet cut
        ;;
    1) # the consumer's link goes down
        ip -n "$tag-m" link set "${tag}c" down
        sleep 0.5
        ip -n "$tag-m" link set "${tag}c" up
        ;;
    2) # one way only: the manager's answers to the producer vanish
        nft_in add table inet cut
        nft_in add chain inet cut out '{ type filter hook output priority 0; }'
        nft_in add rule inet cut out ip daddr 10.77.0.2 drop
        sleep 0.5
        nft_in delete table inet cut
        ;;
    esac
    c=$((c + 1))
done

wait "$producer" || fail "the producer ended with $?"
n=0
while [ "$(wc -l <"$work/got")" -lt "$LINES" ]; do
    n=$((n + 1))
    [ $n -lt 300 ] || fail "only $(wc -l <"$work/got") of $LINES lines arrived"
    sleep 0.1
done
kill -INT "$consumer" 2>/dev/null
wait "$consumer" 2>/dev/null
seq 1 "$LINES" | cmp - "$work/got" || fail "lost, doubled or reordered"
resumes=$(grep -c session.resume "$work/server.log")
[ "$resumes" -ge 2 ] || fail "only $resumes sessions were resumed: the cuts did not cut"
echo "$LINES lines over $CUTS cuts: each once, in order; $resumes sessions resumed"
