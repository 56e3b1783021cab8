#!/bin/sh
# Dead letters by the tool: an item that kills who takes it, and what one does about it.
. tests/e2e/lib.sh

new_key alice
new_key guest --rights 'open,put:jobs*' --rights list
start_manager
export REEVE_KEY=$tmp/keys/alice.key

run reeve put --deliveries 2 jobs one
says 'only a joinable queue has dead letters' 100 'only a joinable queue has dead letters'

# A consumer that never says that an item is done.
cat >"$tmp/holder.c" <<'END'
#include <reeve.h>
#include <unistd.h>
int main(void)
{
    reeve_context *ctx = NULL;
    reeve_queue *q = NULL;
    reeve_value *item = NULL;
    if (reeve_open(&ctx, &(reeve_options){.resume_ms = 100}) != REEVE_OK ||
        reeve_queue_open(&q, ctx, "jobs", &(reeve_queue_options){.joinable = true}) != REEVE_OK ||
        reeve_queue_get(&item, q, 20000) != REEVE_OK || reeve_ping(ctx, 5000) != REEVE_OK)
        return 1;
    _exit(0);
}
END
${CC:-cc} -std=c11 -D_GNU_SOURCE -Iinclude "$tmp/holder.c" -o "$tmp/holder" \
    -L"$BUILD" -lreeve -Wl,-rpath,"$BUILD" || exit 1

run reeve put --joinable --deliveries 2 jobs poison
prints 'the queue is made' ''
check 'somebody dies with it' "$tmp/holder"
check 'and somebody else' "$tmp/holder"
wait_until sh -c "'$BUILD/reeve' dead ls jobs 2>/dev/null | grep -q poison" || bad 'it becomes a dead letter'
run reeve dead ls jobs
check 'ls tells how it ended' grep -qE '^1 +of jobs  .* ago  2 deliveries, the last (expired|lost) on .*  "poison"$' "$tmp/out"
run reeve dead ls jobs.dead
check 'by the name of either queue' grep -q poison "$tmp/out"
run reeve dead show jobs 1
equal 'show has a line for each delivery' "$(grep -cE '^    (expired|lost) .* ago  by alice: holder on .*, pid [0-9]+$' "$tmp/out")" 2
equal 'and the item' "$(tail -1 "$tmp/out")" '"poison"'
run reeve dead show jobs 7
says 'there is no other' 1 '^reeve: cannot show 7 of jobs: no such dead letter'
run reeve dead ls --json jobs
check 'as JSON' grep -q '"deliveries": *2.*"how":' "$tmp/out"
check 'status counts it' sh -c "'$BUILD/reeve' status | grep -q 'dead letters 1 '"
run reeve dead ls nothing
says 'a queue that is not there' 1 'no queue has dead letters of that name'
REEVE_KEY=$tmp/keys/guest.key run reeve dead ls jobs
says 'a key without the right get' 100 'no right get'
run reeve dead bury jobs
says 'three verbs' 2 'it is ls, show or requeue'
run reeve dead requeue jobs x
says 'numbers are numbers' 2 'not the number of a dead letter'

run reeve dead requeue jobs 1
prints 'it goes back' '1 requeued'
equal 'and is as new' "$(reeve get --joinable --timeout 2 -n 1 jobs)" poison
run reeve dead ls jobs
prints 'there are none left' ''
run reeve dead requeue jobs
prints 'then none go back' '0 requeued'

# From the dead-letter queue they can be taken for good.
run reeve put --joinable jobs again
check 'one more' "$tmp/holder"
check 'death' "$tmp/holder"
equal 'get takes a dead letter' "$(reeve get --timeout 10 -n 1 jobs.dead)" again

# A pause before the next delivery.
run reeve put --joinable --retry 6 later item
sed 's/"jobs"/"later"/' "$tmp/holder.c" >"$tmp/later.c"
${CC:-cc} -std=c11 -D_GNU_SOURCE -Iinclude "$tmp/later.c" -o "$tmp/later" \
    -L"$BUILD" -lreeve -Wl,-rpath,"$BUILD" || exit 1
check 'somebody dies' "$tmp/later"
wait_until sh -c "'$BUILD/reeve' ls later | grep -q ',later'" || bad 'it waits'
run reeve get --joinable later
equal 'it is not there yet' "$code" 1
equal 'and comes when it is time' "$(reeve get --joinable --timeout 30 -n 1 later)" item
finish
