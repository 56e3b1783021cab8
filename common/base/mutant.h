#ifndef RV_MUTANT_H
#define RV_MUTANT_H

/*
 * mutant.h -- deliberate defects, to prove that the simulator sees.
 *
 * Only a build with -DRV_MUTANTS has them; everywhere else RV_MUTANT(x) is the constant
 * false. Each stands at the one line that it breaks.
 */

#define RV_MUTANT_LIST(X)                                                                          \
    X(NONE, "nothing broken")                                                                      \
    X(NO_DEDUPE, "a repeated call is applied again")                                               \
    X(EARLY_REPLY, "a reply leaves before its command is committed")                               \
    X(LEVEL_TOO_HIGH, "a reply says that it survives more than it does")                           \
    X(FULL_LOGGED, "what a full disk refuses is written to it first")                              \
    X(OLD_ATTEMPT, "an older connection may take a session back")                                  \
    X(LOST_NOTIFY, "a put does not wake who waits in get")                                         \
    X(RECALL_IGNORED, "the client keeps what was recalled")                                        \
    X(BOUND_OFF, "a queue takes one item more than its bound")                                     \
    X(CANCEL_KEPT, "a cancelled get keeps its item")                                               \
    X(REFCOUNT_OFF, "closing a handle drops one reference too few")                                \
    X(RETURN_TO_TAIL, "items of a dead session go to the tail")                                    \
    X(ACK_EARLY, "the client acknowledges what it has not received")                               \
    X(EXPIRY_FORGETS, "items of a dead session are dropped")                                       \
    X(TIMEOUT_IGNORED, "the manager forgets the deadline of a parked call")                        \
    X(ORPHAN_KEPT, "a connection that was given up keeps its session attached")                    \
    X(ACK_FORGOTTEN, "an acknowledgement that waits for company never leaves alone")               \
    X(WINDOW_SHUT, "an acknowledgement does not open the window")                                  \
    X(ACK_BEFORE_SYNC, "the log says committed before the disk has it")                            \
    X(TORN_TAIL_ACCEPTED, "a record is believed without its checksum")                             \
    X(REST_FORGOTTEN, "a log whose last segments are gone passes for a whole one")                 \
    X(TIMER_UNSAVED, "a snapshot forgets the deadline of a parked call")                           \
    X(FENCE_STANDS, "a new owner has the fence of the last one")                                   \
    X(FENCE_UNCHECKED, "a call with a void fence counts")                                          \
    X(FENCE_SLEEPS, "a call that waits outlives its fence")                                        \
    X(LEASE_STAYS, "a lease is not recalled when another asks")                                    \
    X(LEASE_KEPT, "a client uses a lease that was recalled")                                       \
    X(LOST_HANDOVER, "a release does not wake who waits")                                          \
    X(UNFAIR, "the last who came is served first")                                                 \
    X(DEATH_UNTOLD, "the next owner does not hear that the last one died")                         \
    X(PERMITS_LOST, "permits of a dead holder do not come back")                                   \
    X(RLOCK_FLAT, "the first release of an RLock gives it back")                                   \
    X(RLOCK_ANYBODYS, "an RLock may be released by who does not own it")                           \
    X(BOUNDED_GROWS, "a BoundedSemaphore takes more permits than it had")                          \
    X(NOTIFY_ALL, "a notify of one wakes everybody")                                               \
    X(SLEEP_HOLDS, "a wait does not take its lock again")                                          \
    X(EVENT_ONE, "set wakes the first who waits only")                                             \
    X(BARRIER_EARLY, "a barrier opens for one party too few")                                      \
    X(BARRIER_DEAF, "a barrier goes on waiting for the dead")                                      \
    X(CYCLE_UNSEEN, "a cycle of owners is not seen")                                               \
    X(RESULT_TWICE, "a result that comes a second time is given out again")                        \
    X(LEASE_FORGOTTEN, "what a dead agent had is not dealt again")                                 \
    X(BLAME_FORGOTTEN, "an item that kills its runner is tried for ever")                          \
    X(HOST_FORGOTTEN, "an item that takes its agent along is tried for ever")                      \
    X(SUSPECT_IN_COMPANY, "an item that may kill agents runs beside others")                       \
    X(DEATHLESS, "an item comes back for ever, however often it was delivered")                    \
    X(DEATH_LATE, "an item is delivered once more than its queue allows")                          \
    X(RETRY_AT_ONCE, "an item that came back does not wait for its time")                          \
    X(LEFT_TAKEN, "who reads a job that was left takes its results away")                          \
    X(LEFT_ENDED, "a job that was left ends with its client")                                      \
    X(REVOKED_STAYS, "sessions of a key that was taken away go on")                                \
    X(RIGHTS_STAY, "a right that was taken away counts for what is open")                          \
    X(QUOTA_OFF, "a quota is not looked at")                                                       \
    X(QUOTA_LEAKS, "what is given back counts for the quota for ever")                             \
    X(REF_UNCOUNTED, "a reference in an item does not keep its object")                            \
    X(REF_LEAKED, "a reference counts when its item is gone")                                      \
    X(REF_NOT_GIVEN, "who takes an item does not hold what it refers to")                          \
    X(REF_UNSAVED, "a snapshot forgets the references of items")                                   \
    X(PLEDGE_KEPT, "what was pledged for an item stays when the item is done")                     \
    X(PLEDGE_UNASKED, "a result may refer to what nobody has pledged")                             \
    X(DICT_KEEPS, "a pop leaves its key in the dict")                                              \
    X(DICT_UNSAVED, "a snapshot forgets the pairs of a dict")                                      \
    X(BATCH_HALF, "what was done before a call failed stays done")                                 \
    X(CAS_BLIND, "compare and set does not compare")                                               \
    X(CHANGE_UNTOLD, "who waits for a change is not told of it")                                   \
    X(LIST_UNSTABLE, "a sort leaves equal values in another order")                                \
    X(LIST_UNSAVED, "a snapshot forgets the last value of a list")                                 \
    X(SET_KEEPS, "a member that was discarded stays in its set")                                   \
    X(ARRAY_ANY, "an array takes any value")                                                       \
    X(UNDO_TO_TAIL, "a key that was taken out by a call that failed comes back at the end")        \
    X(UNDO_COUNTED, "what a call that failed had added counts for the quota for ever")             \
    X(CHANGE_EARLY, "who waits for a change hears of one that is undone")                          \
    X(VERSION_UNSAVED, "a snapshot forgets the version of a container")                            \
    X(SEEN_UNSAVED, "a snapshot forgets what who waits for a change has seen")                     \
    X(BOX_LESS_ASKED, "a call on a container asks for less than its object was opened with")       \
    X(BOX_SAID_SAFE,                                                                               \
      "a container's answer says that it survives the loss of power before it does")               \
    X(LATE_NEVER, "what is in no hurry never leaves alone")

#define RV_MUTANT_ENUM(name, text) RV_MUTANT_##name,
enum rv_mutant { RV_MUTANT_LIST(RV_MUTANT_ENUM) RV_MUTANTS_LEN };
#undef RV_MUTANT_ENUM

#ifdef RV_MUTANTS
extern enum rv_mutant rv_mutant;
#define RV_MUTANT(name) (rv_mutant == RV_MUTANT_##name)
#else
#define RV_MUTANT(name) false
#endif

#endif
