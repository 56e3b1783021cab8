#!/usr/bin/python3
"""A small client of reeve, written from docs/PROTOCOL.md alone.

It shows that the page is enough, and that the manager does what the page says. It is not fast, has
nothing granted ahead, and waits for one thing at a time:

    with Session("tcp://127.0.0.1:7300", server_key, public, secret) as session:
        jobs = session.open("jobs")
        jobs.put("hello")
        print(jobs.get(timeout_ms=1000).value)

As a program: witness.py ENDPOINT SERVER_KEY PUBLIC SECRET, keys in Z85. It puts items, cuts its own
connection all the time, and counts what comes back.
"""

import collections
import os
import socket
import struct
import sys
import time

import msgpack
import zmq

MAJOR, MINOR = 1, 0
FOREVER = 0xFFFFFFFF
INLINE_BYTES, BODY_BYTES, BODIES, BATCH_BYTES = 65536, 262144, 16, 262144
PATIENCE_S = 10

HELLO, WELCOME, REFUSE, BEAT, READ, ANSWER = 1, 2, 3, 4, 5, 6
CALL, CANCEL, FRAGMENT, GOODBYE, REPLY, PUSH = 16, 17, 18, 19, 32, 33
NUMBERED = {CALL, CANCEL, FRAGMENT, GOODBYE, REPLY, PUSH}

OPEN, CLOSE, REMOVE, PING, REF, REF_RELEASE = 1, 2, 3, 7, 11, 12
PUT, GET, TAKE, RETURN, TASK_DONE, JOIN, SHUTDOWN, SIZE = 32, 33, 34, 35, 36, 37, 38, 39
GRANT, RECALL = 48, 49
ACQUIRE, RELEASE, LET_GO, ABANDON, KEPT, GUARD = 64, 65, 66, 67, 68, 69
SLEEP, NOTIFY, EVENT_WAIT, EVENT_SET, EVENT_CLEAR = 70, 71, 72, 73, 74
BARRIER_WAIT, BARRIER_RELEASE, BARRIER_ABORT, BARRIER_RESET = 75, 76, 77, 78
STATE, WHY, LOCK_RECALL = 79, 80, 88
LOCK, RLOCK, SEMAPHORE, BOUNDED_SEMAPHORE, CONDITION, EVENT, BARRIER = 2, 3, 4, 5, 6, 7, 8
LEASE, NO_CYCLE = 1, 2
DICT, SET, LIST, VALUE, ARRAY, NAMESPACE = 11, 12, 13, 14, 15, 16
BATCH, PLEDGE = 14, 108
DICT_SET, DICT_SETDEFAULT, DICT_DEL, DICT_POP, DICT_POPITEM, DICT_CLEAR = 160, 161, 162, 163, 164, 165
DICT_GET, DICT_CONTAINS, DICT_LEN, DICT_PAGE, DICT_FETCH = 166, 167, 168, 169, 170
DICT_EDIT, DICT_CAS, DICT_WAIT = 171, 172, 173
LIST_INSERT, LIST_SET, LIST_DEL, LIST_POP, LIST_SPLICE, LIST_REMOVE = 192, 193, 194, 195, 196, 197
LIST_REVERSE, LIST_SORT, LIST_REPEAT, LIST_CLEAR, LIST_GET, LIST_PAGE = 198, 199, 200, 201, 202, 203
LIST_FIND, LIST_LEN, LIST_FETCH, LIST_EDIT, LIST_CAS, LIST_WAIT = 204, 205, 206, 207, 208, 209
SET_ADD, SET_DISCARD, SET_POP, SET_CLEAR, SET_UPDATE, SET_CONTAINS = 224, 225, 226, 227, 228, 229
SET_LEN, SET_PAGE, SET_COMPARE, SET_COMBINE, SET_WAIT = 230, 231, 232, 233, 234
EDIT_SET, EDIT_APPEND, EDIT_DELETE, EDIT_ADD = 0, 1, 2, 3
CAS_ABSENT, CAS_DELETE, CAS_MUST, CAS_ONLY = 1, 2, 4, 8
UNION, INTERSECTION, DIFFERENCE, SYMMETRIC = 0, 1, 2, 3
SUBSET, SUPERSET, DISJOINT, SAME = 0, 1, 2, 3

