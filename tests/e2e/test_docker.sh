#!/bin/sh
# The image and docker/compose.yaml, as a stranger uses them: keys by the one-shot service, a
# manager with a volume, four workers, the example. While it counts words, containers are killed,
# paused and cut off their network; the result is that of the plain pipeline. Then the manager's
# container is killed under load, and nothing that it acknowledged is lost.
#
# All that this makes is gone at the end, but for the images, which make the next time short.
. tests/e2e/lib.sh

skip() {
    echo "skipped: $*"
    exit 77
}
command -v docker >/dev/null || skip "docker is not installed"
timeout 20 docker info >/dev/null 2>&1 || skip "no docker engine answers here"
# COMPOSE='docker compose' or docker-compose, where both are there.
if [ -n "${COMPOSE:-}" ]; then
    compose=$COMPOSE
elif docker compose version >/dev/null 2>&1; then
    compose='docker compose'
elif command -v docker-compose >/dev/null; then
    compose=docker-compose
else
    skip "neither docker compose nor docker-compose is installed"
fi

project=rvtest$$
rounds=${ROUNDS:-8}
REEVE_IMAGE=reeve:test TEXTS=$tmp/texts BASE=${BASE:-debian:bookworm-slim} DOCKER_BUILDKIT=0
export REEVE_IMAGE TEXTS BASE DOCKER_BUILDKIT
# HOME is this test's own, and so is what docker would look up there.
c() { $compose -p "$project" -f docker/compose.yaml "$@" </dev/null; }
take_down() { c --profile job --profile tool down -v --remove-orphans -t 0 >>"$tmp/compose.log" 2>&1; }
# shellcheck disable=SC2317
clean_docker() {
    [ -z "${load_name:-}" ] || docker rm -f "$load_name" >/dev/null 2>&1
    docker ps -aq --filter "label=com.docker.compose.project=$project" 2>/dev/null |
        xargs -r docker unpause >/dev/null 2>&1
    take_down
    clean
}
trap clean_docker EXIT

stamp() { echo "    $(($(date +%s) - began)) s: $*"; }
began=$(date +%s)

# ---- the image ----

sh docker/base.sh "$BASE" || skip "the base image $BASE is not here, can't be pulled and can't be made"
for tag in "--target build -t reeve:test-build" "-t $REEVE_IMAGE"; do
    # shellcheck disable=SC2086
    docker build -q -f docker/Dockerfile --build-arg "BASE=$BASE" $tag . >"$tmp/build.log" 2>&1 || {
        tail -n 20 "$tmp/build.log"
        echo "the image can't be built"
        exit 1
    }
done
size() { docker image inspect --format '{{.Size}}' "$1"; }
stamp "the image has $(($(size $REEVE_IMAGE) / 1000000)) MB, $((($(size $REEVE_IMAGE) - $(size "$BASE")) / 1000000)) MB more than its base"
equal 'it does not run as root' "$(docker image inspect --format '{{.Config.User}}' $REEVE_IMAGE)" reeve

# ---- up ----

stamp "$compose $($compose version --short)"

mkdir "$TEXTS"
c up -d --scale worker=4 >"$tmp/compose.log" 2>&1 || {
    tail -n 20 "$tmp/compose.log"
    exit 1
}
manager=$(c ps -q manager)
set -- $(c ps -q worker)
equal 'four workers are up' $# 4
w1=$1 w2=$2 w3=$3 w4=$4
agents() { docker exec "$manager" reeve status | grep -c '^agent '; }
four() { [ "$(agents)" = 4 ]; }
wait_until four
equal 'the manager has them' "$(agents)" 4
health() { docker inspect --format '{{.State.Health.Status}}' "$manager"; }
equal 'the manager is healthy' "$(health)" healthy
stamp "up with 4 workers"

# ---- what the worker's key may do ----

