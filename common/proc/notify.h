#ifndef RV_NOTIFY_H
#define RV_NOTIFY_H

/*
 * notify.h -- tell who started us as a service how we are: the datagrams of sd_notify, to the socket
 * that $NOTIFY_SOCKET names. Without it nothing happens.
 */

#include "common/base/base.h"

/* "READY=1", "STOPPING=1". Does not block. */
void rv_notify(const char *state);

/* Not us but the program that started us is the service. */
void rv_notify_never(void);

/* A loop that shows that it goes round: twice in the time after which it would be taken for dead. */
struct rv_watchdog {
    rv_ns period;
    rv_ns next; /* RV_NEVER: nobody watches */
};

void rv_watchdog_begin(struct rv_watchdog *dog, rv_ns now);
void rv_watchdog_round(struct rv_watchdog *dog, rv_ns now);

#endif
