#!/bin/sh
# The conformance tests against a manager over tcp: in another network namespace where this machine
# lets us have one, else on loopback.
. tests/e2e/lib.sh

[ -x "$BUILD/run-conform" ] || {
    echo "skipped: $BUILD/run-conform is not built"
    exit 77
}
tag=rvc$$
inside=
outside=
bind=tcp://127.0.0.1:0

# shellcheck disable=SC2317
remove_namespaces() {
    ip netns del "$tag-m" 2>/dev/null
    ip netns del "$tag-c" 2>/dev/null
}

if [ "$(id -u)" = 0 ] && command -v ip >/dev/null && ip netns add "$tag-m" 2>/dev/null &&
    ip netns exec "$tag-m" true 2>/dev/null; then
    trap 'clean; remove_namespaces' EXIT
    ip netns add "$tag-c" || exit 1
    ip link add name eth0 netns "$tag-m" type veth peer name eth0 netns "$tag-c" || exit 1
    for n in m c; do
        ip -n "$tag-$n" link set lo up
        ip -n "$tag-$n" link set eth0 up
    done
    ip -n "$tag-m" addr add 10.78.0.1/24 dev eth0
    ip -n "$tag-c" addr add 10.78.0.2/24 dev eth0
    inside="ip netns exec $tag-m"
    outside="ip netns exec $tag-c"
    bind=tcp://10.78.0.1:7300
fi

new_key alice --role admin
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
CONFORM_KILLS=${CONFORM_KILLS:-20} # a death elsewhere is certain after half a second
export REEVE_URL REEVE_KEY CONFORM_KILLS

# shellcheck disable=SC2086
$outside "$BUILD/run-conform" >"$tmp/conform.out" 2>&1
equal 'the conformance tests' "$? $(grep -c '^FAIL' "$tmp/conform.out")" '0 0'
[ "$failed" = 0 ] || cat "$tmp/conform.out"
finish
