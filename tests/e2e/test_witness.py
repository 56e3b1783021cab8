#!/usr/bin/python3
"""A client in another language, written from docs/PROTOCOL.md, and the real manager."""

import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback

try:
    import msgpack  # noqa: F401
    import zmq
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import witness  # noqa: E402

# ---- the programs; if their command lines change, it is here ----


def keygen(folder, name):
    subprocess.run([os.path.join(BUILD, "reeve"), "keygen", "--dir", folder, name], check=True,
                   stdout=subprocess.DEVNULL, timeout=30)


def start_manager(folder, log):
    """The manager on a free port; itself and its endpoint."""
    reading, writing = os.pipe()
    manager = subprocess.Popen([os.path.join(BUILD, "reeve-server"), "--bind",
                                "tcp://127.0.0.1:0", "--keys", folder, "--ready-fd", str(writing)],
                               stdin=subprocess.DEVNULL, stderr=log, pass_fds=[writing])
    os.close(writing)
    with os.fdopen(reading) as ready:
        endpoint = ready.readline().split(",")[0].strip()
    if not endpoint:
        raise RuntimeError("the manager has not started")
    return manager, endpoint


def key_file(path):
    """The words of a key file."""
    words = {}
    with open(path, encoding="ascii") as file:
        for line in file:
            word, equals, value = line.partition("=")
            if equals and not word.strip().startswith("#"):
                words.setdefault(word.strip(), value.strip())
    return words


# ---- what every test has ----


class World:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="reeve-witness.")
        self.manager = None
        self.log = open(os.path.join(self.folder, "manager.log"), "w+b")
        keys, own = os.path.join(self.folder, "manager"), os.path.join(self.folder, "keys")
        keygen(keys, "manager")
        self.server_key = key_file(os.path.join(keys, "manager.key"))["public"].encode()
        self.keys = {}
        for name in ("alice", "bob"):
            keygen(own, name)
            words = key_file(os.path.join(own, name + ".key"))
            self.keys[name] = words["public"].encode(), words["secret"].encode()
            shutil.copy(os.path.join(own, name + ".pub"),
                        os.path.join(keys, "authorized.d", name + ".pub"))
        self.manager, self.endpoint = start_manager(keys, self.log)

    def session(self, name="alice", **options):
        return witness.Session(self.endpoint, self.server_key, *self.keys[name], **options)

    def socket(self, name="alice"):
        """A connection without a hello."""
        s = zmq.Context.instance().socket(zmq.DEALER)
        s.linger = 0
        s.curve_serverkey = self.server_key
        s.curve_publickey, s.curve_secretkey = self.keys[name]
        s.connect(self.endpoint)
        return s

    def close(self):
        if self.manager is not None:
            self.manager.send_signal(signal.SIGTERM)
            try:
                self.manager.wait(10)
            except subprocess.TimeoutExpired:
                self.manager.kill()
                self.manager.wait()
        self.log.close()
        shutil.rmtree(self.folder)


def expect(kind, error, action):
    try:
        action()
    except kind as failure:
        if error is not None:
            assert failure.error == error, failure
        return
    raise AssertionError(f"{kind.__name__} {error} did not come")


def refusal(socket):
    """The error of the refuse message that comes next on a bare connection."""
    assert socket.poll(3000), "no refusal came"
    r = witness.Reader(socket.recv_multipart()[0])
    assert r.take(2) == bytes([0x52, witness.MAJOR])
    r.take(18)
    m = witness.Reader(r.blob())
    assert m.u8() == witness.REFUSE
    return m.u32()


# ---- the tests ----


