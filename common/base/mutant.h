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
    X(WINDOW_SHUT, "an acknowledgement does not open the window")                                  \
    X(RESULT_TWICE, "a result that comes a second time is given out again")                        \
    X(LEASE_FORGOTTEN, "what a dead agent had is not dealt again")                                 \
    X(BLAME_FORGOTTEN, "an item that kills its runner is tried for ever")

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