# Operations of containers: arguments and results. v: a blob with a value, or empty; *: items, which come last.
BOXES = {
    DICT_SET: ("*", "Q"), DICT_SETDEFAULT: ("v*", "BQ*"), DICT_DEL: ("v", ""), DICT_POP: ("v", "Q*"),
    DICT_POPITEM: ("", "v*"), DICT_CLEAR: ("", ""), DICT_GET: ("vv", "Q*"), DICT_CONTAINS: ("v", "B"),
    DICT_LEN: ("", "QQQ"), DICT_PAGE: ("Qv", "QB*"), DICT_FETCH: ("vv", "Q*"),
    DICT_EDIT: ("Bvv*", "Q*"), DICT_CAS: ("Bv*", "BQ*"), DICT_WAIT: ("Qv", "Q"),
    LIST_INSERT: ("q*", "Q"), LIST_SET: ("q*", ""), LIST_DEL: ("q", ""), LIST_POP: ("q", "Q*"),
    LIST_SPLICE: ("Bqqq*", "Q"), LIST_REMOVE: ("v", ""), LIST_REVERSE: ("", ""), LIST_SORT: ("B", ""),
    LIST_REPEAT: ("q", "Q"), LIST_CLEAR: ("", ""), LIST_GET: ("qv", "Q*"),
    LIST_PAGE: ("BqqqQ", "QQ*"), LIST_FIND: ("Bvqq", "Q"), LIST_LEN: ("", "QQQ"),
    LIST_FETCH: ("qv", "Q*"), LIST_EDIT: ("Bqv*", "Q*"), LIST_CAS: ("Bq*", "BQ*"), LIST_WAIT: ("Qv", "Q"),
    SET_ADD: ("*", "Q"), SET_DISCARD: ("B*", "Q"), SET_POP: ("", "v"), SET_CLEAR: ("", ""),
    SET_UPDATE: ("BQ*", "Q"), SET_CONTAINS: ("v", "B"), SET_LEN: ("", "QQQ"), SET_PAGE: ("Qv", "QB*"),
    SET_COMPARE: ("BQv", "B"), SET_COMBINE: ("BQ*", "QBBBBIBB"), SET_WAIT: ("Qv", "Q"),
}
READS = {DICT_GET, DICT_CONTAINS, DICT_LEN, DICT_PAGE, LIST_GET, LIST_PAGE, LIST_FIND, LIST_LEN, SET_CONTAINS,
         SET_LEN, SET_PAGE, SET_COMPARE}
# Results with items, which may be in body frames: what comes before them.
ITEMS_BEHIND = {op: result[:-1] for op, (_, result) in BOXES.items() if result.endswith("*")}
ITEMS_BEHIND |= {GET: "Q", BATCH: "Ib"}

EINVAL, ETYPE, ECHANGED = 2, 13, 58
EPROTO, ENOENT, ETIME, EPERM, EFULL, EEMPTY, ESHUTDOWN, EVERSION = 3, 5, 6, 10, 14, 15, 16, 20
EKEY, EINDEX, EVALUE, EATTR = 59, 60, 61, 62
OWNER_DIED, ENOTOWNER, ERELEASED, EBROKEN, EFENCED, EDEADLOCK = 25, 26, 27, 28, 29, 30


class Failed(Exception):
    """The manager answered with an error."""

    def __init__(self, error, text):
        super().__init__(f"error {error}: {text}")
        self.error = error


class Refused(Failed):
    """The manager ended the connection and said why."""


class Silent(Exception):
    """No answer in time."""


# ---- fields ----


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        piece = self.data[self.at : self.at + size]
        if len(piece) < size:
            raise ValueError("the message is too short")
        self.at += size
        return piece

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def u8(self):
        return self.number(1)

    def u16(self):
        return self.number(2)

    def u32(self):
        return self.number(4)

    def u64(self):
        return self.number(8)

    def id(self):
        return self.take(16)

    def blob(self):
        return self.take(self.u32())

    def str(self):
        return self.blob().decode()

    def left(self):
        return len(self.data) - self.at

    def end(self):
        if self.left():
            raise ValueError("the message is too long")