def test_bytes_are_those_of_the_page(_):
    """What this client sends is what PROTOCOL.md shows."""
    with open(os.path.join(ROOT, "docs", "PROTOCOL.md"), encoding="utf-8") as file:
        page = file.read().split("<!-- examples -->")[1].split("<!-- /examples -->")[0]
    shown = {}
    for title, block in re.findall(r"^\*\*(.*?)\.\*\*.*?\n\n((?:    .*\n?)+)", page, re.M):
        lines = [re.match(r"    ((?:[0-9a-f]{2} ?)*)", line).group(1) for line in block.splitlines()]
        shown[title.split(",")[0]] = bytes.fromhex("".join(lines))
    session = bytes.fromhex("5e55100100000000000000000000002a")
    host = bytes.fromhex("40570000000000000000000000000009")
    item = bytes.fromhex("00000003a26869")
    made = {
        "C: hello": witness.header(0, 0) + witness.hello(session, 1, False, bytes(16), 0, 5000, host,
                                                         4242, "node7", "resize"),
        "C: open the joinable queue `jobs`":
            witness.header(1, 0) + witness.call(1, 0, 5000, witness.open_args("jobs", joinable=True)),
        "C: put one item": witness.header(2, 1) + witness.call(32, 1, witness.FOREVER,
                                                               witness.items_field([item])),
        "C: get one item":
            witness.header(3, 2) + witness.call(33, 1, 1000, bytes.fromhex("00000001" + "00" * 12)),
        "C: of a task: the result of item 3 of its job 11 will refer to object 9":
            witness.header(24, 11) + witness.call(108, 11, 30000, witness.pledge_args(3, 1, [9])),
    }
    for title, data in made.items():
        assert shown[title] == data, title


def test_put_and_get(world):
    with world.session() as s:
        q = s.open("simple")
        assert q.put("hi") == 1
        assert q.put({"a": [1, 2.5, None]}, b"bytes", -7) == 3
        assert q.size() == 4
        assert q.get(1000).value == "hi"
        assert [item.value for item in q.get_many(10)] == [{"a": [1, 2.5, None]}, b"bytes", -7]
        expect(witness.Failed, witness.EEMPTY, lambda: q.get(0))
        expect(witness.Failed, witness.EEMPTY, lambda: q.get(30))
        s.ping()
        s.beat()
        s.remove("simple")


def test_a_reference_keeps_an_object(world):
    with world.session() as s, world.session() as other:
        requests, answers = s.open("requests"), s.open("")
        assert requests.put({"answer to": witness.ref(answers.obj, s.store)}) == 1
        s.close(answers.obj)
        s.ping()
        item = other.open("requests").get(1000)
        assert item.refs == [answers.obj]
        assert item.value["answer to"] == witness.ref(answers.obj, s.store)
        assert other.open_ref(answers.obj).put("here") == 1
        other.release(answers.obj)
        assert other.queues[answers.obj].get(1000).value == "here"
        other.close(answers.obj)
        expect(witness.Failed, witness.ENOENT, lambda: other.open_ref(answers.obj))
        expect(witness.Failed, witness.ENOENT,
               lambda: requests.put([witness.ref(answers.obj, s.store)]))
        s.remove("requests")


def test_only_a_task_pledges(world):
    with world.session() as s:
        answers = s.open("")
        expect(witness.Failed, witness.EPERM, lambda: s.pledge(answers.obj, 0, 1, [answers.obj]))
        expect(witness.Failed, witness.EPERM, lambda: s.pledge(0, 0, 1, []))
        s.ping()


def test_items_of_every_size(world):
    with world.session() as s:
        q = s.open("")
        values = [b"x" * size for size in (0, 65000, 65533, 65534, 70000, 262139, 262140, 300000, 1 << 20)]
        for value in values:
            q.put(value)
        q.put(*values)
        assert q.size() == 2 * len(values)
        for value in values + values:
            assert q.get(1000).value == value


def test_a_get_waits_for_a_put(world):
    with world.session("alice") as alice, world.session("bob") as bob:
        q, other = alice.open("meet"), bob.open("meet")
        number = q.cast_get()
        alice.ping()
        other.put("there")
        assert q.finish_get(number)[0].value == "there"


def test_a_bounded_queue_is_full(world):
    with world.session() as s:
        q = s.open("", maxsize=2)
        assert q.put(1, 2) == 2
        expect(witness.Failed, witness.EFULL, lambda: q.put(3, timeout_ms=0))
        number = q.cast_put(3, 4)
        s.ping()
        assert [q.get().value for _ in range(4)] == [1, 2, 3, 4]
        s.result(number)


