#!/bin/sh
# Programs as services: what they tell the one who started them, and the units that start them.
. tests/e2e/lib.sh

new_key alice --rights all,run
new_key worker --role worker

# ---- $NOTIFY_SOCKET ----

cat >"$tmp/service.py" <<'END'
# service.py SOCKET WATCHDOG-USEC PROGRAM ARGUMENT...: start it as a service manager does; print each
# datagram of its. On a line of standard input: TERM, STOP, CONT. At its end print its exit code.
import os, select, signal, socket, subprocess, sys

name, usec, argv = sys.argv[1], sys.argv[2], sys.argv[3:]
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.bind("\0" + name[1:] if name[0] == "@" else name)
env = dict(os.environ, NOTIFY_SOCKET=name)
if usec != "0":
    env.update(WATCHDOG_USEC=usec)
child = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL)
pidfd = os.pidfd_open(child.pid)
while True:
    ready = select.select([sock, 0, pidfd], [], [], 60)[0]
    if not ready:
        print("silence", flush=True)
        child.kill()
        break
    if sock in ready:
        print(sock.recv(4096).decode(), flush=True)
    elif pidfd in ready:
        break
    else:
        word = sys.stdin.readline().strip()
        child.send_signal(getattr(signal, "SIG" + (word or "KILL")))
print("exit", child.wait(), flush=True)
END

# serve SOCKET USEC PROGRAM...: as a service; lines to it by 6, from it by 7.
serve() {
    rm -f "$tmp/to" "$tmp/from"
    mkfifo "$tmp/to" "$tmp/from"
    /usr/bin/python3 "$tmp/service.py" "$@" <"$tmp/to" >"$tmp/from" 2>"$tmp/service.log" &
    service=$!
    running="$running $service"
    exec 6>"$tmp/to" 7<"$tmp/from"
}
# until_line TEXT: read lines up to this one; those before it are in $before.
until_line() {
    before=
    while read -r line <&7; do
        [ "$line" != "$1" ] || return 0
        before="$before $line"
    done
    return 1
}
over() {
    exec 6>&- 7<&-
    wait $service
}

serve "$tmp/notify" 200000 "$BUILD/reeve-server" --bind "ipc://$tmp/server.sock" --keys "$tmp/manager" --data "$tmp/data"
check 'a manager says that it is ready' until_line READY=1
equal 'and nothing before' "$before" ''
check 'it answers then' reeve status --health --url "ipc://$tmp/server.sock"
for i in 1 2 3; do check 'it feeds the watchdog' until_line WATCHDOG=1; done
echo TERM >&6
check 'it says that it stops' until_line STOPPING=1
check 'it ends' until_line 'exit 0'
over

# An address without a file, and nobody who watches.
serve "@reeve-test-$$" 0 "$BUILD/reeve-server" --bind "ipc://$tmp/server.sock" --keys "$tmp/manager"
check 'an abstract address' until_line READY=1
echo TERM >&6
check 'it stops' until_line STOPPING=1
equal 'without a watchdog it is not fed' "$before" ''
over

start_manager
# until a manager is there: not ready; it is watched all the time
serve "$tmp/notify.worker" 200000 "$BUILD/reeve-worker" --manager "$REEVE_URL" --key "$tmp/keys/worker.key" --cache "$tmp/cache"
check 'an agent says that it is ready' until_line READY=1
check 'it feeds the watchdog' until_line WATCHDOG=1
check 'it works' env REEVE_KEY="$tmp/keys/alice.key" "$BUILD/reeve" run -- true
# what runs under an agent is no service
run env REEVE_KEY="$tmp/keys/alice.key" "$BUILD/reeve" run -- sh -c 'echo "${NOTIFY_SOCKET-none}"'
prints 'commands do not see the socket' none
echo TERM >&6
check 'it says that it stops' until_line STOPPING=1
check 'it ends' until_line 'exit 0'
over

# A program that is a service itself has a manager and agents of its own: they say nothing.
serve "$tmp/notify.own" 200000 env -u REEVE_URL "$BUILD/reeve" map -k --url private: -- echo ::: a b
check 'a program with a private manager ends well' until_line 'exit 0'
equal 'its manager and its agents say nothing' "$before" ' a b'
over

# ---- the units ----

for unit in packaging/systemd/*.service; do
    program=$(sed -n 's/^ExecStart=\/usr\/bin\/\([^ ]*\).*/\1/p' "$unit")
    for option in $(sed -n 's/^ExecStart=//p' "$unit" | grep -o -e '--[a-z-]*'); do
        check "$program knows $option" sh -c "'$BUILD/$program' --help | grep -qw -e $option"
    done
done
if command -v systemd-analyze >/dev/null; then
    mkdir "$tmp/units"
    for unit in packaging/systemd/*.service; do
        # The programs need not be installed here, nor their users and pages.
        sed "s|=/usr/bin/|=$BUILD/|; /^Documentation=/d; /^User=/d; /^Group=/d" "$unit" >"$tmp/units/${unit##*/}"
        run systemd-analyze verify --recursive-errors=no "$tmp/units/${unit##*/}"
        equal "systemd-analyze verifies ${unit##*/}" "$code $(cat "$tmp/out" "$tmp/err")" '0 '
    done
fi
finish