def blob(data):
    return struct.pack(">I", len(data)) + data


def text(words):
    return blob(words.encode())


def message(kind, fields):
    return blob(bytes([kind]) + fields)


def header(first, ack, bodies=0, major=MAJOR):
    return struct.pack(">BBBBQQ", 0x52, major, bodies, 0, first, ack)


def hello(session, attempt, established, store, received, resume_ms=0, host=bytes(16), pid=0,
          host_name="", program="witness"):
    return message(HELLO, struct.pack(">HH", MAJOR, MINOR) + session +
                   struct.pack(">IB", attempt, established) + store +
                   struct.pack(">QI", received, resume_ms) + host + struct.pack(">I", pid) +
                   text(host_name) + text(program))


def call(op, obj, timeout_ms, args):
    return message(CALL, struct.pack(">HQI", op, obj, timeout_ms) + blob(args))


def open_args(name, create=1, order=0, joinable=False, maxsize=0, ttl_ms=0, kind=1, typecode=0):
    return (text(name) + struct.pack(">BBBBIIB", create, kind, order, joinable, maxsize, ttl_ms, 0) +
            struct.pack(">I", 0) + text("") + struct.pack(">IIBQ", 0, 0, typecode, 0))


def items_field(encoded):
    return struct.pack(">I", len(encoded)) + blob(b"".join(encoded))


NOTHING = type("Nothing", (), {"__repr__": lambda _: "NOTHING"})()  # where a value could be, and none is


def pack(layout, *fields):
    """Fields of calls on containers."""
    out = b""
    for kind, field in zip(layout, fields, strict=True):
        if kind == "v":
            out += blob(b"" if field is NOTHING else msgpack.packb(field))
        else:
            out += blob(field) if kind == "b" else struct.pack(">" + kind, field)
    return out


def unpack(r, layout):
    def one(kind):
        if kind in "vb":
            return plain(r.blob()) if kind == "v" else r.blob()
        return struct.unpack(">" + kind, r.take(struct.calcsize(">" + kind)))[0]

    return [one(kind) for kind in layout]


def plain(data):
    """A value out of its bytes; of none, nothing."""
    return msgpack.unpackb(data, strict_map_key=False) if data else NOTHING


Item = collections.namedtuple("Item", "value delivery deliveries priority refs")


def ref(obj, store, kind=1):
    """A reference as a value."""
    return msgpack.ExtType(1, struct.pack(">BQ", kind, obj) + store[:4])


def pledge_args(index, run, objects):
    return struct.pack(f">QII{len(objects)}Q", index, run, 8 * len(objects), *objects)


def refs_in(value):
    """The objects that a value refers to."""
    if isinstance(value, msgpack.ExtType):
        return [struct.unpack(">BQ", value.data[:9])[1]]
    if isinstance(value, (list, tuple)):
        return [obj for one in value for obj in refs_in(one)]
    if isinstance(value, dict):
        return refs_in(list(value.values()))
    return []

# ---- a session ----


