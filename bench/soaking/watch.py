"""What the daemon uses, second by second, and whether it grows."""

import collections
import contextlib
import ctypes
import json
import os
import pathlib
import statistics
import threading
import time

_libc = ctypes.CDLL(None, use_errno=True)
_PUNCH_HOLE_KEEP_SIZE = 3
PAGE = 4096


def status_kilobytes(pid):
    """VmRSS, RssAnon and the number of threads of a process."""
    lines = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0]), int(lines["RssAnon"].split()[0]), int(lines["Threads"])


def descriptors(pid):
    """(Counter of descriptors by kind, how many descriptors its epoll sets hold)"""
    kinds, watched = collections.Counter(), 0
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(entry.path)
            kind = target.split(":")[0] if ":" in target and not target.startswith("/") else "file"
            kind = target.removeprefix("anon_inode:").strip("[]") if kind == "anon_inode" else kind
            kinds[kind] += 1
            if kind == "eventpoll":
                watched += pathlib.Path(f"/proc/{pid}/fdinfo/{entry.name}").read_text().count("tfd:")
    return kinds, watched


def zombies(pid):
    found = 0
    for task in os.scandir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            for child in pathlib.Path(f"{task.path}/children").read_text().split():
                state = pathlib.Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
                found += state == "Z"
    return found


def stored_bytes(folder):
    """What the files occupy, not how long they are."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_blocks * 512
    return total


class Watch(threading.Thread):
    """One sample a second of the process that `pid()` names."""

    def __init__(self, pid, store):
        super().__init__(daemon=True)
        self.pid, self.store, self.done = pid, store, False
        self.start_at, self.samples, self.stored = time.monotonic(), [], 0

    def run(self):
        number = 0
        while not self.done:
            with contextlib.suppress(OSError, KeyError):
                if number % 5 == 0:
                    self.stored = stored_bytes(self.store)
                self.samples.append(self.sample())
            number += 1
            time.sleep(max(0.0, self.start_at + number - time.monotonic()))

    def sample(self):
        pid = self.pid()
        resident, private, threads = status_kilobytes(pid)
        kinds, watched = descriptors(pid)
        return dict(seconds=round(time.monotonic() - self.start_at, 2), pid=pid, resident_kb=resident,
                    private_kb=private, threads=threads, descriptors=sum(kinds.values()),
                    sockets=kinds["socket"], epoll_sets=kinds["eventpoll"], epoll_watched=watched,
                    zombies=zombies(pid), store_bytes=self.stored)


class Follower:
    """Reads a log that grows, line by line, and gives back the room that was read."""

    def __init__(self, path):
        self.path, self.file, self.rest, self.bytes, self.punched = path, None, b"", 0, 0

    def lines(self):
        if self.file is None:
            if not self.path.exists():
                return
            self.file = open(self.path, "r+b", buffering=0)
        while data := self.file.read(1 << 18):
            self.bytes += len(data)
            *whole, self.rest = (self.rest + data).split(b"\n")
            for line in whole:
                start = line.find(b'{"')
                if start >= 0:
                    with contextlib.suppress(ValueError):
                        yield json.loads(line[start:])
        self._punch()

    def _punch(self):
        """The last 64 KB stay, for whoever looks into a folder that was kept."""
        end = (self.bytes - 65_536) // PAGE * PAGE
        if end - self.punched > 1 << 20:
            _libc.fallocate(self.file.fileno(), _PUNCH_HOLE_KEEP_SIZE, ctypes.c_long(self.punched),
                            ctypes.c_long(end - self.punched))
            self.punched = end


# --- growth ------------------------------------------------------------------------------------------------------

def slope_per_hour(samples, name):
    """Least squares over the samples."""
    points = [(one["seconds"] / 3600, one[name]) for one in samples]
    middle = statistics.fmean(x for x, _ in points)
    spread = sum((x - middle) ** 2 for x, _ in points)
    level = statistics.fmean(y for _, y in points)
    return sum((x - middle) * (y - level) for x, y in points) / spread if spread else 0.0


def growth(samples, name):
    """After the first quarter: (median of what follows it at once, median at the end, slope per hour)."""
    settled = samples[len(samples) // 4:]
    part = max(1, len(settled) // 10)
    return (statistics.median(one[name] for one in settled[:part]),
            statistics.median(one[name] for one in settled[-part:]), slope_per_hour(settled, name))
