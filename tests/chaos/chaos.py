#!/usr/bin/env python3
"""chaos.py -- faults at a manager, agents and clients that are real processes; then the books are read.

    chaos.py [--seed N] [--faults N] [--rate N]

Producers and consumers share a joinable queue, others one that has a single consumer, a lock, and a key
of a dict, and maps run all the time; each process writes down what it asked for and what it was told (client.c). Meanwhile, by a generator whose
seed is printed: processes are killed (-9) and started again, stopped and continued; the proxy that all
connections go through resets, delays and stalls them and flips bits; nftables drops packets in both or one
of two directions between two network namespaces; the disk of the log is full. What may not be:

    a put that was told OK and whose item never came, or came though nobody put it
    an item delivered as if for the first time twice, or after its task_done was told OK
    an item that comes to the single consumer before one that was put when its own put began, and that
        no consumer that was killed can have had
    a lock with two holders, or a fence that is not above those before it
    reads and sets of the key that no order explains, in which each takes effect at one moment of its call
    a map with a result too few, too many or at the wrong place

Without root there are no namespaces and no full disk; it says so, and does the rest.
"""
import argparse
import bisect
import collections
import errno
import os
import random
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
CLIENT = BUILD + "/tests/chaos/client"
RESUME_MS = "1500"  # what a killed client held comes back after so long
DEAD_NS = 5 * 10**9  # after so long nothing is granted to a consumer that was killed
PATIENT_MS = "60000"  # no map is so long without its manager
DISK_MB = 640  # the log makes files of 64 MB
failures = []
faults = collections.Counter()
faults_lock = threading.Lock()


def fail(text):
    failures.append(text)
    if len(failures) <= 20:
        print("FAIL", text, flush=True)


def sh(*argv, **kw):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=60, **kw)


def done_with(kind):
    with faults_lock:
        faults[kind] += 1


# ---- two namespaces: the manager's, and that of all others, where this program goes to live ----

class Net:
    """Without root: one host, and nothing to drop."""

    def __init__(self):
        tag = "rvch%d" % os.getpid()
        self.server_ns, self.client_ns = tag + "-m", tag + "-c"
        self.have = False
        if os.geteuid() != 0 or not (shutil.which("ip") and shutil.which("nft")):
            return
        if sh("ip", "netns", "add", self.server_ns).returncode != 0:
            return
        steps = [["ip", "netns", "add", self.client_ns]]
        steps.append(["ip", "link", "add", tag, "netns", self.server_ns, "type", "veth", "peer", "name", "eth0",
                      "netns", self.client_ns])
        for ns, dev, addr in ((self.server_ns, tag, "10.79.0.1/24"), (self.client_ns, "eth0", "10.79.0.2/24")):
            steps += [["ip", "-n", ns, "addr", "add", addr, "dev", dev], ["ip", "-n", ns, "link", "set", dev, "up"],
                      ["ip", "-n", ns, "link", "set", "lo", "up"]]
        rules = ("add table inet chaos; add chain inet chaos in { type filter hook input priority 0; };"
                 "add chain inet chaos out { type filter hook output priority 0; }")
        steps.append(["ip", "netns", "exec", self.client_ns, "nft", rules])
        self.have = True
        for step in steps:
            made = sh(*step)
            if made.returncode != 0:
                print("no namespaces:", " ".join(step), made.stdout.strip())
                self.close()
                self.have = False
                return

    def close(self):
        for ns in (self.server_ns, self.client_ns):
            sh("ip", "netns", "del", ns)

    def enter(self):
        if self.have:
            import ctypes
            with open("/run/netns/" + self.client_ns) as f:
                if ctypes.CDLL(None, use_errno=True).setns(f.fileno(), 0x40000000) != 0:
                    sys.exit("cannot enter " + self.client_ns)

    def at_server(self, argv):
        return ["ip", "netns", "exec", self.server_ns] + argv if self.have else argv

    def nft(self, rules):
        made = sh("nft", rules)
        if made.returncode != 0:
            fail("nft %s: %s" % (rules, made.stdout))


# ---- the proxy ----

class Pipe:
    """One connection: what comes at a goes to b, and back."""

    def __init__(self, a, b):
        self.ends = {a: b, b: a}
        self.queues = {a: collections.deque(), b: collections.deque()}  # to that end: (when, bytes)
        self.b = b
        self.over = self.told = False
        self.again_at = 0.0


