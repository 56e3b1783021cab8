#!/bin/sh
# demo.sh [DIR] -- count the words below DIR with processes that share two queues, kill one of
# them in the middle, and compare the result with sort | uniq -c.
#
# Everything it makes lies in one temporary directory, which goes when it ends, however it ends.
# BUILD says where the programs are; default: build.

set -u
LC_ALL=C
export LC_ALL

build=${BUILD:-build}
consumers=3
kill_at=40                  # percent
limit=60000000              # bytes, when no DIR is given
least=8000000               # with less text than that, the files are taken again and again

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
if [ $# -eq 0 ] && [ "$total" -lt $least ]; then
    cp "$tmp/files" "$tmp/once"
    once=$total
    while [ "$total" -lt $least ]; do
        cat "$tmp/once" >>"$tmp/files"
        total=$((total + once))
    done
fi

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

begin=$(now)
wordcount collector collect >"$tmp/counted" 2>"$tmp/progress" &
collector=$!
running="$running $collector"
i=1
while [ $i -le $consumers ]; do
    wordcount "consumer$i" consume 2>>"$tmp/trouble" &
    running="$running $!"
    [ $i -ne 1 ] || victim=$!
    i=$((i + 1))
done
wordcount producer produce - <"$tmp/files" 2>>"$tmp/trouble" &
producer=$!
running="$running $producer"

hashes=########################################
dashes=----------------------------------------
draw() {
    [ -t 2 ] || return 0
    ms=$((($(now) - begin) / 1000000 + 1))
    printf '\rwords  %.*s%.*s %3d%%  %s/%s MB  %s MB/s  %s blocks  %s again \033[K' \
        $((percent * 40 / 100)) "$hashes" $((40 - percent * 40 / 100)) "$dashes" "$percent" \
        $((bytes / 1000000)) $((total / 1000000)) $((bytes / 1000 / ms)) "$blocks" "$again" >&2
}

killed=
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
    if [ -z "$killed" ] && [ $percent -ge $kill_at ]; then
        kill -9 "$victim"
        killed=$percent
    fi
    if [ $percent -ne "$shown" ]; then
        shown=$percent
        draw
    fi
done <"$tmp/progress"
wait "$collector" || die "the collector failed: $(cat "$tmp/trouble" "$tmp/server.log")"
end=$(now)
wait "$producer" || die "the producer failed: $(cat "$tmp/trouble")"

# All consumers but the killed one have ended by themselves; the shell's words about that are not
# for the reader.
lost=no
{
    wait "$victim"
    [ $? -ne 137 ] || lost=yes
} 2>/dev/null
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
say "$((total / 1000000)) MB in $(seconds "$begin" "$end") s: $((total / 1000 / ms)) MB/s with $consumers consumers," \
    "$blocks blocks. sort took $(seconds "$check_begin" "$check_end") s."
fate="the job ended before a consumer could be killed."
[ $lost = no ] ||
    fate="a consumer was killed at $killed%: $again block$([ "$again" = 1 ] || echo s) ran again, none missing."
if ! cmp -s "$tmp/counted" "$tmp/wanted"; then
    diff "$tmp/wanted" "$tmp/counted" | head -5
    die "checked against sort | uniq -c: NOT equal; < is what it should be."
fi
say "checked against sort | uniq -c: equal.   $fate"
