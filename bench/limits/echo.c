#include "bench/limits/echo.h"

#include <errno.h>

void echo_serve(void *arg)
{
    void *router = raw_router(arg);
    zmq_msg_t id, body;

    zmq_msg_init(&id);
    zmq_msg_init(&body);
    for (;;)
        if (zmq_msg_recv(&id, router, 0) < 0 || zmq_msg_recv(&body, router, 0) < 0 ||
            zmq_msg_send(&id, router, ZMQ_SNDMORE) < 0 || zmq_msg_send(&body, router, 0) < 0)
            bench_die("unable to echo: %s", zmq_strerror(errno));
}

void echo_call(void *dealer, size_t calls, int64_t *samples)
{
    char message[ECHO_MESSAGE] = {0};

    for (size_t i = 0; i < calls; i++) {
        const int64_t begin = bench_now();
        bench_number(message, i);
        raw_send(dealer, message, sizeof message, 0);
        raw_receive(dealer, message, sizeof message);
        bench_check_number(message, i);
        samples[i] = bench_now() - begin;
    }
}