class Session:
    def __init__(self, endpoint, server_key, public, secret, resume_ms=0, patience_s=PATIENCE_S,
                 program="witness"):
        self.endpoint, self.server_key, self.keys = endpoint, server_key, (public, secret)
        self.patience_s, self.resume_ms, self.program = patience_s, resume_ms, program
        self.id, self.store = os.urandom(16), bytes(16)
        self.attempt, self.established = 0, False
        self.next = 1  # number of our next message
        self.kept = []  # (number, message, bodies) that the manager has not acknowledged
        self.sent = 0  # the last number sent on this connection
        self.received = 0  # the last number of the manager that has arrived
        self.replies, self.answers = {}, {}
        self.fragments = {}  # bodies of the manager, by number
        self.queues = {}
        self.reached = 0  # what the last reply survives: 1 nothing, 2 the manager's end, 3 power
        self.recalled = []  # (object, fence, revoked) of locks
        self.bodies = 0  # numbers given to our fragmented bodies
        self.ops = {}  # of our calls, by number
        self.reads = 0
        self.socket = None
        self.resumed = 0
        self.connect()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.goodbye()
        self.cut()

    # -- connections --

    def dial(self):
        """A DEALER of its own for each attempt."""
        self.attempt += 1
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.reconnect_ivl = -1
        self.socket.curve_serverkey = self.server_key
        self.socket.curve_publickey, self.socket.curve_secretkey = self.keys
        self.socket.connect(self.endpoint)

    def cut(self):
        """Lose the connection, and all that is on its way."""
        if self.socket is not None:
            self.socket.close()
        self.socket = None

    def connect(self):
        self.dial()
        self.socket.send(header(0, self.received) +
                         hello(self.id, self.attempt, self.established, self.store, self.received,
                               self.resume_ms, pid=os.getpid(), host_name=socket.gethostname(),
                               program=self.program))
        self.welcomed = False
        self.wait(lambda: self.welcomed)

    def resume(self):
        """Cut the connection and continue the session on another."""
        self.cut()
        self.resumed += 1
        self.connect()

    def on_welcome(self, r):
        major, minor, store = r.u16(), r.u16(), r.id()
        r.u64()  # term
        received = r.u64()
        r.u32(), r.u64(), r.str()
        r.end()
        assert major == MAJOR and minor >= 0
        assert not self.established or store == self.store
        self.store, self.established, self.welcomed = store, True, True
        self.forget(received)
        self.sent = received
        self.send_kept()

    # -- streams --

    def forget(self, ack):
        self.kept = [entry for entry in self.kept if entry[0] > ack]

    def keep(self, encoded, bodies=()):
        number = self.next
        self.next += 1
        self.kept.append((number, encoded, list(bodies)))
        return number

    def send_kept(self):
        """Send what was not sent on this connection, in frames that are not too large."""
        todo = [entry for entry in self.kept if entry[0] > self.sent]
        while todo:
            frame, bodies, first = b"", [], todo[0][0]
            while todo:
                number, encoded, with_bodies = todo[0]
                if frame and (len(frame) + len(encoded) > BATCH_BYTES or
                              len(bodies) + len(with_bodies) > BODIES):
                    break
                frame, bodies = frame + encoded, bodies + with_bodies
                self.sent = number
                todo.pop(0)
            self.send(first, frame, bodies)

    def send(self, first, frame, bodies=()):
        control = header(first, self.received, len(bodies)) + frame
        self.socket.send_multipart([control, *bodies])

    def wait(self, done, seconds=None):
        """Hear the manager until done() is true. A connection that ends is not resumed here."""
        deadline = time.monotonic() + (self.patience_s if seconds is None else seconds)
        while not done():
            left = deadline - time.monotonic()
            if left <= 0 or not self.socket.poll(int(left * 1000) + 1):
                raise Silent(f"no answer from {self.endpoint}")
            self.hear(self.socket.recv_multipart())

    def hear(self, frames):
        control, bodies = frames[0], frames[1:]
        magic, major, count, zero, first, ack = struct.unpack(">BBBBQQ", control[:20])
        assert (magic, major, zero) == (0x52, MAJOR, 0) and count == len(bodies) <= BODIES
        self.forget(ack)
        r, number = Reader(control[20:]), first
        before = self.received
        while r.left():
            m = Reader(r.blob())
            kind = m.u8()
            if kind not in NUMBERED:
                self.on_unnumbered(kind, m)
                continue
            assert first > 0 and number <= self.received + 1, "the manager leaves a gap"
            new = number > self.received
            self.received = max(self.received, number)
            number += 1
            self.on_numbered(kind, m, bodies, new)
        assert not bodies, "body frames that nothing uses"
        if self.received > before and self.socket is not None:
            self.send(0, b"")

    def on_unnumbered(self, kind, m):
        if kind == WELCOME:
            self.on_welcome(m)
        elif kind == REFUSE:
            error, words = m.u32(), m.str()
            m.end()
            raise Refused(error, words)
        elif kind == ANSWER:
            number, error, words, result = m.u64(), m.u32(), m.str(), m.blob()
            self.answers[number] = (error, words, result)
            m.end()
        elif kind == BEAT:
            assert m.u64() <= self.received, "the manager sent more than has arrived"
            m.end()
        else:
            raise ValueError(f"message {kind} from the manager")

    def on_numbered(self, kind, m, bodies, new):
        if kind == REPLY:
            number, error, durable = m.u64(), m.u32(), m.u8()
            words, result = m.str(), m.blob()
            m.end()
            items = self.items_of(self.ops.get(number), error, result, bodies)
            if new:
                self.replies[number] = (error, words, result, items)
                self.reached = durable
        elif kind == PUSH:
            op, obj, args = m.u16(), m.u64(), m.blob()
            m.end()
            self.on_push(op, obj, Reader(args), bodies, new)
        elif kind == FRAGMENT:
            number, offset, total = m.u64(), m.u32(), m.u32()
            m.end()
            piece = bodies.pop(0)
            if new:
                whole = self.fragments.setdefault(number, bytearray())
                assert len(whole) == offset and offset + len(piece) <= total
                whole += piece
        else:
            raise ValueError(f"message {kind} from the manager")

    def items_of(self, op, error, result, bodies):
        """The items in a reply."""
        if error != 0 or op not in ITEMS_BEHIND:
            return None
        r = Reader(result)
        before = unpack(r, ITEMS_BEHIND[op])
        items = self.read_items(r, before[0] if op == GET else 0, bodies)
        r.end()
        return items

    def read_items(self, r, first, bodies):
        count, items = r.u32(), Reader(r.blob())
        got = []
        for i in range(count):
            head, priority, deliveries = items.u32(), 0, 0
            refs = []
            if head >> 31:
                priority = struct.unpack(">q", items.take(8))[0]
                deliveries = items.u32()
            if head >> 30 & 1:
                refs = [items.u64() for _ in range(items.u8())]
            place, size = head >> 28 & 3, head & 0xFFFFFFF
            if place == 0:
                data = items.take(size)
            elif place == 1:
                data = bodies.pop(0)
            else:
                data = bytes(self.fragments.pop(items.u64(), b""))
            assert len(data) == size or place == 2
            got.append((data, first + i, deliveries, priority, refs))
        items.end()
        return got

    def on_push(self, op, obj, r, bodies, new):
        queue = self.queues.get(obj)
        if op == GRANT:
            items = self.read_items(r, r.u64(), bodies)
            if new and queue is not None:
                queue.seen = max([queue.seen] + [item[1] for item in items])
        elif op == RECALL:
            # Nothing is ever kept ahead here.
            recall = r.u64()
            if new and queue is not None:
                self.cast(RETURN, obj, struct.pack(">QQQ", recall, queue.taken, queue.seen))
        elif op == LOCK_RECALL:
            fence, revoked = r.u64(), r.u8()
            r.end()
            if new:
                self.recalled.append((obj, fence, revoked))
        else:
            raise ValueError(f"push {op} from the manager")

    # -- calls and reads --

    def encode(self, value, priority=0):
        """An item in the place that its length has; its bytes elsewhere, if they are."""
        data = msgpack.packb(value)
        extra = struct.pack(">qI", priority, 0) if priority else b""
        refs = refs_in(value)
        place = 0 if len(data) <= INLINE_BYTES else 1 if len(data) <= BODY_BYTES else 2
        head = struct.pack(">I", (1 << 31 if extra else 0) | (1 << 30 if refs else 0) |
                           place << 28 | len(data)) + extra
        if refs:
            head += struct.pack(f">B{len(refs)}Q", len(refs), *refs)
        if place == 0:
            return head + data, []
        if place == 1:
            return head, [data]
        self.bodies += 1
        number = self.bodies
        for at in range(0, len(data), BODY_BYTES):
            fields = struct.pack(">QII", number, at, len(data))
            self.keep(message(FRAGMENT, fields), [data[at : at + BODY_BYTES]])
        return head + struct.pack(">Q", number), []

    def encode_all(self, values, priority=0):
        """Items, and body frames of some of them."""
        encoded, bodies = [], []
        for value in values:
            head, body = self.encode(value, priority)
            encoded.append(head)
            bodies += body
        return encoded, bodies

    def cast(self, op, obj, args, timeout_ms=0, bodies=()):
        """Send a call; its number."""
        number = self.keep(call(op, obj, timeout_ms, args), bodies)
        self.ops[number] = op
        if self.socket is not None:
            self.send_kept()
        return number

    def result(self, number, seconds=None):
        """The reply of a call: result and items."""
        self.wait(lambda: number in self.replies, seconds)
        error, words, result, items = self.replies.pop(number)
        if error:
            raise Failed(error, words)
        return result, items

    def held(self, number, seconds=None):
        """The reply of a call that acquires: its result, and whether the last owner died."""
        self.wait(lambda: number in self.replies, seconds)
        error, words, result, _ = self.replies.pop(number)
        if error not in (0, OWNER_DIED):
            raise Failed(error, words)
        return Reader(result), error == OWNER_DIED

    def ask(self, op, obj, args=b""):
        """A read, with its result."""
        self.reads += 1
        number = self.reads
        self.send(0, message(READ, struct.pack(">QHQ", number, op, obj) + blob(args)))
        self.wait(lambda: number in self.answers)
        error, words, result = self.answers.pop(number)
        if error:
            raise Failed(error, words)
        return Reader(result)

    def ping(self):
        self.ask(PING, 0).end()

    def beat(self):
        self.send(0, message(BEAT, struct.pack(">Q", self.sent)))

    def open(self, name, **options):
        number = self.cast(OPEN, 0, open_args(name, **options))
        result, _ = self.result(number)
        obj = Reader(result).u64()
        queue = self.queues.setdefault(obj, Queue(self, obj))
        return queue

    def open_ref(self, obj):
        """A handle on a queue that an item referred to."""
        result, _ = self.result(self.cast(REF, 0, struct.pack(">Q", obj)))
        assert Reader(result).u64() == obj
        return self.queues.setdefault(obj, Queue(self, obj))

    def release(self, obj):
        """What came as a reference is let go."""
        self.cast(REF_RELEASE, obj, b"")

    def close(self, obj):
        self.cast(CLOSE, obj, b"")
        self.queues.pop(obj, None)

    def open_sync(self, kind, name, maxsize=0):
        result, _ = self.result(self.cast(OPEN, 0, open_args(name, kind=kind, maxsize=maxsize)))
        return Sync(self, Reader(result).u64())

    def open_box(self, kind, name="", length=0, typecode=""):
        """A container."""
        args = open_args(name, kind=kind, maxsize=length, typecode=ord(typecode or "\0"))
        result, _ = self.result(self.cast(OPEN, 0, args))
        return Box(self, Reader(result).u64())

    def batch(self, *calls):
        """Calls (box, op, arguments ...), all or none of them; what each is answered."""
        rows, values = b"", []
        for box, op, *args in calls:
            layout = BOXES[op][0]
            own = args.pop() if layout.endswith("*") else []
            fields = pack(layout.rstrip("*"), *args) + (items_field([]) if layout.endswith("*") else b"")
            rows += blob(struct.pack(">HQI", op, box.obj, len(own)) + blob(fields))
            values += own
        encoded, bodies = self.encode_all(values)
        number = self.cast(BATCH, 0, struct.pack(">I", len(calls)) + blob(rows) + items_field(encoded),
                           FOREVER, bodies)
        result, items = self.result(number)
        r = Reader(result)
        assert r.u32() == len(calls)
        answers, out = Reader(r.blob()), []
        for _, op, *_ in calls:
            row = Reader(answers.blob())
            own = [items.pop(0) for _ in range(row.u32())]
            out.append(answered(op, Reader(row.blob()), own))
            row.end()
        answers.end()
        assert not items
        return out

    def remove(self, name):
        self.result(self.cast(REMOVE, 0, text(name)))

    def pledge(self, job, index, run, objects):
        """Of a task: what the result of an item of its job will refer to."""
        self.result(self.cast(PLEDGE, job, pledge_args(index, run, objects)))

    def goodbye(self):
        """End the session; the manager says that it has ended."""
        self.keep(message(GOODBYE, b""))
        self.send_kept()
        try:
            self.wait(lambda: False)
        except Refused as refused:
            if refused.error != 0:
                raise
        self.cut()
        self.kept = []