def test_priorities(world):
    with world.session() as s:
        q = s.open("", order=2)
        for priority in (5, -3, 9, 1):
            q.put(priority, priority=priority)
        assert [q.get().value for _ in range(4)] == [-3, 1, 5, 9]


def test_join_waits_for_task_done(world):
    with world.session() as s:
        q = s.open("", joinable=True)
        q.put(1, 2)
        items = q.get_many(2)
        number = s.cast(witness.JOIN, q.obj, b"", witness.FOREVER)
        q.task_done(items[1])
        s.ping()
        assert number not in s.replies
        q.task_done(items[0])
        s.result(number)
        expect(witness.Failed, witness.ETIME, lambda: (q.put(3), q.join(20)))


def test_shutdown_drains(world):
    with world.session() as s:
        q = s.open("")
        q.put(1, 2)
        q.shutdown()
        expect(witness.Failed, witness.ESHUTDOWN, lambda: q.put(3))
        assert [q.get().value, q.get().value] == [1, 2]
        expect(witness.Failed, witness.ESHUTDOWN, q.get)


def test_a_lock_is_one_owners(world):
    with world.session("alice") as alice, world.session("bob") as bob:
        a, b = alice.open_sync(witness.LOCK, "one"), bob.open_sync(witness.LOCK, "one")
        held = a.acquire()
        assert not held.died and not held.more and held.fence >> 32 > 1_500_000_000
        expect(witness.Failed, witness.ETIME, lambda: b.acquire(timeout_ms=0))
        number = b.cast_acquire()
        a.session.ping()
        assert b.state().waiting == 1
        a.let_go(held.fence)
        got = b.finish(number)
        assert got.fence > held.fence
        a.let_go(held.fence)  # void by now: it releases nothing
        alice.ping()
        assert a.state().fence == got.fence
        b.release()
        expect(witness.Failed, witness.ERELEASED, b.release)


def test_a_lock_of_the_dead_passes_on(world):
    bob = world.session("bob", resume_ms=100)
    with world.session("alice") as alice:
        held = bob.open_sync(witness.LOCK, "dead").acquire()
        bob.cut()
        got = alice.open_sync(witness.LOCK, "dead").acquire(timeout_ms=5000)
        assert got.died and got.fence > held.fence


def test_an_rlock_counts_for_its_thread(world):
    with world.session() as s:
        lock = s.open_sync(witness.RLOCK, "")
        assert lock.acquire(7).fence == lock.acquire(7).fence
        expect(witness.Failed, witness.ENOTOWNER, lambda: lock.release(8))
        lock.release(7)
        assert lock.state().locked
        lock.release(7)
        assert not lock.state().locked


def test_a_lease_is_recalled(world):
    with world.session("alice") as alice, world.session("bob") as bob:
        a, b = alice.open_sync(witness.LOCK, "lent"), bob.open_sync(witness.LOCK, "lent")
        held = a.acquire(flags=witness.LEASE)
        assert held.more
        number = b.cast_acquire()
        alice.wait(lambda: alice.recalled)
        assert alice.recalled == [(a.obj, held.fence, 0)]
        a.cast(witness.KEPT, "QQ", 4, held.fence)
        expect(witness.Failed, witness.ETIME, lambda: a.acquire(9, timeout_ms=0))
        a.let_go(held.fence, 4)
        assert b.finish(number).fence > held.fence


def test_a_guard_is_for_the_next_call(world):
    with world.session() as s:
        lock, q = s.open_sync(witness.LOCK, ""), s.open("")
        held = lock.acquire()
        lock.cast(witness.GUARD, "Q", held.fence)
        assert q.put("yes") == 1
        lock.release()
        lock.cast(witness.GUARD, "Q", held.fence)
        expect(witness.Failed, witness.EFENCED, lambda: q.put("no"))
        assert q.put("again") == 1 and q.size() == 2


def test_a_cycle_is_told(world):
    with world.session("alice") as alice, world.session("bob") as bob:
        a1, b1 = (s.open_sync(witness.LOCK, "cycle-1") for s in (alice, bob))
        a2, b2 = (s.open_sync(witness.LOCK, "cycle-2") for s in (alice, bob))
        a1.acquire()
        b2.acquire()
        number = a2.cast_acquire(flags=witness.NO_CYCLE)
        alice.ping()
        expect(witness.Failed, witness.EDEADLOCK, lambda: b1.acquire(flags=witness.NO_CYCLE))
        expect(witness.Failed, witness.EDEADLOCK, lambda: a2.finish(number))


