#!/bin/sh
# A manager whose disk fills up, on a real file system of its own: what would make it hold more is
# refused by name, all else goes on, a kill loses nothing, and service returns by itself.
. tests/e2e/lib.sh

if [ "$(id -u)" != 0 ]; then
    echo 'skipped: only root may mount a disk'
    exit 77
fi
disk=$tmp/disk
mkdir "$disk"
unmount() {
    for pid in $running; do kill -9 "$pid" 2>/dev/null; done
    wait 2>/dev/null
    umount "$disk" 2>/dev/null || umount -l "$disk" 2>/dev/null
    clean
}
trap unmount EXIT
truncate -s 400M "$tmp/image"
if mkfs.ext4 -q "$tmp/image" 2>/dev/null && mount -o loop "$tmp/image" "$disk" 2>/dev/null; then
    kind=ext4
elif mount -t tmpfs -o size=400m none "$disk" 2>"$tmp/why"; then
    kind=tmpfs
else
    echo "skipped: no disk can be mounted here: $(cat "$tmp/why")"
    exit 77
fi
echo "    on $kind"

data=$disk/data
new_key alice --role admin
new_key worker --role worker
start_manager --data "$data"
export REEVE_KEY=$tmp/keys/alice.key
out=$tmp/worker.out err=$tmp/worker.log background "$BUILD/reeve-worker" --manager "$REEVE_URL" \
    --key "$tmp/keys/worker.key" --slots 1
start_again() {
    rm -f "$tmp/ready"
    mkfifo "$tmp/ready"
    "$BUILD/reeve-server" --bind "$REEVE_URL" --keys "$tmp/manager" --ready-fd 3 --data "$data" \
        3>"$tmp/ready" >"$tmp/manager.out" 2>>"$tmp/manager.log" &
    manager=$!
    running="$running $manager"
    read -r line <"$tmp/ready"
}
is_full() { reeve metrics | grep -qx 'reeve_disk_full 1'; }
has_room() { reeve metrics | grep -qx 'reeve_disk_full 0'; }
# One item and one reply each, so that what was acknowledged is known. The manager has a segment and a
# spare one that are its own already, and looks at the disk each 16 MiB.
head -c 500000 /dev/zero | tr '\0' x >"$tmp/pad"
item() { (printf 'item %s ' "$1" && cat "$tmp/pad" && echo) }
names() { sed 's/ x*$//'; }
put_until_refused() {
    while [ "$n" -lt 500 ]; do
        item "$n" | reeve put kept 2>"$tmp/refusal" || return 0
        n=$((n + 1))
    done
    return 1
}

# ---- it fills up ----

n=0
while [ $n -lt 20 ]; do
    item $n | reeve put kept || bad 'it serves at first'
    n=$((n + 1))
done
reeve put other x
"$BUILD/reeve" map -k -j 1 -- \
    sh -c "until [ -e '$tmp/go' ]; do sleep 0.1; done; cat '$tmp/pad'; echo {}" ::: a b c \
    >"$tmp/mapped" 2>"$tmp/map.err" &
map=$!
running="$running $map"
wait_until sh -c "'$BUILD/reeve' jobs | grep -q 'running [1-3]'" || bad 'a map has begun'
dd if=/dev/zero of="$disk/ballast" bs=1M 2>/dev/null
equal 'the disk has no byte left' "$(df --output=avail "$disk" | tail -1 | tr -d ' ')" 0
check 'puts are refused at last' put_until_refused
check 'by name' grep -q "manager's disk is full" "$tmp/refusal"
echo "    refused: $(cat "$tmp/refusal")"
check 'status says it' sh -c "'$BUILD/reeve' status | grep -q 'DISK IS FULL'"
check 'metrics say it' is_full
check 'the log says it' grep -q 'log.full' "$tmp/manager.log"
run reeve map -- echo ::: d
check 'a map is refused by name' grep -q "manager's disk is full" "$tmp/err"
equal 'trying again may help' "$code" 111

# ---- who tries for ever does not fill the rest of it ----

head -c 16777000 /dev/zero | tr '\0' y >"$tmp/large"
log_bytes() { reeve metrics | sed -n 's/^reeve_log_bytes //p'; }
before=$(log_bytes)
# Their bytes are several times what is left of the segment and the spare one.
hammer() {
    for _ in 1 2 3 4 5 6 7 8; do
        reeve put kept <"$tmp/large" 2>"$tmp/refusal.$1"
        cat "$tmp/refusal.$1" >>"$tmp/refusals"
        item never | reeve put kept 2>/dev/null
    done
}
hammers=
for i in 1 2 3; do
    hammer $i &
    hammers="$hammers $!"
done
running="$running $hammers"
equal 'items are taken meanwhile' "$(reeve get -n 5 kept | names | tr '\n' ' ')" \
    "$(seq 0 4 | sed 's/^/item /' | tr '\n' ' ')"
for pid in $hammers; do wait "$pid"; done
equal 'each large put is refused' "$(grep -c "manager's disk is full" "$tmp/refusals")" 24
grown=$(($(log_bytes) - before))
check 'the log has not grown by what was refused' [ $grown -lt 2000000 ]
echo "    500 MB refused, $grown bytes of log"

# ---- what needs no room goes on ----

equal 'items are taken' "$(reeve get -n 5 kept | names | tr '\n' ' ')" "$(seq 5 9 | sed 's/^/item /' | tr '\n' ' ')"
check 'objects are removed' reeve rm other
touch "$tmp/go"
wait "$map"
equal 'the map ends well' $? 0
equal 'with all its results' "$(tr -d x <"$tmp/mapped" | tr '\n' ' ')" 'a b c '
equal 'and all their bytes' "$(wc -c <"$tmp/mapped")" 1500006
equal 'one at a time under a lock' "$(reeve lock nightly -- echo held)" held

# ---- killed in that state ----

stop "$manager" KILL
start_again
check 'it starts on a full disk' is_full
run reeve put kept never
check 'it still refuses' grep -q "manager's disk is full" "$tmp/err"
equal 'and gives' "$(reeve get -n 1 kept | names)" 'item 10'

# ---- there is room again ----

rm "$disk/ballast"
check 'service returns by itself' wait_until has_room
check 'the log says so' grep -q 'log.room' "$tmp/manager.log"
reeve put kept last || bad 'puts are taken'
seq 11 $((n - 1)) | sed 's/^/item /' >"$tmp/wanted"
echo last >>"$tmp/wanted"
reeve get kept | names >"$tmp/got"
check "$n items were acknowledged, and each is there once, in order" cmp "$tmp/wanted" "$tmp/got"
echo "    $n items acknowledged, none lost"
stop "$manager" TERM
equal 'it ends in order' "$code" 0
check 'its log is whole' reeve log verify "$data"
finish
