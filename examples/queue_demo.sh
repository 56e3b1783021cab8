#!/bin/sh
# queue_demo.sh [DIR] -- count the words below DIR with processes that share two queues, kill one of
# them while it works on a block, and compare the result with sort | uniq -c. Without DIR: the text
# that every system has, again and again until it is 360 MB.

# shellcheck source=examples/demo_lib.sh
. "$(dirname "$0")/demo_lib.sh"

consumers=3
kill_at=40                  # percent
limit=30000000              # bytes of different files, when no DIR is given; unpacked they are more
enough=360000000            # the files are taken again and again until there is so much

begin_demo reeve reeve-server examples/queue_wordcount
find_text $limit "$@"
times=1
[ $# -gt 0 ] || times=$(((enough + once / 2) / once))
[ $times -ge 1 ] || times=1
repeat_text $times

# ---- keys, a manager ----

new_key producer --rights 'open,put:wordcount/*'
new_key watcher --rights list
new_key collector --rights 'open,get:wordcount/results'
i=1
while [ $i -le $consumers ]; do
    new_key "consumer$i" --rights 'open,put,get:wordcount/*'
    i=$((i + 1))
done
start_manager
mkfifo "$tmp/progress" || die "cannot make a fifo"

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

say "counting the words of $text with $((consumers + 3)) processes:"
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
job_ms=$(milliseconds "$begin" "$(now)")
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

check_counts
ten_words
say "$(megabytes "$total") MB in $(seconds "$job_ms") s: $((total / 1000 / job_ms)) MB/s, $blocks blocks." \
    "sort | uniq -c of $(megabytes "$once") MB took $(seconds "$check_ms") s."
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
say "$fate"
say "checked against sort | uniq -c: equal."