def test_semaphores_count(world):
    with world.session() as s:
        sem = s.open_sync(witness.SEMAPHORE, "", 1)
        sem.acquire()
        expect(witness.Failed, witness.ETIME, lambda: sem.acquire(2, timeout_ms=0))
        sem.release()
        sem.release()
        assert sem.state().value == 2
        bounded = s.open_sync(witness.BOUNDED_SEMAPHORE, "", 1)
        expect(witness.Failed, witness.ERELEASED, bounded.release)


def test_a_condition_wakes_so_many(world):
    with world.session("alice") as alice, world.session("bob") as bob:
        a, b = alice.open_sync(witness.CONDITION, "cond"), bob.open_sync(witness.CONDITION, "cond")
        a.acquire()
        number = a.cast_sleep()
        alice.ping()
        b.acquire()
        assert b.notify(5) == 1
        b.release()
        assert a.finish(number).more == 1
        number = a.cast_sleep(timeout_ms=50)
        assert a.finish(number).more == 0
        expect(witness.Failed, witness.ENOTOWNER, lambda: b.notify(1))


def test_an_event_is_set(world):
    with world.session("alice") as alice, world.session("bob") as bob:
        a, b = alice.open_sync(witness.EVENT, "event"), bob.open_sync(witness.EVENT, "event")
        expect(witness.Failed, witness.ETIME,
               lambda: a.call(witness.EVENT_WAIT, "Q", 1, timeout_ms=0))
        number = a.cast(witness.EVENT_WAIT, "Q", 1)
        alice.ping()
        b.call(witness.EVENT_SET)
        alice.result(number)
        assert a.state().value == 1
        b.call(witness.EVENT_CLEAR)
        assert a.state().value == 0


def test_a_barrier_opens_and_breaks(world):
    with world.session("alice") as alice, world.session("bob") as bob:
        a, b = (s.open_sync(witness.BARRIER, "barrier", 2) for s in (alice, bob))
        first = a.cast_arrive()
        alice.ping()
        index, number, run = b.passed(b.cast_arrive(action=True))
        assert (index, run) == (1, 1)
        b.call(witness.BARRIER_RELEASE, "QB", number, 0)
        assert a.passed(first) == (0, number, 0)
        first = a.cast_arrive()
        alice.ping()
        b.call(witness.BARRIER_ABORT)
        expect(witness.Failed, witness.EBROKEN, lambda: a.passed(first))
        assert a.state().broken
        b.call(witness.BARRIER_RESET)
        assert not a.state().broken


def test_a_dict_keeps_its_pairs_in_order(world):
    with world.session("alice") as alice, world.session("bob") as bob:
        a, b = (s.open_box(witness.DICT, "dict") for s in (alice, bob))
        assert a.call(witness.DICT_SET, [1.0, "one"]) == 1
        assert b.call(witness.DICT_SET, ["k", [2], 1, "uno"]) == 1
        version, got = a.call(witness.DICT_GET, 1.0, witness.NOTHING)
        assert got == ["uno"] and version > 1
        assert a.call(witness.DICT_GET, "k", [0])[1] == [2]
        expect(witness.Failed, witness.EKEY, lambda: a.call(witness.DICT_GET, "k", [1]))
        assert a.call(witness.DICT_CONTAINS, True) == 0
        assert a.call(witness.DICT_LEN)[0] == 2
        changes, more, pairs = b.call(witness.DICT_PAGE, 0, witness.NOTHING)
        assert (more, pairs) == (0, [1, "uno", "k", [2]])
        assert b.call(witness.DICT_PAGE, changes, 1)[2] == ["k", [2]]
        created, _, got = a.call(witness.DICT_SETDEFAULT, "k", [0])
        assert (created, got) == (0, [[2]])
        assert a.call(witness.DICT_POPITEM) == ["k", [[2]]]
        expect(witness.Failed, witness.ECHANGED, lambda: b.call(witness.DICT_PAGE, changes, 1))
        assert b.call(witness.DICT_POP, 1) == [version, ["uno"]]
        expect(witness.Failed, witness.EKEY, lambda: a.call(witness.DICT_DEL, 1))
        expect(witness.Failed, witness.EINVAL, lambda: a.call(witness.DICT_SET, [float("nan"), 0]))
        a.call(witness.DICT_CLEAR)