class Queue:
    def __init__(self, session, obj):
        self.session, self.obj = session, obj
        self.seen = self.taken = 0

    def cast_put(self, *values, timeout_ms=FOREVER, priority=0):
        encoded, bodies = self.session.encode_all(values, priority)
        return self.session.cast(PUT, self.obj, items_field(encoded), timeout_ms, bodies)

    def put(self, *values, timeout_ms=FOREVER, priority=0):
        """How many were accepted."""
        result, _ = self.session.result(
            self.cast_put(*values, timeout_ms=timeout_ms, priority=priority))
        return Reader(result).u32()

    def cast_get(self, most=1, timeout_ms=FOREVER):
        return self.session.cast(GET, self.obj, struct.pack(">IQI", most, self.seen, 0), timeout_ms)

    def finish_get(self, number, take=True, seconds=None):
        _, items = self.session.result(number, seconds)
        if items:
            self.seen = max(self.seen, items[-1][1])
        if take and items:
            self.take(items[-1][1])
        return [Item(msgpack.unpackb(data), *rest) for data, *rest in items]

    def get_many(self, most, timeout_ms=FOREVER):
        return self.finish_get(self.cast_get(most, timeout_ms))

    def get(self, timeout_ms=FOREVER):
        return self.get_many(1, timeout_ms)[0]

    def take(self, delivery):
        self.taken = max(self.taken, delivery)
        self.session.cast(TAKE, self.obj, struct.pack(">QI", self.taken, 0))

    def task_done(self, item):
        self.session.cast(TASK_DONE, self.obj, struct.pack(">Q", item.delivery))

    def join(self, timeout_ms=FOREVER):
        self.session.result(self.session.cast(JOIN, self.obj, b"", timeout_ms))

    def shutdown(self, immediate=False, timeout_ms=FOREVER):
        self.session.result(self.session.cast(SHUTDOWN, self.obj, bytes([immediate]), timeout_ms))

    def size(self):
        r = self.session.ask(SIZE, self.obj)
        return r.u64()


