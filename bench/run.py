#!/usr/bin/python3
"""Ours against the limit programs, run by turns, as ratios.

A ratio is taken from two runs that follow each other, and the median of the ratios is held
against the bar. Whoever else uses the machine makes all figures rough: look at min and max.
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
TIMEOUT_S = {"smoke": 20, "short": 60, "long": 300}  # of one program
MISSING = 77  # status of a peer that is not installed


@dataclass
class Peer:
    name: str  # as peers.py knows it
    figure: str
    bar: float | None = None  # ours over the peer's, at least or at most, as in the row


@dataclass
class Row:
    id: str
    what: str
    figure: str  # as the programs print it; "a/b" is one over another of the same run
    unit: str
    sign: str  # ">=": more is better
    bar: float | None  # ours over the limit's; None is for information
    peers: list[Peer] = field(default_factory=list)


@dataclass
class Job:
    limit: str
    ours: str
    rows: list[Row]
    runs: int = 5
    options: str = ""
    smoke: str = ""
    long: str = ""
    ours_options: str = ""
    ours_smoke: str = ""  # instead of these
    limit_options: str = ""


JOBS = [
    Job("limit_feeder", "bench_queue", [
        Row("P1", "64-byte items, one call each", "items_per_s", "items/s", ">=", 0.7, [
            Peer("redis_queue", "items_per_s", 2),
            Peer("local_queue", "items_per_s", 4),
            Peer("managed_queue", "items_per_s", 60)])],
        options="--items 3000000", smoke="--items 20000"),
    Job("limit_batched", "bench_queue", [
        Row("P1b", "64-byte items, 128 a call", "items_per_s", "items/s", ">=", 0.8, [
            Peer("redis_many", "items_per_s", 2)])],
        options="--items 3000000", smoke="--items 20000", ours_options="--many 128"),
    Job("limit_echo", "bench_call", [
        Row("P2", "small call, p50, one processor", "p50_us", "us", "<=", 1.2, [
            Peer("managed_call", "p50_us")]),
        Row("P2", "small call, p99, one processor", "p99_us", "us", "<=", 1.4, [
            Peer("managed_call", "p99_us")]),
        Row("P2", "calls of one thread, 64 in flight", "calls_per_s", "calls/s", ">=", None, [
            Peer("managed_call", "calls_per_s", 10)]),
        Row("P2", "calls of 64 threads", "thread_calls_per_s", "calls/s", ">=", None, [
            Peer("managed_call", "calls_per_s", 10)])],
        options="--calls 20000 --flight 64", smoke="--calls 500 --flight 64"),
    Job("limit_echo", "bench_lock", [
        Row("P5", "acquire + release, one processor", "p50_us", "us", "<=", 1.3, [
            Peer("managed_lock", "p50_us", 1.5)])],
        options="--calls 20000 --flight 0", smoke="--calls 500 --flight 0"),
    Job("limit_echo", "bench_lock", [
        Row("P5", "hand-over between two clients", "p50_us", "us", "<=", 1.8)],
        options="--calls 20000 --flight 0", smoke="--calls 500 --flight 0",
        ours_options="--what 1"),
    Job("limit_echo", "bench_lock", [
        Row("P5", "acquire + release, with a lease", "p50_us", "us", "<=", None)],
        options="--calls 20000 --flight 0", smoke="--calls 500 --flight 0",
        ours_options="--what 2"),
    Job("limit_echo", "bench_lock", [
        Row("P5", "the same, recalled each time", "p50_us", "us", "<=", None)],
        options="--calls 20000 --flight 0", smoke="--calls 500 --flight 0",
        ours_options="--what 3"),
    Job("limit_echo", "bench_lock", [
        Row("P5", "64 clients want one lock", "calls_per_s", "locks/s", ">=", None, [
            Peer("managed_lock_crowd", "calls_per_s", 5)])],
        options="--calls 20000 --flight 64", smoke="--calls 640 --flight 64",
        ours_options="--what 4"),
    Job("limit_echo", "bench_lock", [
        Row("P5", "64 clients, a lock each", "calls_per_s", "locks/s", ">=", None)],
        options="--calls 20000 --flight 64", smoke="--calls 640 --flight 64",
        ours_options="--what 5"),
    Job("limit_echo", "bench_box", [
        Row("P6", "create and drop an object", "p50_us", "us", "<=", 1.4, [
            Peer("managed_object", "p50_us", 0.05)])],
        options="--calls 20000 --flight 0", smoke="--calls 500 --flight 0"),
    # The limit is the same with ten values in the container.
    Job("bench_box", "bench_box", [
        Row("flat", "dict: get, 10^6 keys over 10", "dict_get_p50_us", "us", "<=", 1.2),
        Row("flat", "dict: set", "dict_set_p50_us", "us", "<=", 1.2),
        Row("flat", "list: get", "list_get_p50_us", "us", "<=", 1.2),
        Row("flat", "list: append and pop the last", "list_ends_p50_us", "us", "<=", 1.2),
        Row("flat", "list: pop the first and append", "list_rotate_p50_us", "us", "<=", 1.2),
        Row("flat", "set: add and discard", "set_add_p50_us", "us", "<=", 1.2)],
        runs=3, options="--what 1 --calls 4000", smoke="--what 1 --calls 100",
        ours_options="--elements 1000000", ours_smoke="--elements 20000"),
    Job("limit_pool", "bench_map", [
        Row("P3", "map of a no-op, chunk size 1", "items_per_s", "items/s", ">=", 0.8, [
            Peer("pool_each", "items_per_s", 1)])],
        options="--items 300000 --chunk 1", smoke="--items 3000 --chunk 1"),
    Job("limit_pool", "bench_map", [
        Row("P3b", "map of a no-op, chunks as it likes", "items_per_s", "items/s", ">=", 0.7, [
            Peer("pool_chunks", "items_per_s", 0.6)])],
        options="--items 4000000", smoke="--items 50000", limit_options="--chunk 1024"),
    Job("limit_forward", "bench_large", [
        Row("P4", "items of 1 MiB", "mb_per_s", "MB/s", ">=", 0.85, [
            Peer("managed_large", "mb_per_s", 0.8)])],
        options="--items 500", smoke="--items 16"),
    Job("limit_conns", "bench_memory", [
        Row("P13", "memory of a connection", "connection_bytes", "bytes", "<=", 1.2),
        Row("P13", "small call, p50, others idle", "many_p50_us", "us", "<=", 1.2),
        Row("P13", "the same, over p50 when alone", "many_p50_us/few_p50_us", "", "<=", 1.2)],
        runs=3, options="--connections 2000 --calls 10000",
        smoke="--connections 40 --calls 300", long="--connections 10000 --calls 10000",
        ours_options="--items 0"),
    # The limit is the same map undisturbed.
    Job("bench_map", "bench_map", [
        Row("P10", "map while agents are killed", "items_per_s", "items/s", ">=", 0.87)],
        runs=3, options="--items 400000 --spin 50000 --agents 2 --slots 1",
        smoke="--items 6000 --spin 50000 --agents 2 --slots 1",
        long="--items 1000000 --spin 50000 --agents 2 --slots 1", ours_options="--kill 1000",
        ours_smoke="--kill 100"),
    # The limit is the shortest time that the work allows; in virtual time, so that one run does.
    Job("bench_makespan", "bench_makespan", [
        Row("P11", "long map, unequal items and hosts", "makespan_s", "s", "<=", 1.03)],
        runs=1, options="--agents 50 --items 500000", smoke="--agents 10 --items 4000",
        long="--agents 1000 --items 4000000 --skew 20", limit_options="--limit 1"),
    Job("bench_makespan", "bench_makespan", [
        Row("P11", "the same in fixed chunks", "makespan_s", "s", "<=", None)],
        runs=1, options="--agents 50 --items 500000", smoke="--agents 10 --items 4000",
        long="--agents 1000 --items 4000000 --skew 20", limit_options="--limit 1", ours_options="--fixed 1"),
    Job("limit_spawn", "bench_map", [
        Row("P12", "the command true, two at a time", "items_per_s", "items/s", ">=", 0.6)],
        options="--items 2000", smoke="--items 100", ours_options="--commands 1"),
    # The limit is the disk: a write and an fdatasync for each batch.
    Job("limit_sync", "bench_durable", [
        Row("P14", "durable puts, one at a time", "puts_per_s", "puts/s", ">=", 0.7)],
        options="--puts 3000 --flight 1", smoke="--puts 50 --flight 1"),
    Job("limit_sync", "bench_durable", [
        Row("P14", "durable puts, 16 a call", "puts_per_s", "puts/s", ">=", 0.7)],
        options="--puts 40000 --flight 16", smoke="--puts 160 --flight 16"),
    Job("limit_sync", "bench_durable", [
        Row("P14", "durable puts, 128 a call", "puts_per_s", "puts/s", ">=", 0.7)],
        options="--puts 200000 --flight 128", smoke="--puts 1280 --flight 128"),
    # The same over the network: what a manager can have at best that answers when the disk has it.
    Job("limit_durable", "bench_durable", [
        Row("P14", "the same, over the network: one at a time", "puts_per_s", "puts/s", ">=", 0.7)],
        options="--puts 3000 --flight 1", smoke="--puts 50 --flight 1"),
    Job("limit_durable", "bench_durable", [
        Row("P14", "the same, over the network: 16 a call", "puts_per_s", "puts/s", ">=", 0.7)],
        options="--puts 40000 --flight 16", smoke="--puts 160 --flight 16"),
    Job("limit_durable", "bench_durable", [
        Row("P14", "the same, over the network: 128 a call", "puts_per_s", "puts/s", ">=", 0.7)],
        options="--puts 200000 --flight 128", smoke="--puts 1280 --flight 128"),
    # The limits write what they receive to a file, and flush it, before they answer.
    Job("limit_feeder", "bench_queue", [
        Row("P1d", "64-byte items, with a log", "items_per_s", "items/s", ">=", 0.7)],
        options="--items 2000000", smoke="--items 20000", limit_options="--sync 1",
        ours_options="--durable 1"),
    Job("limit_pool", "bench_map", [
        Row("P3d", "map of a no-op, with a log", "items_per_s", "items/s", ">=", 0.7)],
        options="--items 2000000", smoke="--items 3000",
        limit_options="--sync 1 --chunk 1024", ours_options="--durable 1"),
    # libzmq keeps two pipes for the key check as long as a connection lives.
    Job("limit_conns", "bench_memory", [
        Row("P13", "the same, keys checked by both", "connection_bytes", "bytes", "<=", 1.2)],
        runs=3, options="--connections 2000 --calls 100 --asks 1",
        smoke="--connections 40 --calls 100 --asks 1", ours_options="--items 0"),
    Job("limit_arena", "bench_memory", [
        Row("P13", "memory of a queued 64-byte item", "item_bytes", "bytes", "<=", 1.4)],
        runs=3, options="--items 1000000", smoke="--items 20000",
        ours_options="--connections 0"),
]


class Failed(Exception):
    pass


class Missing(Failed):
    """A peer that is not installed here."""


def run(argv, timeout):
    """Run one program and return its figures."""
    with tempfile.TemporaryDirectory(prefix="reeve-bench-") as folder:
        return run_in(folder, argv, timeout)


def run_in(folder, argv, timeout):
    name = pathlib.Path(argv[-1] if argv[0] == sys.executable else argv[0]).name
    try:
        p = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             start_new_session=True, env={**os.environ, "TMPDIR": folder})
    except OSError as e:
        raise Failed(f"{name}: {e.strerror}") from e
    try:
        out, err = p.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as e:
        raise Failed(f"{name}: no end after {timeout} s") from e
    finally:
        try:
            os.killpg(p.pid, signal.SIGKILL)  # whatever it left behind
        except ProcessLookupError:
            pass
        p.wait()
    if p.returncode != 0:
        words = err.strip().splitlines()
        if p.returncode == MISSING:
            raise Missing(words[-1])
        raise Failed(f"{name}: status {p.returncode}: {words[-1] if words else 'no words'}")
    lines = [line.partition("=") for line in out.splitlines()]
    return {key: float(value) for key, sign, value in lines if sign}


def figure_of(figures, name):
    over, _, under = name.partition("/")
    return figures[over] / figures[under] if under else figures[over]


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "runs": values}


def holds(row_sign, ratio, bar):
    return None if bar is None else ratio >= bar if row_sign == ">=" else ratio <= bar


class Bench:
    def __init__(self, args):
        self.args = args
        self.mode = "smoke" if args.smoke else "long" if args.long else "short"
        self.programs = pathlib.Path(args.build).resolve() / "bench"
        self.failures = []
        self.missing = []
        self.peers = {}  # name: figures of each run
        self.rows = []

    def options(self, job):
        if self.args.smoke:
            return job.smoke.split()
        return (job.long if self.args.long and job.long else job.options).split()

    def runs(self, job):
        if self.args.smoke:
            return 1
        return self.args.runs or (2 * job.runs if self.args.long and not job.long else job.runs)

    def attempt(self, argv):
        try:
            return run([str(a) for a in argv], TIMEOUT_S[self.mode])
        except Missing as e:
            if str(e) not in self.missing:
                self.missing.append(str(e))
                print(f"without: {e}", file=sys.stderr)
            return None
        except Failed as e:
            if str(e) not in self.failures:
                self.failures.append(str(e))
                print(f"failed: {e}", file=sys.stderr)
            return None

    def run_peers(self, job):
        for name in sorted({peer.name for row in job.rows for peer in row.peers}):
            figures = self.attempt([sys.executable, HERE / "peers.py",
                                    *(["--smoke"] if self.args.smoke else []), name])
            if figures:
                self.peers.setdefault(name, []).append(figures)

    def run_job(self, job):
        limits, ours = [], []
        options = self.options(job)
        for i in range(self.runs(job)):
            limits.append(self.attempt([self.programs / job.limit, *options,
                                        *job.limit_options.split()]))
            only_ours = job.ours_smoke if self.args.smoke and job.ours_smoke else job.ours_options
            ours.append(self.attempt([self.programs / job.ours, *options, *only_ours.split()]))
            if self.args.peers:
                self.run_peers(job)
            if limits[-1] is None and ours[-1] is None:
                break
        for row in job.rows:
            self.rows.append(self.row_of(row, limits, ours))
            print_row(self.rows[-1])

    def row_of(self, row, limits, ours):
        out = {"id": row.id, "what": row.what, "unit": row.unit, "sign": row.sign,
               "bar": row.bar, "peers": []}
        for side, runs in (("limit", limits), ("ours", ours)):
            values = [figure_of(f, row.figure) for f in runs if f]
            out[side] = summary(values) if values else None
        ratios = [figure_of(o, row.figure) / figure_of(l, row.figure)
                  for o, l in zip(ours, limits) if o and l]
        out["ratio"] = summary(ratios) if ratios else None
        out["met"] = holds(row.sign, out["ratio"]["median"], row.bar) if ratios else None
        for peer in row.peers:
            values = [f[peer.figure] for f in self.peers.get(peer.name, [])
                      if peer.figure in f]
            if not values or out["ours"] is None:
                continue
            ratio = out["ours"]["median"] / statistics.median(values)
            out["peers"].append({"name": peer.name, **summary(values), "ratio": ratio,
                                 "bar": peer.bar, "met": holds(row.sign, ratio, peer.bar)})
        return out


def number(x):
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if abs(x) >= 10 * size or (size == 1e6 and abs(x) >= size):
            return f"{x / size:.3g}{letter}"
    return f"{x:.4g}" if x >= 100 else f"{x:.3g}"


def spread(s):
    if s is None:
        return "-"
    if len(s["runs"]) == 1:
        return number(s["median"])
    return f"{number(s['median'])} ({number(s['min'])} .. {number(s['max'])})"


def bar_of(sign, bar):
    return "" if bar is None else f"{sign} {bar:g}"


def met_of(met):
    return {True: "yes", False: "NO", None: ""}[met]


LINE = "{:<4} {:<32} {:<8} {:<28} {:<28} {:<22} {:<8} {}"


def print_row(row):
    print(LINE.format(row["id"], row["what"], row["unit"], spread(row["ours"]),
                      spread(row["limit"]), spread(row["ratio"]),
                      bar_of(row["sign"], row["bar"]), met_of(row["met"])).rstrip())
    for peer in row["peers"]:
        print(LINE.format("", "    peer " + peer["name"], "", "", spread(peer),
                          number(peer["ratio"]), bar_of(row["sign"], peer["bar"]),
                          met_of(peer["met"])).rstrip())
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", help="where the programs are")
    parser.add_argument("--runs", type=int, help="of each program")
    parser.add_argument("--only", help="ids, with commas: P1,P4")
    parser.add_argument("--smoke", action="store_true", help="one tiny run of each")
    parser.add_argument("--long", action="store_true", help="more connections, more runs")
    parser.add_argument("--peers", action="store_true", help="others too")
    args = parser.parse_args()
    only = set(args.only.split(",")) if args.only else None
    bench = Bench(args)
    begin, load = time.time(), os.getloadavg()[0]

    if load > 0.5 and not args.smoke:
        print(f"load {load:.1f}: others use the processors, figures will be rough")
    print(LINE.format("id", "what", "unit", "ours", "limit", "ratio", "bar", "met"))
    for job in JOBS:
        if only is None or only & {row.id for row in job.rows}:
            bench.run_job(job)

    out = {"mode": bench.mode, "at": int(begin), "seconds": round(time.time() - begin, 1),
           "missing": bench.missing, "processors": len(os.sched_getaffinity(0)),
           "load": [round(load, 2), round(os.getloadavg()[0], 2)],
           "failures": bench.failures, "rows": bench.rows}
    path = pathlib.Path(args.build) / "bench.json"
    path.write_text(json.dumps(out, indent=1) + "\n")
    print(f"{out['seconds']:.0f} s, {path}")
    return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