def test_a_place_inside_a_value_is_changed(world):
    with world.session() as s:
        d = s.open_box(witness.DICT)
        path = ["a", -1]
        d.call(witness.DICT_SET, ["k", {"a": [1, 2]}])
        assert d.call(witness.DICT_EDIT, witness.EDIT_ADD, "k", path, [5])[1] == [7]
        d.call(witness.DICT_EDIT, witness.EDIT_APPEND, "k", ["a"], ["new"])
        assert d.call(witness.DICT_EDIT, witness.EDIT_DELETE, "k", ["a", 0], [])[1] == []
        assert d.call(witness.DICT_GET, "k", witness.NOTHING)[1] == [{"a": [7, "new"]}]
        expect(witness.Failed, witness.ETYPE,
               lambda: d.call(witness.DICT_EDIT, witness.EDIT_ADD, "k", path, [1]))
        assert d.call(witness.DICT_EDIT, witness.EDIT_ADD, "n", witness.NOTHING, [3])[1] == [3]
        done, _, now = d.call(witness.DICT_CAS, 0, "n", [4, 5])
        assert (done, now) == (0, [3])
        assert d.call(witness.DICT_CAS, 0, "n", [3.0, 5])[0] == 1
        assert d.call(witness.DICT_CAS, witness.CAS_ABSENT, "m", [1])[0] == 1
        assert d.call(witness.DICT_CAS, witness.CAS_DELETE, "m", [1])[0] == 1
        expect(witness.Failed, witness.EVALUE,
               lambda: d.call(witness.DICT_CAS, witness.CAS_MUST | witness.CAS_ONLY, "n", [1]))


def test_a_list_is_as_in_python(world):
    def all(box, bounds=0, start=0, stop=0, step=0):
        return box.call(witness.LIST_PAGE, bounds, start, stop, step, 0)[2]

    with world.session() as s:
        box, mine = s.open_box(witness.LIST), []
        assert box.call(witness.LIST_INSERT, 0, [3, "b", 1.5, None]) == 4
        box.call(witness.LIST_INSERT, -1, [[1], 2])
        mine[0:] = [3, "b", 1.5, [1], 2, None]
        assert all(box) == mine
        assert all(box, 7, -1, -5, -2) == mine[-1:-5:-2]
        assert box.call(witness.LIST_PAGE, 3, 1, 5, 0, 2)[1:] == [0, mine[3:5]]
        box.call(witness.LIST_SPLICE, 7, 0, 5, 2, ["x", "y", "z"])
        mine[0:5:2] = ["x", "y", "z"]
        box.call(witness.LIST_SPLICE, 3, 1, 2, 0, [])
        del mine[1:2]
        assert all(box) == mine
        assert box.call(witness.LIST_POP, -1)[1] == [None]
        expect(witness.Failed, witness.EINDEX, lambda: box.call(witness.LIST_GET, 9, witness.NOTHING))
        assert box.call(witness.LIST_FIND, 0, "z", 0, 9) == 3
        expect(witness.Failed, witness.EVALUE, lambda: box.call(witness.LIST_REMOVE, "none"))
        box.call(witness.LIST_REMOVE, [1])
        box.call(witness.LIST_INSERT, 0, [True, 10, b"b", {}, None])
        box.call(witness.LIST_SORT, 0)
        assert all(box) == [None, True, 10, "x", "y", "z", b"b", {}]
        box.call(witness.LIST_SPLICE, 1, 2, 0, 0, [])
        assert box.call(witness.LIST_REPEAT, 2) == 4
        box.call(witness.LIST_REVERSE)
        assert all(box) == [True, None, True, None]
        assert box.call(witness.LIST_EDIT, witness.EDIT_SET, 0, witness.NOTHING, [1])[1] == []
        assert box.call(witness.LIST_CAS, 0, 0, [1, 2])[0] == 1
        box.call(witness.LIST_CLEAR)
        assert box.call(witness.LIST_LEN)[:2] == [0, 0]


