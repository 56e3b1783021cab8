#!/usr/bin/python3
"""The peers: CPython's multiprocessing, and Redis where redis-server is installed.

Runs one of them and prints its figures like the other programs. Nothing is encrypted here.
Redis is spoken to as by its C client: a pipeline is sent, then its answers are counted, which
costs Python little enough to leave the server the slower side.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from multiprocessing import Event, Pool, Process, Queue, Semaphore, SimpleQueue
from multiprocessing.managers import SyncManager

SMALL = b"x" * 64
LARGE = b"x" * (1024 * 1024)
SMOKE = "--smoke" in sys.argv
MISSING = 77


def figure(name, value):
    print(f"{name}={value:.10g}", flush=True)


def some(n):
    return max(n // 100, 20) if SMOKE else n


def manager():
    m = SyncManager(address=("127.0.0.1", 0), authkey=b"bench")
    m.start()
    return m


# ---- CPython ----


def produce(put, item, n, ready, begin):
    ready.wait()
    begin.put(time.monotonic())
    for _ in range(n):
        put(item)


def through(queue, item, n):
    """Items a second from one process to this one."""
    ready, begin = Event(), SimpleQueue()
    producer = Process(target=produce, args=(queue.put, item, n, ready, begin))
    producer.start()
    ready.set()
    for _ in range(n):
        queue.get()
    end = time.monotonic()
    producer.join()
    return n / (end - begin.get())


def local_queue():
    figure("items_per_s", through(Queue(), SMALL, some(200000)))


def managed_queue():
    with manager() as m:
        figure("items_per_s", through(m.Queue(), SMALL, some(20000)))


def managed_large():
    with manager() as m:
        figure("mb_per_s", through(m.Queue(), LARGE, some(300)) * len(LARGE) / 1e6)


def call(value, n):
    times = []
    for _ in range(n):
        begin = time.perf_counter_ns()
        value.get()
        times.append(time.perf_counter_ns() - begin)
    return sorted(times)


def managed_lock():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    n = some(20000)
    with manager() as m:
        lock = m.Lock()
        times = []
        for _ in range(n + n // 10):
            begin = time.perf_counter_ns()
            lock.acquire()
            lock.release()
            times.append(time.perf_counter_ns() - begin)
        times = sorted(times[n // 10:])
        figure("p50_us", times[n // 2] / 1e3)


def managed_object():
    """A dict without a name is made and dropped."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    n = some(500)
    with manager() as m:
        times = []
        for _ in range(n + n // 10):
            begin = time.perf_counter_ns()
            d = m.dict()
            del d
            times.append(time.perf_counter_ns() - begin)
        times = sorted(times[n // 10:])
        figure("p50_us", times[n // 2] / 1e3)


def lock_and_unlock(lock, n, ready, start):
    lock.acquire()  # the connection
    lock.release()
    ready.release()
    start.wait()
    for _ in range(n):
        lock.acquire()
        lock.release()
    ready.release()


def managed_lock_crowd():
    """Acquires a second of 64 processes that want one lock."""
    n = some(20000) // 64 + 1
    ready, start = Semaphore(0), Event()
    with manager() as m:
        lock = m.Lock()
        crew = [Process(target=lock_and_unlock, args=(lock, n, ready, start)) for _ in range(64)]
        for p in crew:
            p.start()
            ready.acquire()
        begin = time.monotonic()
        start.set()
        for _ in crew:
            ready.acquire()
        figure("calls_per_s", 64 * n / (time.monotonic() - begin))
        for p in crew:
            p.join()


def managed_call():
    every = os.sched_getaffinity(0)
    n = some(20000)
    os.sched_setaffinity(0, {min(every)})
    with manager() as m:
        value = m.Value("i", 0)
        call(value, n // 10)
        times = call(value, n)
        figure("p50_us", times[n // 2] / 1e3)
        figure("p99_us", times[n * 99 // 100] / 1e3)
    os.sched_setaffinity(0, every)
    with manager() as m:
        value = m.Value("i", 0)
        ready = threading.Barrier(65)
        each = n // 64 + 1

        def one():
            value.get()  # the connection of this thread
            ready.wait()
            call(value, each)

        # One after another: many that dial at once may wait for ever.
        threads = [threading.Thread(target=one) for _ in range(64)]
        for t in threads:
            t.start()
            time.sleep(0.02)
        ready.wait()
        begin = time.monotonic()
        for t in threads:
            t.join()
        figure("calls_per_s", 64 * each / (time.monotonic() - begin))


def nothing(x):
    return x


def pool(n, **options):
    with Pool(2) as p:
        p.map(nothing, range(64), chunksize=1)
        begin = time.monotonic()
        results = p.map(nothing, range(n), **options)
        figure("items_per_s", n / (time.monotonic() - begin))
        assert results[-1] == n - 1


def pool_each():
    pool(some(200000), chunksize=1)


def pool_chunks():
    pool(some(4000000))


# ---- Redis ----


class Redis:
    def __enter__(self):
        program = shutil.which("redis-server")
        if program is None:
            print("redis-server is not installed", file=sys.stderr)
            sys.exit(MISSING)
        self.dir = tempfile.TemporaryDirectory()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.server = subprocess.Popen(
            [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "no", "--dir", self.dir.name],
            stdout=subprocess.DEVNULL)
        for _ in range(500):
            try:
                self.connect().close()
                return self
            except ConnectionRefusedError:
                time.sleep(0.01)
        sys.exit("redis-server does not answer")

    def __exit__(self, *_):
        self.server.terminate()
        self.server.wait()
        self.dir.cleanup()

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s


def command(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def count(s, ends):
    """Of each receive, how many whole lines have each of ends."""
    rest = b""
    while True:
        data = s.recv(1 << 20)
        if not data:
            sys.exit("redis-server closed the connection")
        rest += data
        whole = rest.rfind(b"\n") + 1
        yield tuple(rest.count(end, 0, whole) for end in ends)
        rest = rest[whole:]


def push_all(redis, request, requests, answers, ready, begin):
    s = redis.connect()
    lines = count(s, (b"\r\n",))
    ready.wait()
    begin.put(time.monotonic())
    for _ in range(requests):
        s.sendall(request)
        wanted = answers
        while wanted > 0:
            wanted -= next(lines)[0]


def pop_all(redis, request, answers, n):
    """Ask until n items came."""
    s = redis.connect()
    items = count(s, (SMALL[-1:] + b"\r\n", b"*" if answers == 1 else b"$"))
    got = 0
    while got < n:
        s.sendall(request)
        wanted = answers
        while wanted > 0:
            came, answered = next(items)
            got += came
            wanted -= answered
    return time.monotonic()


def redis_through(push, push_answers, pop, pop_answers, each, n):
    n -= n % each
    with Redis() as redis:
        ready, begin = Event(), SimpleQueue()
        producer = Process(target=push_all,
                           args=(redis, push, n // each, push_answers, ready, begin))
        producer.start()
        ready.set()
        end = pop_all(redis, pop, pop_answers, n)
        producer.join()
        figure("items_per_s", n / (end - begin.get()))


def redis_queue():
    redis_through(command(b"LPUSH", b"q", SMALL) * 256, 256, command(b"RPOP", b"q") * 256, 256,
                  256, some(400000))


def redis_many():
    redis_through(command(b"LPUSH", b"q", *[SMALL] * 128), 1, command(b"RPOP", b"q", b"128"), 1,
                  128, some(800000))


PEERS = {f.__name__: f for f in (local_queue, managed_queue, managed_large, managed_call, managed_lock,
                                 managed_lock_crowd, pool_each, pool_chunks, redis_queue, redis_many)}

if __name__ == "__main__":
    PEERS[sys.argv[-1]]()