class Proxy(threading.Thread):
    def __init__(self, to):
        super().__init__(daemon=True)
        self.to = to
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.pipes = {}
        self.asked = collections.deque()  # (what, number, seconds)
        self.delay_until = self.delay = self.stall_until = 0.0
        self.flips = 0
        self.random = random.Random(0)
        self.ended = False

    def run(self):
        while not self.ended:
            self.round()

    def close_pipe(self, pipe, reset):
        if pipe.over:
            return
        pipe.over = True
        for end in pipe.ends:
            if reset:
                try:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                except OSError:
                    pass
            self.selector.unregister(end)
            del self.pipes[end]
            end.close()

    def accept(self):
        a, _ = self.listener.accept()
        pipe = Pipe(a, self.dial())
        for s in pipe.ends:
            s.setblocking(False)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.pipes[s] = pipe
            self.selector.register(s, selectors.EVENT_READ)

    def dial(self):
        b = socket.socket()
        b.setblocking(False)
        b.connect_ex(self.to)
        return b

    def dial_again(self, pipe):
        """Nobody listened, and was told nothing: whoever accepts and hangs up would be taken for another manager."""
        old = pipe.b
        a = pipe.ends[old]
        self.selector.unregister(old)
        del self.pipes[old], pipe.ends[old]
        old.close()
        pipe.b = b = self.dial()
        pipe.ends.update({a: b, b: a})
        pipe.queues[b] = pipe.queues.pop(old)
        pipe.again_at = 0.0
        self.pipes[b] = pipe
        self.selector.register(b, selectors.EVENT_READ)

    def take(self, end):
        pipe = self.pipes.get(end)
        if pipe is None:
            return
        try:
            data = end.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            if end is pipe.b and not pipe.told:
                if pipe.again_at == 0.0:
                    pipe.again_at = time.monotonic() + 0.03
            else:
                self.close_pipe(pipe, True)
            return
        if self.flips > 0 and len(data) > 1:
            self.flips -= 1
            at = self.random.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ 1 << self.random.randrange(8)]) + data[at + 1:]
        now = time.monotonic()
        pipe.queues[pipe.ends[end]].append((now + (self.delay if now < self.delay_until else 0), data))

    def give(self, pipe, now):
        if pipe.over:
            return
        if 0.0 < pipe.again_at <= now:
            self.dial_again(pipe)
        if pipe.again_at > 0.0:
            return
        for end, queue in pipe.queues.items():
            while queue and queue[0][0] <= now and not pipe.over:
                when, data = queue.popleft()
                try:
                    sent = end.send(data)
                except (BlockingIOError, OSError) as err:
                    if not isinstance(err, BlockingIOError) and err.errno != errno.ENOTCONN:
                        if end is pipe.b and not pipe.told:
                            pipe.again_at = now + 0.03
                        else:
                            self.close_pipe(pipe, True)
                        return
                    sent = 0
                pipe.told = pipe.told or sent > 0 and end is pipe.b
                if sent < len(data):
                    queue.appendleft((when, data[sent:]))
                    return

    def round(self):
        while self.asked:
            what, number, seconds = self.asked.popleft()
            now = time.monotonic()
            if what == "reset":
                some = sorted(set(self.pipes.values()), key=id)
                for pipe in self.random.sample(some, min(number, len(some))):
                    self.close_pipe(pipe, True)
            elif what == "delay":
                self.delay, self.delay_until = seconds, now + 0.3
            elif what == "stall":
                self.stall_until = now + seconds
            elif what == "flip":
                self.flips = number
        waiting = any(q for p in set(self.pipes.values()) for q in p.queues.values())
        for key, _ in self.selector.select(0.005 if waiting else 0.02):
            if key.fileobj is self.listener:
                self.accept()
            elif time.monotonic() >= self.stall_until:
                self.take(key.fileobj)
        now = time.monotonic()
        if now < self.stall_until:
            time.sleep(0.005)
            return
        for pipe in set(self.pipes.values()):
            self.give(pipe, now)


# ---- processes ----