def test_a_set_meets_another(world):
    def all(box):
        return box.call(witness.SET_PAGE, 0, witness.NOTHING)[2]

    with world.session() as s:
        a, b = s.open_box(witness.SET), s.open_box(witness.SET)
        assert a.call(witness.SET_ADD, [1, 1.0, "one", (1, 2)]) == 3
        assert b.call(witness.SET_ADD, [1, 5]) == 2
        assert a.call(witness.SET_CONTAINS, [1, 2]) == 1
        made = witness.Box(s, a.call(witness.SET_COMBINE, witness.SYMMETRIC, b.obj, [])[0])
        assert all(made) == ["one", [1, 2], 5]
        assert a.call(witness.SET_COMPARE, witness.SUPERSET, 0, ["one", 1]) == 1
        assert a.call(witness.SET_COMPARE, witness.DISJOINT, b.obj, witness.NOTHING) == 0
        assert a.call(witness.SET_UPDATE, witness.INTERSECTION, 0, [1, 7]) == 1
        assert a.call(witness.SET_DISCARD, 0, [7]) == 0
        expect(witness.Failed, witness.EKEY, lambda: a.call(witness.SET_DISCARD, 1, [1, 7]))
        assert all(a) == [1]
        assert a.call(witness.SET_POP) == 1
        expect(witness.Failed, witness.EKEY, lambda: a.call(witness.SET_POP))


def test_values_and_arrays_have_a_type(world):
    with world.session() as s:
        v = s.open_box(witness.VALUE, typecode="B")
        assert v.call(witness.LIST_GET, 0, witness.NOTHING)[1] == [0]
        assert v.call(witness.LIST_EDIT, witness.EDIT_ADD, 0, witness.NOTHING, [255])[1] == [255]
        expect(witness.Failed, witness.EVALUE,
               lambda: v.call(witness.LIST_EDIT, witness.EDIT_ADD, 0, witness.NOTHING, [1]))
        expect(witness.Failed, witness.ETYPE, lambda: v.call(witness.LIST_SET, 0, ["no"]))
        any = s.open_box(witness.VALUE)
        assert any.call(witness.LIST_GET, 0, witness.NOTHING)[1] == [None]
        any.call(witness.LIST_SET, 0, [{"any": 1}])
        a = s.open_box(witness.ARRAY, length=4, typecode="d")
        a.call(witness.LIST_SET, -1, [7])
        assert a.call(witness.LIST_PAGE, 0, 0, 0, 0, 0)[2] == [0.0, 0.0, 0.0, 7.0]
        expect(witness.Failed, witness.ETYPE, lambda: a.call(witness.LIST_INSERT, 0, [1.0]))
        expect(witness.Failed, witness.EINVAL, lambda: s.open_box(witness.ARRAY, length=4, typecode="x"))


def test_a_namespace_has_names(world):
    with world.session() as s:
        ns = s.open_box(witness.NAMESPACE)
        ns.call(witness.DICT_SET, ["_limit", 3])
        assert ns.call(witness.DICT_GET, "_limit", witness.NOTHING)[1] == [3]
        expect(witness.Failed, witness.EATTR, lambda: ns.call(witness.DICT_GET, "x", witness.NOTHING))
        expect(witness.Failed, witness.ETYPE, lambda: ns.call(witness.DICT_SET, [1, 3]))