Held = collections.namedtuple("Held", "fence more died")  # more: leased, or notified
State = collections.namedtuple("State", "kind locked value most holders waiting broken fence")


class Sync:
    """A lock or one of its kin."""

    def __init__(self, session, obj):
        self.session, self.obj = session, obj

    def cast(self, op, layout="", *fields, timeout_ms=FOREVER):
        return self.session.cast(op, self.obj, struct.pack(">" + layout, *fields), timeout_ms)

    def call(self, op, layout="", *fields, timeout_ms=FOREVER):
        result, _ = self.session.result(self.cast(op, layout, *fields, timeout_ms=timeout_ms))
        return Reader(result)

    def finish(self, number, seconds=None):
        r, died = self.session.held(number, seconds)
        held = Held(r.u64(), r.u8(), died)
        r.end()
        return held

    def cast_acquire(self, thread=1, timeout_ms=FOREVER, flags=0):
        return self.cast(ACQUIRE, "QB", thread, flags, timeout_ms=timeout_ms)

    def acquire(self, thread=1, timeout_ms=FOREVER, flags=0):
        return self.finish(self.cast_acquire(thread, timeout_ms, flags))

    def release(self, thread=1):
        self.call(RELEASE, "Q", thread).end()

    def let_go(self, fence, thread=1):
        self.cast(LET_GO, "QQ", thread, fence)

    def cast_sleep(self, thread=1, lock=0, timeout_ms=FOREVER):
        return self.cast(SLEEP, "QQ", thread, lock, timeout_ms=timeout_ms)

    def notify(self, count, thread=1, lock=0):
        return self.call(NOTIFY, "QQI", thread, lock, count).u32()

    def cast_arrive(self, thread=1, action=False, timeout_ms=FOREVER):
        return self.cast(BARRIER_WAIT, "QB", thread, action, timeout_ms=timeout_ms)

    def passed(self, number):
        """Of an arrival: index, round, whether to run the action."""
        result, _ = self.session.result(number)
        r = Reader(result)
        got = r.u32(), r.u64(), r.u8()
        r.end()
        return got

    def state(self):
        r = self.session.ask(STATE, self.obj)
        got = State(r.u8(), r.u8(), r.u32(), r.u32(), r.u32(), r.u32(), r.u8(), r.u64())
        r.end()
        return got

    def close(self):
        self.session.cast(CLOSE, self.obj, b"")
        self.session.queues.pop(self.obj, None)


