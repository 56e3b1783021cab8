#!/bin/sh
# reeve metrics: what Prometheus reads, once and over HTTP.
. tests/e2e/lib.sh

new_key alice
new_key putter --rights 'open,put:jobs*'
start_manager --data "$tmp/data"
export REEVE_KEY=$tmp/keys/alice.key

run reeve put 'a"b\c' one two three
prints 'a queue with an odd name' ''
run reeve get -n 1 'a"b\c'
prints 'one is taken' one

# metric NAME: its figure in what was printed last.
metric() { sed -n "s/^reeve_$1 //p" "$tmp/out"; }

run reeve metrics
equal 'it ends well' "$code" 0
equal 'up' "$(metric up)" 1
equal 'puts' "$(metric puts_total)" 3
equal 'gets' "$(metric gets_total)" 1
equal 'one queue' "$(metric queued_items)" 2
check 'its name is quoted' grep -qxF 'reeve_queue_items{queue="a\"b\\c"} 2' "$tmp/out"
check 'the log has commits' test "$(metric log_commits_total)" -gt 0
check 'in groups that took time' sh -c "awk '/^reeve_log_latency_seconds / { exit !(\$2 > 0 && \$2 < 60) }' '$tmp/out'"
equal 'the disk has room' "$(metric disk_full)" 0

cat >"$tmp/lint.py" <<'END'
"""Each line is a comment or a sample; the samples of a name stand together, behind its type."""
import re, sys
seen, current = set(), None
for line in sys.stdin.read().splitlines():
    if line.startswith("# "):
        assert re.fullmatch(r"# (HELP reeve_[a-z_]+ .+\.|TYPE reeve_[a-z_]+ (gauge|counter))", line), line
        if line.startswith("# TYPE "):
            current = line.split()[2]
            assert current not in seen, current
            assert current.endswith("_total") == line.endswith("counter"), line
            seen.add(current)
        continue
    sample = re.fullmatch(r'(reeve_[a-z_]+)(\{([a-z]+="([^"\\\n]|\\["\\])*",?)+\})? [0-9.e+-]+', line)
    assert sample and sample[1] == current, line
assert len(seen) > 20
END
check 'all of it is as Prometheus wants it' sh -c "/usr/bin/python3 '$tmp/lint.py' <'$tmp/out'"

REEVE_KEY=$tmp/keys/putter.key run reeve metrics
equal 'without the right to list' "$code" 0
equal 'the manager itself is shown' "$(metric puts_total)" 3
check 'and no queue' sh -c "! grep -q '^reeve_queue_items{' '$tmp/out'"

run reeve metrics --listen nowhere
says 'an address has a port' 2 'it must be ADDRESS:PORT'

out=$tmp/listen.out err=$tmp/listen.err background "$BUILD/reeve" metrics --timeout 1 --listen 127.0.0.1:0
listener=$started
wait_until grep -q 'http://127.0.0.1:[1-9]\|libmicrohttpd' "$tmp/listen.err" || bad 'it says where'
if grep -q libmicrohttpd "$tmp/listen.err"; then
    wait "$listener"
    equal 'without its library it says so' "$?" 100
else
    at=$(sed -n 's/.* \(http:.*\)$/\1/p' "$tmp/listen.err")
    cat >"$tmp/fetch.py" <<'END'
import sys, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen(urllib.request.Request(sys.argv[2], method=sys.argv[1]), timeout=30)
    print(answer.status, answer.headers["Content-Type"])
    print(answer.read().decode(), end="")
except urllib.error.HTTPError as error:
    print(error.code)
END
    fetch() { /usr/bin/python3 "$tmp/fetch.py" "$@" >"$tmp/out" 2>"$tmp/err"; }
    fetch GET "$at"
    equal 'over HTTP' "$(head -1 "$tmp/out")" '200 text/plain; version=0.0.4; charset=utf-8'
    equal 'the same figures' "$(metric puts_total)" 3
    check 'and form' sh -c "tail -n +2 '$tmp/out' | /usr/bin/python3 '$tmp/lint.py'"
    fetch GET "${at%metrics}other"
    equal 'nothing else is there' "$(cat "$tmp/out")" 404
    fetch POST "$at"
    equal 'nobody sends anything' "$(cat "$tmp/out")" 405
    stop "$manager" KILL
    fetch GET "$at"
    equal 'it is told as down' "$(metric up)" 0
    stop "$listener"
    equal 'it ends when told to' "$code" 0
fi

finish