class Role:
    """A process that is started again whenever it has ended."""

    def __init__(self, lab, name, argv, env, books=False, ns=False):
        self.lab, self.name, self.argv, self.env, self.books, self.ns = lab, name, argv, env, books, ns
        self.lives = 0
        self.ended = collections.Counter()
        self.mutex = threading.Lock()
        self.process = None
        self.killed = False
        self.retired = False

    def start(self):
        self.lives += 1
        who = "%s.%d" % (self.name, self.lives)
        argv = [a.replace("WHO", who) for a in self.argv]
        out = open("%s/%s.%s" % (self.lab.dir, who, "book" if self.books else "out"), "ab")
        log = open("%s/%s.log" % (self.lab.dir, self.name), "ab")
        self.killed = False
        self.process = subprocess.Popen(self.lab.net.at_server(argv) if self.ns else argv, env=self.env,
                                        stdin=subprocess.DEVNULL, stdout=out, stderr=log)
        out.close()
        log.close()

    def look(self):
        """Has it ended? Then it begins anew."""
        with self.mutex:
            code = self.process.poll()
            if code is None or self.retired:
                return
            self.ended["killed" if self.killed else code] += 1
            self.start()

    def signal(self, number):
        with self.mutex:
            if self.process.poll() is None:
                self.killed = self.killed or number == signal.SIGKILL
                self.process.send_signal(number)

    def retire(self, seconds):
        with self.mutex:
            self.retired = True
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