def answered(op, r, items):
    """What an operation of a container tells: nothing, one thing, or several."""
    layout = BOXES[op][1]
    got = unpack(r, layout.rstrip("*"))
    if layout.endswith("*"):
        got.append([plain(data) for data, *_ in items])
    return None if not got else got[0] if len(got) == 1 else got


class Box:
    """A container."""

    def __init__(self, session, obj):
        self.session, self.obj = session, obj

    def fields(self, op, args):
        layout = BOXES[op][0]
        if not layout.endswith("*"):
            return pack(layout, *args), []
        encoded, bodies = self.session.encode_all(args[-1])
        return pack(layout[:-1], *args[:-1]) + items_field(encoded), bodies

    def cast(self, op, *args, timeout_ms=FOREVER):
        fields, bodies = self.fields(op, args)
        return self.session.cast(op, self.obj, fields, timeout_ms, bodies)

    def finish(self, number):
        result, items = self.session.result(number)
        return answered(self.session.ops[number], Reader(result), items)

    def call(self, op, *args, timeout_ms=FOREVER):
        """The last of args is the list of values, if it takes some."""
        if op not in READS:
            return self.finish(self.cast(op, *args, timeout_ms=timeout_ms))
        fields, _ = self.fields(op, args)
        r = self.session.ask(op, self.obj, fields)
        before = r.at
        unpack(r, BOXES[op][1].rstrip("*"))
        items = self.session.read_items(r, 0, []) if BOXES[op][1].endswith("*") else []
        r.end()
        r.at = before
        return answered(op, r, items)