def test_a_batch_is_all_or_nothing(world):
    with world.session() as s:
        d, box, members = s.open_box(witness.DICT), s.open_box(witness.LIST), s.open_box(witness.SET)
        big = b"x" * 300000
        d.call(witness.DICT_SET, ["a", 50])
        got = s.batch((d, witness.DICT_CAS, witness.CAS_MUST | witness.CAS_ONLY, "a", [50]),
                      (d, witness.DICT_EDIT, witness.EDIT_ADD, "a", witness.NOTHING, [-10]),
                      (box, witness.LIST_INSERT, 0, [b"y" * 70000, big, "c"]),
                      (members, witness.SET_CLEAR),
                      (box, witness.LIST_POP, 1),
                      (d, witness.DICT_DEL, "a"))
        assert got[0][0] == 1 and got[0][2] == []
        assert got[1][1] == [40]
        assert got[2] == 3 and got[3] is None
        assert got[4][1] == [big] and got[5] is None
        expect(witness.Failed, witness.EKEY,
               lambda: s.batch((box, witness.LIST_CLEAR), (d, witness.DICT_DEL, "a")))
        assert box.call(witness.LIST_LEN)[0] == 2


def test_a_change_ends_a_wait(world):
    with world.session("alice") as alice, world.session("bob") as bob:
        a, b = (s.open_box(witness.DICT, "watched") for s in (alice, bob))
        version = a.call(witness.DICT_WAIT, 77, witness.NOTHING)
        expect(witness.Failed, witness.ETIME,
               lambda: a.call(witness.DICT_WAIT, version, witness.NOTHING, timeout_ms=0))
        number = a.cast(witness.DICT_WAIT, 0, "k")
        alice.ping()
        b.call(witness.DICT_SET, ["other", 1])
        alice.ping()
        assert number not in alice.replies
        b.call(witness.DICT_SET, ["k", 1])
        seen = a.finish(number)
        assert a.call(witness.DICT_GET, "k", witness.NOTHING)[0] == seen
        b.call(witness.DICT_DEL, "k")
        assert a.call(witness.DICT_WAIT, seen, "k") == 0


def test_a_place_is_empty_until_it_is_fetched(world):
    with world.session() as s, world.session("bob") as other:
        d, theirs = s.open_box(witness.DICT, "large"), other.open_box(witness.DICT, "large")
        q = s.open("")
        to_queue = witness.ref(q.obj, s.store)
        values = {"small": b"x" * 60000, "frame": b"x" * 70000, "pieces": b"x" * 300000,
                  "ref": ["to", to_queue]}
        for key, value in values.items():
            d.call(witness.DICT_SET, [key, value])
        pairs = theirs.call(witness.DICT_PAGE, 0, witness.NOTHING)[2]
        assert pairs == ["small", values["small"], "frame", witness.NOTHING, "pieces",
                         witness.NOTHING, "ref", witness.NOTHING]
        for key, value in values.items():
            assert theirs.call(witness.DICT_FETCH, key, witness.NOTHING)[1] == [value]
        assert theirs.call(witness.DICT_GET, "ref", [0])[1] == [witness.NOTHING]
        assert theirs.call(witness.DICT_FETCH, "ref", [0])[1] == ["to"]
        s.close(q.obj)
        s.ping()
        theirs.call(witness.DICT_CLEAR)
        assert other.open_ref(q.obj).put("here") == 1  # what was fetched holds it
        other.release(q.obj)
        other.close(q.obj)
        expect(witness.Failed, witness.ENOENT, lambda: other.open_ref(q.obj))

        box = s.open_box(witness.LIST)
        box.call(witness.LIST_INSERT, 0, [witness.ref(d.obj, s.store, witness.DICT), 1])
        assert box.call(witness.LIST_PAGE, 0, 0, 0, 0, 0)[2] == [witness.NOTHING, 1]
        _, [got] = box.call(witness.LIST_FETCH, 0, witness.NOTHING)
        assert witness.refs_in(got) == [d.obj]
        s.release(d.obj)
        s.remove("large")


def test_nothing_is_doubled_by_cut_connections(world):
    with world.session() as s:
        got, total = witness.cut_all_the_time(s)
        assert s.resumed > 30
        assert len(got) == total
        assert [i.value for i in got if isinstance(i.value, int)] == list(range(300))
        assert [i.delivery for i in got] == list(range(1, total + 1))
        assert all(i.deliveries == 0 for i in got)


def test_a_large_item_survives_a_cut(world):
    with world.session() as s:
        q = s.open("")
        value = os.urandom(3 << 20)
        number = q.cast_put(value)
        s.resume()
        s.result(number)
        number = q.cast_get(1, 5000)
        s.resume()
        assert q.finish_get(number)[0].value == value


