#!/bin/sh
# demo.sh [DIR] -- count the words below DIR with two agents, kill a runner and then an agent while
# they work, and compare the result with sort | uniq -c. Without DIR: the text that every system
# has, so often that it takes about 20 seconds.

# shellcheck source=examples/demo_lib.sh
. "$(dirname "$0")/demo_lib.sh"

slots=2                     # of each agent, at least
kill_runner_at=40           # percent
kill_agent_at=60
kill_agent_anyway=75         # also when no item of the runner has come back yet
limit=40000000              # bytes of different files, when no DIR is given; unpacked they are more
work_ms=20000               # then the text is counted again and again for about so long

begin_demo reeve reeve-server reeve-worker examples/wordcount
find_text $limit "$@"

# ---- keys, a manager, two agents ----

processors=$(nproc 2>/dev/null || echo 2)
[ $((processors / 2)) -le $slots ] || slots=$((processors / 2))

# The agents may do an agent's work and nothing else. The client may use objects and run programs.
new_key one --role worker
new_key two --role worker
new_key client --rights 'open,put,get,run'
start_manager

# start_agent NAME: its process id is in $agent
start_agent() {
    "$build/reeve-worker" --name "$1" --key "$tmp/keys/$1.key" --slots $slots \
        --cache "$tmp/$1.cache" --ready-fd 3 3>"$tmp/$1.ready" 2>>"$tmp/$1.log" &
    agent=$!
    running="$running $agent"
}

# wait_agent NAME: until it takes work
wait_agent() {
    tries=0
    until [ -s "$tmp/$1.ready" ]; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || die "agent $1 did not start: $(cat "$tmp/$1.log")"
        sleep 0.05
    done
}

start_agent one
one=$agent
start_agent two
two=$agent
wait_agent one
wait_agent two

# ---- the job ----

REEVE_KEY=$tmp/keys/client.key
export REEVE_KEY

# How fast is this host? This also brings the program to the agents.
times=1
if [ $# -eq 0 ]; then
    tell 'trying how fast this host is ...'
    begin=$(now)
    "$build/examples/wordcount" - <"$tmp/once" >/dev/null 2>"$tmp/trouble" ||
        die "the job failed: $(cat "$tmp/trouble" "$tmp/server.log")"
    once_ms=$(milliseconds "$begin" "$(now)")
    times=$(((work_ms + once_ms / 2) / once_ms))
    [ $times -ge 1 ] || times=1
    tell
fi
repeat_text $times

# What a process of /proc is: its state and its parent.
stat_of() { read -r _ _ state parent _ <"/proc/$1/stat"; } 2>/dev/null

# children PID: process ids
children() {
    for process in /proc/[0-9]*; do
        pid=${process#/proc/}
        if stat_of "$pid" && [ "$parent" = "$1" ]; then echo "$pid"; fi
    done
}

# A runner is the child of a zygote, which is the child of an agent. One that works is killed.
kill_runner() {
    for zygote in $(children "$one") $(children "$two"); do
        for pid in $(children "$zygote"); do
            if stat_of "$pid" && [ "$state" = R ] && kill -9 "$pid" 2>/dev/null; then
                [ $runners_killed -gt 0 ] || runner_killed_at=$percent
                runners_killed=$((runners_killed + 1))
                killed_at=$(now)
                return
            fi
        done
    done
}

# With everything that it runs; another takes its place.
kill_agent() {
    kill -9 "$two" || return
    rm -f "$tmp/two.ready"
    agent_killed_at=$percent
    again_before=$again
    start_agent two
    two=$agent
}

# A runner that is killed between two items takes none with it: then another one goes.
maybe_kill() {
    [ "$percent" -ge $kill_runner_at ] && [ -z "$agent_killed_at" ] || return 0
    if [ $runners_killed -eq 0 ]; then
        kill_runner
    elif [ "$again" -eq 0 ] && [ "$(milliseconds "$killed_at" "$(now)")" -gt 700 ]; then
        kill_runner
    elif [ "$percent" -ge $kill_agent_at ] &&
        { [ "$again" -gt 0 ] || [ "$percent" -ge $kill_agent_anyway ]; }; then
        kill_agent
    fi
}

mkfifo "$tmp/report" || die "cannot make a fifo"
say "counting the words of $text with two agents, $slots slots each."

errors=$tmp/trouble
[ ! -t 2 ] || errors=/dev/stderr
begin=$(now)
"$build/examples/wordcount" --report "$tmp/report" - <"$tmp/files" >"$tmp/counted" 2>>"$errors" &
job=$!
running="$running $job"
runners_killed=0 runner_killed_at='' agent_killed_at='' again_before=0
blocks=0 percent=0 again=0
while read -r _ b _ p _ a; do
    blocks=$b percent=$p again=$a
    maybe_kill
done <"$tmp/report"
wait "$job" || die "the job failed: $(cat "$tmp/trouble" "$tmp/server.log")"
job_ms=$(milliseconds "$begin" "$(now)")

[ -z "$agent_killed_at" ] || wait_agent two
for pid in $one $two; do kill -TERM "$pid"; done
for pid in $one $two; do
    wait "$pid" || die "an agent failed: $(cat "$tmp/one.log" "$tmp/two.log")"
done
kill -TERM "$server"
wait "$server" || die "the manager failed: $(cat "$tmp/server.log")"

# ---- the check ----

check_counts
ten_words
say "$(megabytes "$total") MB in $(seconds "$job_ms") s: $((total / 1000 / job_ms)) MB/s, $blocks items." \
    "sort | uniq -c of $(megabytes "$once") MB took $(seconds "$check_ms") s."
say "checked against sort | uniq -c: equal."

# ran_again N
ran_again() {
    case $1 in
    0) echo 'no item had to run again, none missing.' ;;
    1) echo '1 item ran again, none missing.' ;;
    *) echo "$1 items ran again, none missing." ;;
    esac
}
runner='a runner was killed'
[ $runners_killed -le 1 ] || runner="$runners_killed runners were killed, the first"
[ -n "$agent_killed_at" ] || again_before=$again
if [ $runners_killed -eq 0 ]; then
    say 'the job ended before a runner could be killed.'
else
    say "$runner at $runner_killed_at%: $(ran_again "$again_before")"
fi
[ -z "$agent_killed_at" ] ||
    say "an agent was killed at $agent_killed_at% and started again: $(ran_again $((again - again_before)))"