as_worker() { docker exec -e REEVE_URL=tcp://manager:7300 -e REEVE_KEY=/keys/worker/worker.key "$w1" "$@"; }
run as_worker reeve put queue item
equal 'a worker puts nothing' "$code" 100
run as_worker reeve map ::: true
check 'it runs nothing on others' test "$code" != 0
run as_worker reeve shutdown
equal 'it ends no manager' "$code" 100
check 'its file is no business of others' test "$(docker exec "$w1" stat -c %a /keys/worker/worker.key)" = 600
run docker exec "$w1" ls /keys/manager/manager.key
check "the manager's key is not there" test "$code" != 0

# ---- health is what the core says ----

pid() { docker inspect --format '{{.State.Pid}}' "$1"; }
check 'the health check passes' docker exec "$manager" reeve status --health
kill -STOP "$(pid "$manager")"
run docker exec "$manager" reeve status --health --timeout 1
equal 'a core that does not answer is not healthy' "$code" 111
kill -CONT "$(pid "$manager")"

# ---- the example, with faults ----

# Some megabytes of text, again and again, and workers that are slow.
mkdir "$TEXTS/0"
find "$PWD" /usr/include /usr/share/common-licenses -name '*.[chxt]*' -type f -size +2k \
    ! -path "*/build*" -print0 2>/dev/null | sort -z | xargs -0 cat 2>/dev/null | head -c 12000000 >"$TEXTS/0/text"
copies=16
for i in $(seq $((copies - 1))); do mkdir "$TEXTS/$i" && ln "$TEXTS/0/text" "$TEXTS/$i/text"; done
chmod -R a+rX "$TEXTS"
docker update --cpus 0.1 "$w1" "$w2" "$w3" "$w4" >/dev/null
tr -cs A-Za-z '\n' <"$TEXTS/0/text" | sort | uniq -c | awk -v n=$copies 'NF == 2 { print $1 * n, $2 }' | sort >"$tmp/wanted"

c run --rm -T job >"$tmp/counted" 2>"$tmp/job.err" &
job=$!
running="$running $job"
busy() { docker exec "$manager" reeve jobs 2>/dev/null | grep -q '[1-9]'; }
wait_until busy
runs() { kill -0 $job 2>/dev/null; }
at_all() { # what a failed command said stands before its line
    timeout 60 "$@" >"$tmp/engine.out" 2>&1 || {
        cat "$tmp/engine.out"
        echo "failed: $*"
    } >>"$tmp/faults.log"
}
net=${project}_default
kinds=0
faults=0
: >"$tmp/faults.log"
# fault NAME COMMAND...: while the job runs; the first of each kind counts as a kind.
fault() {
    runs || return 1
    fault_name=$1
    shift
    "$@"
    faults=$((faults + 1))
    case " ${seen:-} " in *" $fault_name "*) ;; *) seen="${seen:-} $fault_name" kinds=$((kinds + 1)) ;; esac
}
kill_it() { at_all docker kill "$1"; at_all docker start "$1"; }
pause_it() { at_all docker pause "$1"; sleep "$2"; at_all docker unpause "$1"; }
# Its process runs. An engine calls one that it starts again `running`, too, with the id of none or
# of the one before; until that is over, it refuses to connect or disconnect it.
up() { [ "$(docker inspect --format '{{.State.Status}} {{.State.Restarting}}' "$1")" = 'running false' ] && [ "$(pid "$1")" != 0 ]; }
up_again() { up "$1" && [ "$(pid "$1")" != "$2" ]; }
on_net() { docker inspect --format '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}' "$1" | grep -q "^$net "; }
off_net() { ! on_net "$1"; }
cut_off() { # CONTAINER SECONDS [ALIAS]
    check "$1 runs before it is cut off" wait_until up "$1"
    at_all docker network disconnect "$net" "$1"
    check "$1 is cut off" off_net "$1"
    sleep "$2"
    check "$1 runs before it is back" wait_until up "$1"
    at_all docker network connect ${3:+--alias "$3"} "$net" "$1"
    check "$1 is back" on_net "$1"
}
crash() { # the process dies by itself; the engine starts it again
    dead=$(pid "$1")
    kill -9 "$dead"
    check "$1 is started again" wait_until up_again "$1" "$dead"
}
while runs; do
    fault kill-worker kill_it "$w1"
    fault kill-manager kill_it "$manager"
    fault pause-worker pause_it "$w2" 2
    fault cut-worker cut_off "$w3" 2
    fault pause-manager pause_it "$manager" 2
    fault crash-manager crash "$manager"
    fault cut-manager cut_off "$manager" 1 manager
    [ $faults -lt 60 ] || break
done
runs && kill $job
wait $job
equal 'the example ended well' $? 0
equal 'no command of the engine failed' "$(cat "$tmp/faults.log")" ''
sort "$tmp/counted" >"$tmp/sorted"
check 'its counts are those of sort | uniq -c' cmp "$tmp/wanted" "$tmp/sorted"
[ $failed = 0 ] || tail -n 5 "$tmp/job.err"
check 'there were four kinds of faults at least' test $kinds -ge 4
check 'every worker came back' wait_until four
stamp "$faults faults of $kinds kinds:${seen:-}; $(wc -l <"$tmp/wanted") words, $(awk '{ n += $1 } END { print n }' "$tmp/sorted") counted"

# ---- the manager's container is killed under load ----

docker update --cpus 0 "$w1" "$w2" "$w3" "$w4" >/dev/null
mkfifo "$tmp/ask" "$tmp/told"
load_name=$project-load
docker run -i --rm --name "$load_name" --user 10001 --network "$net" -v "${project}_client-keys:/keys:ro" \
    -e REEVE_URL=tcp://manager:7300 -e REEVE_KEY=/keys/client.key reeve:test-build \
    build/tests/e2e/durable_load <"$tmp/ask" >"$tmp/told" 2>"$tmp/trouble" &
load=$!
running="$running $load"
exec 4>"$tmp/ask" 5<"$tmp/told"
read -r line <&5
round=0
while [ $round -lt "$rounds" ]; do
    printf x >&4
    read -r line <&5 || break # it goes on
    kill_it "$manager" 4>&- 5<&-
    round=$((round + 1))
done
printf x >&4
read -r line <&5
exec 4>&-
read -r result <&5
wait $load
equal 'nothing was lost, doubled or refused' $? 0
head -n 5 "$tmp/trouble"
stamp "$round times killed under load: $result"

# ---- down ----

check 'the workers drain' c stop -t 60 worker
take_down
left() {
    docker ps -aq --filter "label=com.docker.compose.project=$project"
    docker volume ls -q --filter "name=$project"
    docker network ls -q --filter "name=$project"
}
equal 'nothing is left' "$(left)" ''
stamp "down"
finish
