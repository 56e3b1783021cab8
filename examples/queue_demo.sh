#!/bin/sh
# demo.sh [DIR] -- count the words below DIR with processes that share two queues, kill one of
# them while it works on a block, and compare the result with sort | uniq -c. Without DIR: the text
# that every system has, again and again until it is 360 MB.
#
# Everything it makes lies in one temporary directory, which goes when it ends, however it ends.
# BUILD says where the programs are; default: build.

set -u
LC_ALL=C
export LC_ALL

build=${BUILD:-build}
consumers=3
kill_at=40                  # percent
limit=60000000              # bytes of different text, when no DIR is given
enough=360000000            # the files are taken again and again until there is so much

tmp=
running=                    # what was started and not waited for

say() { printf '%s\n' "$*"; }
die() {
    [ ! -t 2 ] || printf '\r\033[K' >&2
    printf 'demo: %s\n' "$*" >&2
    exit 1
}

# shellcheck disable=SC2317
clean() {
    trap '' INT TERM HUP
    for pid in $running; do kill -9 "$pid" 2>/dev/null; done
    wait 2>/dev/null
    [ -z "$tmp" ] || rm -rf "$tmp"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

for program in reeve reeve-server examples/queue_wordcount; do
    [ -x "$build/$program" ] || die "cannot run $build/$program: it is not there; run: make"
done
tmp=$(mktemp -d "${TMPDIR:-/tmp}/reeve-demo.XXXXXX") || die "cannot make a temporary directory"

# ---- the input: names of files, one a line ----

# Sizes and names of files of text below the folders.
texts() {
    find "$@" -type f -size +0 ! -name '*.gz' ! -name '*.xz' ! -name '*.bz2' ! -name '*.zst' \
        ! -name '*.png' ! -name '*.jpg' ! -name '*.gif' ! -name '*.pdf' ! -name '*.pyc' \
        ! -name '*.html' ! -name '*.js' ! -name '*.css' ! -name '*.so*' ! -name '*.a' ! -name '*.o' \
        -exec wc -c {} + 2>/dev/null
}

# Names from sizes and names, up to a number of bytes.
up_to() {
    awk -v limit="$1" '{
        size = $1
        sub(/^ *[0-9]+ /, "")
        if ($0 == "total") next
        if (sum + size > limit) next
        sum += size
        print
    } END { print sum + 0 >size_file }' size_file="$tmp/total"
}