class Lab:
    def __init__(self, args):
        self.args = args
        self.dir = tempfile.mkdtemp(prefix="reeve-chaos.")
        self.net = Net()
        self.roles = []
        self.stopping = threading.Event()
        self.healing = threading.Event()
        self.disk = False
        self.maps = self.map_lines = 0
        self.refused = 0

    def path(self, name):
        return self.dir + "/" + name

    def keys(self):
        keygen = [BUILD + "/reeve", "keygen", "--dir"]
        trust = ["--trust", self.path("keys/manager.pub")]
        for argv in (keygen + [self.path("keys"), "manager"],
                     keygen + [self.path("keys")] + trust + ["--rights", "all,run", "alice"],
                     keygen + [self.path("keys")] + trust + ["--role", "worker", "worker"]):
            made = sh(*argv)
            if made.returncode != 0:
                sys.exit("keygen: " + made.stdout)
        for name in ("alice", "worker"):
            shutil.copy(self.path("keys/%s.pub" % name), self.path("keys/authorized.d"))

    def begin(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("REEVE_")}
        env.update(HOME=self.path("home"), XDG_RUNTIME_DIR=self.path("home"), LC_ALL="C")
        os.mkdir(self.path("home"), 0o700)
        os.mkdir(self.path("data"), 0o700)
        if os.geteuid() == 0:
            self.disk = sh("mount", "-t", "tmpfs", "-o", "size=%dm,mode=700" % DISK_MB, "tmpfs",
                           self.path("data")).returncode == 0
        self.keys()
        self.net.enter()
        host = "10.79.0.1" if self.net.have else "127.0.0.1"
        port = 7300
        if not self.net.have:
            with socket.create_server((host, 0)) as s:
                port = s.getsockname()[1]
        self.manager = Role(self, "manager", [BUILD + "/reeve-server", "--keys", self.path("keys"), "--bind",
                                              "tcp://%s:%d" % (host, port), "--data", self.path("data/log")],
                            env, ns=True)
        self.proxy = Proxy((host, port))
        self.proxy.random = random.Random(self.args.seed + 1)
        self.proxy.start()
        url = "tcp://127.0.0.1:%d" % self.proxy.port
        client = dict(env, REEVE_URL=url, REEVE_KEY=self.path("keys/alice.key"), REEVE_RESUME_MS=RESUME_MS)
        self.mapper = dict(env, REEVE_LINGER_MS="60000", REEVE_URL=url, REEVE_KEY=self.path("keys/alice.key"), REEVE_RESUME_MS=PATIENT_MS)
        self.producers = [Role(self, "put%d" % i, [CLIENT, "put", "WHO"], client, True) for i in range(2)]
        self.consumers = [Role(self, "get%d" % i, [CLIENT, "get", "WHO"], client, True) for i in range(2)]
        self.liners = [Role(self, "line%d" % i, [CLIENT, "put", "WHO", "line"], client, True) for i in range(2)]
        self.single = [Role(self, "single", [CLIENT, "get", "WHO", "line"], client, True)]
        self.setters = [Role(self, "dict%d" % i, [CLIENT, "dict", "WHO"], client, True) for i in range(3)]
        self.lockers = [Role(self, "lock%d" % i, [CLIENT, "lock", "WHO"], client, True) for i in range(3)]
        self.agents = [Role(self, "agent%d" % i, [BUILD + "/reeve-worker", "--manager", url, "--key",
                                                  self.path("keys/worker.key"), "--cache", self.path("cache%d" % i),
                                                  "--slots", "2", "--name", "agent%d" % i], env) for i in range(2)]
        self.clients = self.producers + self.consumers + self.lockers + self.liners + self.single + self.setters
        self.roles = [self.manager] + self.agents + self.clients
        for role in self.roles:
            role.start()

    def tend(self):
        while not self.stopping.is_set():
            for role in self.roles:
                role.look()
            time.sleep(0.02)

    # Results of a map: one for each line, in its place.
    def run_maps(self):
        n = 0
        while not self.healing.is_set():
            lines = ["%d %d" % (n, i) for i in range(100)]
            try:
                made = subprocess.run([BUILD + "/reeve", "map", "-k", "--retries", "50", "--", "echo"],
                                      input="\n".join(lines) + "\n", env=self.mapper, text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=180)
            except subprocess.TimeoutExpired:
                fail("map %d has not ended after 180 s" % n)
                return
            if made.returncode in (100, 111) and "cannot open a session" in made.stderr and made.stdout == "":
                self.refused += 1  # its first handshakes were broken, for 5 s or by flips; it has done nothing
                continue
            if made.returncode == 111 and "the manager's disk is full" in made.stderr and made.stdout == "":
                self.refused += 1  # what is new is, then
                continue
            if made.returncode != 0 or made.stdout.split("\n")[:-1] != lines:
                fail("map %d: exit code %d, %d lines of %d; %s" % (n, made.returncode, made.stdout.count("\n"),
                                                                 len(lines), made.stderr[-500:]))
                return
            n += 1
            self.maps, self.map_lines = n, self.map_lines + len(lines)

    # ---- faults ----

    def enough(self):
        return self.healing.is_set() or sum(faults.values()) >= self.args.faults

    def at_processes(self, rng):
        what = rng.choices(["stop-client", "kill-client", "stop-agent", "kill-agent", "kill-runner"],
                           [8, 3, 3, 1, 3])[0]
        if what == "kill-runner":
            agent = rng.choice(self.agents)
            below = descendants(agent.process.pid)
            if not below:
                return
            try:
                os.kill(rng.choice(below), signal.SIGKILL)
            except ProcessLookupError:
                return
        else:
            role = rng.choice(self.clients if what.endswith("client") else self.agents)
            if what == "kill-client" and role in self.single and rng.random() < 0.7:
                return  # it should have an order of some length
            if what.startswith("kill"):
                role.signal(signal.SIGKILL)
            else:
                role.signal(signal.SIGSTOP)
                time.sleep(rng.uniform(0.01, 0.2))
                role.signal(signal.SIGCONT)
        done_with(what)

    def at_manager(self, rng):
        what = rng.choices(["kill-manager", "stop-manager", "full-disk" if self.disk else "stop-manager"],
                           [4, 3, 2])[0]
        if what == "kill-manager":
            self.manager.signal(signal.SIGKILL)
        elif what == "stop-manager":
            self.manager.signal(signal.SIGSTOP)
            time.sleep(rng.uniform(0.02, 0.3))
            self.manager.signal(signal.SIGCONT)
        else:
            try:
                fill(self.path("data/ballast"))
            except OSError as err:  # the log has filled it already
                fail("no room on the disk: %s" % err)
                return
            time.sleep(rng.uniform(0.1, 0.5))
            os.unlink(self.path("data/ballast"))
        done_with(what)
        time.sleep(rng.uniform(0.2, 1.5))

    def at_connections(self, rng):
        what = rng.choices(["reset", "delay", "flip", "stall"], [5, 5, 3, 2])[0]
        self.proxy.asked.append((what, rng.randrange(1, 4), rng.uniform(0.005, 0.15)))
        done_with(what)

    def at_packets(self, rng):
        what = rng.choice(["drop", "cut-out", "cut-in", "cut-both"])
        rules = {"drop": "add rule inet chaos out oif eth0 numgen random mod 100 < 30 drop;",
                 "cut-out": "add rule inet chaos out oif eth0 drop;", "cut-in": "add rule inet chaos in iif eth0 drop;",
                 "cut-both": "add rule inet chaos out oif eth0 drop; add rule inet chaos in iif eth0 drop;"}
        self.net.nft(rules[what])
        time.sleep(rng.uniform(0.02, 0.25))
        self.net.nft("flush chain inet chaos in; flush chain inet chaos out")
        done_with(what)

    def inject(self, number, fault, pause):
        rng = random.Random(self.args.seed * 1000 + number)
        while not self.enough():
            fault(rng)
            time.sleep(rng.uniform(0, 2 * pause / self.args.rate))

    def storm(self):
        kinds = [(self.at_processes, 0.2), (self.at_processes, 0.2), (self.at_manager, 0.2), (self.at_connections, 0.17)]
        if self.net.have:
            kinds.append((self.at_packets, 0.2))
        threads = [threading.Thread(target=self.inject, args=(i, fault, pause), daemon=True)
                   for i, (fault, pause) in enumerate(kinds)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def left_over(self):
        """What the manager says of a queue; "" when both are empty and all is done."""
        for queue in ("work", "line"):
            ls = sh(BUILD + "/reeve", "ls", "--json", queue, env=self.mapper)
            if not (re.search(r'"size": ?0\b', ls.stdout) and re.search(r'"unfinished": ?0\b', ls.stdout)):
                return ls.stdout.strip() or "no answer"
        return ""

    def heal(self):
        """No more faults: all that was put comes, and all ends well."""
        self.healing.set()
        for role in self.roles:
            role.signal(signal.SIGCONT)
        for role in self.producers + self.liners + self.lockers + self.setters:
            if role.retire(90) is None:
                fail("%s does not end, %s" % (role.name, tail(self.path(role.name + ".log"))))
        began = time.monotonic()
        while time.monotonic() - began < 90:
            # What a killed consumer had comes back when its session ends; somebody finishes it.
            left = self.left_over()
            if not left:
                break
            time.sleep(0.2)
        if left:
            fail("something is left in the queue: " + left)
        self.drain_s = time.monotonic() - began
        for role in self.consumers + self.single:
            if role.retire(90) is None:
                fail("%s does not end" % role.name)
        if self.map_thread.is_alive():
            self.map_thread.join(200)
        self.stopping.set()
        for role in self.agents + [self.manager]:
            code = role.retire(60)
            if code != 0:
                fail("%s ended with %s: %s" % (role.name, code, tail(self.path(role.name + ".log"))))

    def end(self):
        self.stopping.set()
        self.healing.set()
        time.sleep(0.1)
        for role in self.roles:
            with role.mutex:
                role.retired = True
                if role.process is not None and role.process.poll() is None:
                    role.process.kill()
                    role.process.wait()
        if self.disk:
            sh("umount", "-l", self.path("data"))
        if self.net.have:
            self.net.close()
        if not failures:
            shutil.rmtree(self.dir, ignore_errors=True)


def descendants(pid):
    below = []
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            children = [int(c) for c in f.read().split()]
    except OSError:
        return below
    for c in children:
        below += [c] + descendants(c)
    return below


def fill(path):
    f = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    at = 0
    for size in (1 << 24, 1 << 16, 1 << 12):
        try:
            while True:
                os.posix_fallocate(f, at, size)
                at += size
        except OSError:
            pass
    os.close(f)


def tail(path):
    with open(path, errors="replace") as f:
        return f.read()[-400:]


# ---- what an order can explain ----

NEVER = float("inf")


def out_of_line(line, puts):
    """Of a queue with one consumer: line has the items as they came, and since when no other consumer could have
    had them; puts when each put began and was told OK (NEVER: it was not). Pairs of which the second came later,
    though it was put before the first one's began, and nobody can have had it ahead of his asking and died."""
    wrong = []
    newest, began = None, -1
    for item, since in line:
        if since <= puts[item][0] and puts[item][1] < began:
            wrong.append((newest, item))
        if puts[item][0] > began:
            newest, began = item, puts[item][0]
    return wrong


def no_register(sets, reads):
    """Why no order of these calls on one register explains what was read; None when one does.
    sets: value -> (began, told OK; NEVER: perhaps it took effect); reads: (began, ended, value; None: it was
    empty). As each value is set once, a value with all its reads takes an interval of the order: a forward one,
    from when the first of its calls had ended until the last of them began, is its alone; one whose calls all
    overlap must have a moment outside of them (Gibbons and Korach, 1997)."""
    calls = {value: [span] for value, span in sets.items()}
    calls[None] = [(-2, -1)]
    seen = {None}
    for began, ended, value in reads:
        if value not in calls:
            return "%s was read and never set" % value
        if value is not None and ended < sets[value][0]:
            return "%s was read before it was set" % value
        calls[value].append((began, ended))
        seen.add(value)
    forward, backward = [], []
    for value, spans in calls.items():
        if value not in seen and spans[0][1] == NEVER:
            continue  # perhaps it never was
        first, last = min(end for _, end in spans), max(begin for begin, _ in spans)
        (forward if first < last else backward).append((min(first, last), max(first, last), value))
    forward.sort(key=lambda zone: zone[:2])
    for one, two in zip(forward, forward[1:]):
        if two[0] < one[1]:
            return "%s and %s were both there, one after the other in both orders" % (one[2], two[2])
    starts = [zone[0] for zone in forward]
    for low, high, value in backward:
        at = bisect.bisect_left(starts, low) - 1
        if at >= 0 and high < forward[at][1]:
            return "%s was set and %s was there before and after" % (value, forward[at][2])
    return None


def check_checks():
    puts = {"a": (1, 2), "b": (3, 4), "c": (3, NEVER)}
    for order, since in (("abc", 0), ("acb", 0), ("ba", 2)):
        assert out_of_line([(item, since) for item in order], puts) == [], order
    assert out_of_line([("b", 0), ("a", 1)], puts) == [("b", "a")]
    sets = {"x": (10, 20), "y": (30, 40), "z": (50, NEVER)}
    for reads in ([(1, 5, None), (21, 25, "x"), (41, 45, "y")], [(12, 14, "x"), (31, 32, "x"), (33, 34, "y")],
                  [(60, 61, "y"), (62, 63, "z")], [(11, 12, None)]):
        assert no_register(sets, reads) is None, reads
    for reads in ([(1, 5, "x")], [(41, 45, "x")], [(21, 25, None)], [(12, 14, "x"), (15, 16, None)],
                  [(31, 32, "y"), (33, 34, "x")], [(60, 61, "z"), (62, 63, "y")], [(60, 61, "w")]):
        assert no_register(sets, reads) is not None, reads


# ---- the books ----

class Books:
    def __init__(self, folder):
        self.begun, self.put, self.got, self.first = set(), set(), {}, collections.Counter()
        self.done, self.finished, self.locks, self.errors = {}, set(), [], collections.Counter()
        self.again = 0
        self.puts, self.line = {}, []
        self.sets, self.reads = {}, []
        for name in sorted(os.listdir(folder)):
            if name.endswith(".book"):
                with open(folder + "/" + name) as f:
                    self.read(name[:-5], f)

    def read(self, who, lines):
        asked = 0
        looked = 0
        since = None
        hold = None
        for line in lines:
            if not line.endswith("\n"):
                continue  # being written
            words = line.split()
            kind, at = words[0], int(words[1])
            rest = words[2:]
            since = at + DEAD_NS if since is None else since
            if kind == "p":
                self.begun.add("%s %s" % (who, rest[0]))
                self.puts["%s %s" % (who, rest[0])] = (at, NEVER)
            elif kind == "P":
                item = "%s %s" % (who, rest[0])
                self.put.add(item)
                self.puts[item] = (self.puts[item][0], at)
            elif kind == "g":
                asked = at
            elif kind == "G":
                item = "%s %s" % (rest[0], rest[1])
                self.got.setdefault(item, []).append((asked, at, who))
                self.first[item] += rest[2] == "0"
                self.again += rest[2] != "0"
                if who.startswith("single") and rest[2] == "0":
                    self.line.append((at, item, since))
            elif kind == "d":
                self.finished.add("%s %s" % (rest[0], rest[1]))
            elif kind == "D":
                self.done.setdefault("%s %s" % (rest[0], rest[1]), []).append((at, who))
            elif kind == "A":
                hold = {"fence": int(rest[0]), "from": at, "died": rest[1] == "1", "to": None, "ok": False, "who": who}
                self.locks.append(hold)
            elif kind == "r":
                hold["to"] = at
            elif kind == "R":
                hold["ok"] = True
            elif kind == "s":
                self.sets[rest[0]] = (at, NEVER)
            elif kind == "S":
                self.sets[rest[0]] = (self.sets[rest[0]][0], at)
            elif kind == "X":
                del self.sets[rest[0]]
            elif kind == "v":
                looked = at
            elif kind == "V":
                self.reads.append((looked, at, rest[0] if rest else None))
            elif kind == "E":
                self.errors[" ".join(rest[:2])] += 1

    def ordered(self):
        """Of what came in line, what must have come in order."""
        return sum(since <= self.puts[item][0] for _, item, since in self.line)

    def owed(self):
        """Put, and nobody has said that it is done. Who was killed as he said so may have been heard."""
        return self.put - self.finished

    def check(self):
        for item in sorted(self.owed())[:5]:
            fail("lost: %s was put; got: %s" % (item, self.got.get(item)))
        for item in sorted(set(self.got) - self.begun)[:5]:
            fail("%s was got and never put" % item)
        for item, n in self.first.items():
            if n > 1:
                fail("%s was delivered for the first time %d times: %s" % (item, n, self.got[item]))
        for item, dones in self.done.items():
            if len(dones) > 1:
                fail("%s was done %d times: %s" % (item, len(dones), dones))
            late = [g for g in self.got[item] if g[0] > dones[0][0]]
            if late:
                fail("%s was delivered after it was done: %s, %s" % (item, dones, late))
        for newer, older in out_of_line([got[1:] for got in sorted(self.line)], self.puts)[:5]:
            fail("%s came before %s, which was put before: %s %s" % (newer, older, self.puts[newer], self.puts[older]))
        wrong = no_register(self.sets, self.reads)
        if wrong:
            fail("the key: " + wrong)
        # A lock: no two holders have the same fence; and who has released it (its session stood) had it alone
        # from when he was told so until he asked, so that holders are in the order of their fences.
        self.locks.sort(key=lambda h: h["fence"])
        for before, after in zip(self.locks, self.locks[1:]):
            if before["fence"] == after["fence"]:
                fail("two holders with the same fence: %s, %s" % (before, after))
            if before["ok"] and after["from"] < before["to"]:
                fail("two holders: %s, %s" % (before, after))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=1.0, help="so many times as often")
    args = parser.parse_args()
    print("chaos: seed %d, %d faults" % (args.seed, args.faults), flush=True)
    check_checks()
    lab = Lab(args)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = time.monotonic()
    try:
        lab.begin()
        threading.Thread(target=lab.tend, daemon=True).start()
        lab.map_thread = threading.Thread(target=lab.run_maps, daemon=True)
        lab.map_thread.start()
        lab.storm()
        stormed = time.monotonic() - began
        lab.heal()
        books = Books(lab.dir)
        books.check()
    finally:
        lab.end()
    if not lab.net.have:
        print("without namespaces: nothing was dropped by nftables")
    if not lab.disk:
        print("without a disk of its own: it was never full")
    print("%d faults in %.0f s: %s" % (sum(faults.values()), stormed,
                                     " ".join("%s=%d" % kv for kv in sorted(faults.items()))))
    print("put %d, done %d, delivered again %d; lock held %d times, %d holders died; %d maps, %d lines; drained in %.1f s; %d maps refused at their beginning"
          % (len(books.put), len(books.done), books.again, len(books.locks), sum(h["died"] for h in books.locks),
             lab.maps, lab.map_lines, lab.drain_s, lab.refused))
    print("in line: %d, %d of them long after the last consumer died; the key was set %d times and read %d times" % (len(books.line), books.ordered(), len(books.sets), len(books.reads)))
    print("ends: " + "; ".join("%s %s" % (r.name, dict(r.ended)) for r in lab.roles))
    print("errors told: %s" % dict(books.errors))
    if min(len(books.put), books.ordered(), len(books.reads), len(books.locks), lab.maps) == 0:
        fail("nothing was done")
    if sum(faults.values()) < args.faults:
        fail("too few faults")
    if failures:
        print("chaos: %d failures with seed %d; %s" % (len(failures), args.seed, lab.dir))
        return 1
    print("chaos: nothing lost, doubled or out of turn")
    return 0


if __name__ == "__main__":
    sys.exit(main())