def test_what_was_not_taken_comes_back(world):
    """Once after a goodbye, once after a death; and the one that was taken, but not done."""
    with world.session() as s:
        mine = s.open("return", joinable=True)
        mine.put("one", "two", "three")
        other = world.session("bob")
        q = other.open("return", joinable=True)
        assert [i.value for i in q.finish_get(q.cast_get(2), take=False)] == ["one", "two"]
        other.goodbye()

        other = world.session("bob", resume_ms=50)
        q = other.open("return", joinable=True)
        assert [(i.value, i.deliveries) for i in q.get_many(1)] == [("one", 0)]
        items = q.finish_get(q.cast_get(1), take=False)
        assert [(i.value, i.deliveries) for i in items] == [("two", 0)]
        assert [i.value for i in mine.get_many(5)] == ["three"]
        other.ping()
        other.cut()
        got = mine.get_many(1, 5000) + mine.get_many(1, 5000)
        assert [(i.value, i.deliveries) for i in got] == [("one", 1), ("two", 1)]


def test_an_older_attempt_is_sent_away(world):
    with world.session() as s:
        old, attempt = s.socket, s.attempt
        s.socket = None
        s.connect()
        assert s.attempt == attempt + 1
        assert refusal(old) != 0
        s.ping()
        old.close()


def test_an_unknown_key_is_not_answered(world):
    keys = zmq.curve_keypair()
    expect(witness.Silent, None,
           lambda: witness.Session(world.endpoint, world.server_key, *keys, patience_s=2))


def test_a_wrong_server_key_is_not_answered(world):
    wrong, _ = zmq.curve_keypair()
    expect(witness.Silent, None,
           lambda: witness.Session(world.endpoint, wrong, *world.keys["alice"], patience_s=2))


def test_another_version_is_told_so(world):
    s = world.socket()
    s.send(witness.header(0, 0, major=2) + b"whatever version 2 says")
    assert refusal(s) == witness.EVERSION
    s.close()
    s = world.socket()
    newer = bytearray(witness.header(0, 0) + witness.hello(os.urandom(16), 1, False, bytes(16), 0))
    newer[20 + 5 + 1] = 2  # major, in the hello itself
    s.send(bytes(newer))
    assert refusal(s) == witness.EVERSION
    s.close()


def test_garbage_is_refused(world):
    for garbage in (b"", b"garbage", bytes(20), witness.header(0, 0) + b"\0\0\0\1\xff",
                    witness.header(1, 0), witness.header(0, 0, bodies=1),
                    witness.header(0, 0) + witness.message(witness.WELCOME, b"")):
        s = world.session()
        s.socket.send(garbage)
        expect(witness.Refused, witness.EPROTO, lambda: s.wait(lambda: False))
        s.resume()  # the session is not to blame
        s.ping()
        s.goodbye()


def test_a_hello_that_lies_is_refused(world):
    def say(**fields):
        values = {"session": os.urandom(16), "attempt": 1, "established": False, "store": bytes(16),
                  "received": 0, **fields}
        s = world.socket()
        s.send(witness.header(0, 0) + witness.hello(*values.values()))
        error = refusal(s)
        s.close()
        return error

    assert say(session=bytes(16)) != 0
    assert say(established=True) != 0
    assert say(received=3) == witness.EPROTO
    with world.session() as s:  # and nobody has noticed
        s.ping()


def main():
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    wanted = sys.argv[1:]
    failed = 0
    world = World()
    try:
        for name, test in tests:
            if wanted and name not in wanted:
                continue
            started = time.monotonic()
            try:
                test(world)
                print(f"ok   {name} ({time.monotonic() - started:.1f} s)", flush=True)
            except Exception:  # noqa: BLE001
                failed += 1
                print(f"FAIL {name}", flush=True)
                traceback.print_exc()
            if world.manager.poll() is not None:
                print(f"FAIL the manager has ended, exit code {world.manager.returncode}")
                failed += 1
                break
        if failed:
            world.log.seek(0)
            print(world.log.read().decode(errors="replace")[-3000:])
    finally:
        world.close()
        zmq.Context.instance().destroy(linger=0)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