if [ $# -gt 0 ]; then
    [ -d "$1" ] || die "cannot read $1: it is not a directory"
    find "$1" -type f -size +0 -exec wc -c {} + | up_to 1e15 >"$tmp/files"
else
    texts /usr/share/doc /usr/share/common-licenses /usr/share/perl* /usr/share/vim \
        /usr/lib/python3* /usr/include /usr/share/info /usr/share/i18n | up_to $limit >"$tmp/files"
fi
read -r total <"$tmp/total"
[ "$total" -gt 0 ] || die "there is nothing to count; name a directory with text: ./demo DIR"
times=1
if [ $# -eq 0 ]; then
    cp "$tmp/files" "$tmp/once"
    once=$total
    while [ $((total + once / 2)) -lt $enough ]; do
        cat "$tmp/once" >>"$tmp/files"
        total=$((total + once))
        times=$((times + 1))
    done
fi
megabytes() { echo $((($1 + 500000) / 1000000)); }

# ---- keys, a manager ----

reeve() { "$build/reeve" "$@"; }

reeve keygen --dir "$tmp/manager" manager >/dev/null || die "cannot make the manager's key"
new_key() {
    name=$1
    shift
    reeve keygen --dir "$tmp/keys" --trust "$tmp/manager/manager.pub" "$@" "$name" >/dev/null &&
        cp "$tmp/keys/$name.pub" "$tmp/manager/authorized.d/" || die "cannot make the key $name"
}
new_key producer --rights 'open,put:wordcount/*'
new_key watcher --rights list
new_key collector --rights 'open,get:wordcount/results'
i=1
while [ $i -le $consumers ]; do
    new_key "consumer$i" --rights 'open,put,get:wordcount/*'
    i=$((i + 1))
done

mkfifo "$tmp/ready" "$tmp/progress" || die "cannot make a fifo"
"$build/reeve-server" --bind tcp://127.0.0.1:0 --keys "$tmp/manager" --ready-fd 3 \
    3>"$tmp/ready" 2>"$tmp/server.log" &
server=$!
running=$server
read -r REEVE_URL <"$tmp/ready" || die "the manager did not start: $(cat "$tmp/server.log")"
export REEVE_URL

# ---- the job ----

# A killed consumer's block comes back when the manager has given it up: after one second.
REEVE_RESUME_MS=1000
export REEVE_RESUME_MS

# wordcount KEY ARGUMENT...: becomes the program
wordcount() {
    REEVE_KEY=$tmp/keys/$1.key
    export REEVE_KEY
    shift
    exec "$build/examples/queue_wordcount" "$@"
}

now() { date +%s%N; }

counted_text="$(megabytes "$total") MB of text"
[ $times -eq 1 ] || counted_text="$counted_text ($(megabytes "$once") MB, $times times)"
say "counting the words of $counted_text with $((consumers + 3)) processes:"
say "a manager, a producer, $consumers consumers and a collector, each with a key of its own."

begin=$(now)
wordcount collector collect >"$tmp/counted" 2>"$tmp/progress" &
collector=$!
running="$running $collector"
alive=                      # of the consumers
i=1
while [ $i -le $consumers ]; do
    wordcount "consumer$i" consume 2>>"$tmp/trouble" &
    running="$running $!"
    alive="$alive $!"
    i=$((i + 1))
done
all_consumers=$alive
wordcount producer produce - <"$tmp/files" 2>>"$tmp/trouble" &
producer=$!
running="$running $producer"

# Does the consumer with this process id hold a block?
holds() {
    REEVE_KEY=$tmp/keys/watcher.key reeve status 2>/dev/null |
        grep -qE ", pid $1[, ] .* held [1-9]"
}

# Kill a consumer while it holds a block: it is stopped, so that what is seen stays true.
kill_one() {
    # shellcheck disable=SC2086
    set -- $alive
    [ $# -gt 1 ] || return 0
    victim=$1
    shift
    tries=0
    while kill -STOP "$victim" && ! holds "$victim" && [ $tries -lt 20 ]; do
        kill -CONT "$victim"
        tries=$((tries + 1))
    done
    kill -9 "$victim"
    alive=$*
    kills=$((kills + 1))
    [ $kills -eq 1 ] || killed="$killed and "
    killed="$killed$percent%"
    killed_at=$(now)
}

hashes=################
dashes=----------------
draw() {
    [ -t 2 ] || return 0
    ms=$((($(now) - begin) / 1000000 + 1))
    printf '\rwords  %.*s%.*s %3d%%  %s/%s MB  %s MB/s  eta %s s  killed %s  again %s\033[K' \
        $((percent * 16 / 100)) "$hashes" $((16 - percent * 16 / 100)) "$dashes" "$percent" \
        "$(megabytes "$bytes")" "$(megabytes "$total")" $((bytes / 1000 / ms)) \
        $(((100 - percent) * ms / (percent + 1) / 1000)) "$kills" "$again" >&2
}

# One at 40 percent; another if two seconds later no block of the first has come back.
maybe_kill() {
    [ "$percent" -ge $kill_at ] && [ "$again" -eq 0 ] || return 0
    [ $kills -eq 0 ] || [ $((($(now) - killed_at) / 1000000)) -gt 2000 ] || return 0
    kill_one 2>/dev/null
}

killed=
kills=0
shown=-1
blocks=0 bytes=0 again=0 twice=0
while read -r word b _ by _ ag _ tw; do
    if [ "$word" != blocks ]; then
        echo "$word $b $by $ag $tw" >>"$tmp/trouble"
        continue
    fi
    blocks=$b bytes=$by again=$ag twice=$tw
    percent=$((bytes * 100 / total))
    [ $percent -le 100 ] || percent=100
    if [ "$percent $again" != "$shown" ]; then
        shown="$percent $again"
        maybe_kill
        draw
    fi
done <"$tmp/progress"
wait "$collector" || die "the collector failed: $(cat "$tmp/trouble" "$tmp/server.log")"
end=$(now)
wait "$producer" || die "the producer failed: $(cat "$tmp/trouble")"

# The shell's words about a killed consumer are not for the reader.
lost=0
for pid in $all_consumers; do
    wait "$pid"
    [ $? -ne 137 ] || lost=$((lost + 1))
done 2>/dev/null
kill -TERM "$server"
wait "$server" || die "the manager failed: $(cat "$tmp/server.log")"
[ ! -t 2 ] || printf '\r\033[K' >&2

# ---- the check ----

[ ! -t 2 ] || printf 'checking ...' >&2
check_begin=$(now)
tr '\n' '\0' <"$tmp/files" | xargs -0 grep -ah '' | tr -cs A-Za-z '\n' | sort -T "$tmp" | uniq -c |
    awk 'NF == 2 { print $1, $2 }' | sort -k1,1nr -k2,2 >"$tmp/wanted"
check_end=$(now)
[ ! -t 2 ] || printf '\r\033[K' >&2

# seconds FROM TO
seconds() {
    ms=$((($2 - $1) / 1000000))
    printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100))
}

head -10 "$tmp/counted" | awk '{ printf "%10d %s\n", $1, $2 }'
ms=$(((end - begin) / 1000000 + 1))
say "$(megabytes "$total") MB in $(seconds "$begin" "$end") s: $((total / 1000 / ms)) MB/s, $blocks blocks." \
    "sort | uniq -c took $(seconds "$check_begin" "$check_end") s."
case $again in
0) ran='it held no block, none is missing.' ;;
1) ran='1 block ran again, none missing.' ;;
*) ran="$again blocks ran again, none missing." ;;
esac
case $lost in
0) fate='The job ended before a consumer could be killed.' ;;
1) fate="A consumer was killed at $killed: $ran" ;;
*) fate="$lost consumers were killed, at $killed: $ran" ;;
esac
if ! cmp -s "$tmp/counted" "$tmp/wanted"; then
    diff "$tmp/wanted" "$tmp/counted" | head -5
    die "checked against sort | uniq -c: NOT equal; < is what it should be."
fi
say "$fate"
say "checked against sort | uniq -c: equal."