# ---- the demonstration ----


def cut_all_the_time(session, count=300):
    """Put and get while the connection is cut again and again; what came back, in order."""
    queue = session.open("", joinable=True)
    waiting, got = [], []
    for i in range(count):
        waiting.append(queue.cast_put(i))
        if i % 7 == 3:
            session.resume()  # replies and calls on their way are lost with it
        if i % 11 == 5:
            session.cut()  # and here calls are made while there is no connection
            waiting.append(queue.cast_put(f"offline {i}"))
            session.connect()
    for number in waiting:
        session.result(number)
    total = len(waiting)
    while len(got) < total:
        number = queue.cast_get(5, 1000)
        if len(got) % 4 == 1:
            session.resume()
        items = queue.finish_get(number)
        if len(got) % 3 == 1:
            session.resume()
        for item in items:
            queue.task_done(item)
        got += items
    queue.join(timeout_ms=5000)
    assert queue.size() == 0
    return got, total


def main():
    endpoint, server_key, public, secret = sys.argv[1], *(key.encode() for key in sys.argv[2:5])
    with Session(endpoint, server_key, public, secret) as session:
        got, total = cut_all_the_time(session)
        numbers = [item.value for item in got if isinstance(item.value, int)]
        again = sum(item.deliveries for item in got)
        assert numbers == list(range(len(numbers))), "lost, doubled or out of order"
        print(f"{len(got)} of {total} items in {session.attempt} connections, {again} twice")


if __name__ == "__main__":
    main()
