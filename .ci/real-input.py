#!/usr/bin/env python3
"""Feeds a million and more commands made from real data to `larder --pipe` and to `redis-cli --pipe`.

    .ci/real-input.py [--keep FILE] [--packages N]

The data is `apt-cache dumpavail`: every package of Debian that this machine's apt knows. From each record come, as RESP:
a hash with its fields; sets of packages by section, by maintainer, by tag and of those that depend on another; lists of
names; counters by section and priority; bitmaps of sizes and flags; strings with times to live; and then changes: fields
and members that go again, keys that are renamed, copied, moved, deleted. No time in it is relative, no choice random, so
the same data always gives the same file.

Both sides must end without an error, with as many replies, the same DEBUG DIGEST and the same PEXPIRETIME of every key.
--keep writes the file and stops. LARDER names the binary (default: target/release/larder).
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import zlib

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
LARDER = os.environ.get("LARDER", os.path.join(TARGET, "release", "larder"))
FIRST_DEADLINE = 4_000_000_000_000  # in 2096, so that nothing expires meanwhile


def records():
    """Each package's record, as a dictionary."""
    dump = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=True).stdout
    for block in dump.decode("utf-8", "surrogateescape").split("\n\n"):
        record, field = {}, None
        for line in block.splitlines():
            if line.startswith((" ", "\t")):
                record[field] += "\n" + line.strip()
            elif ":" in line:
                field, value = line.split(":", 1)
                record[field] = value.strip()
        if "Package" in record:
            yield record


def names(relation):
    """The package names in a Depends-like field."""
    return [match for match in re.findall(r"(?:^|[,|]) *([a-z0-9][a-z0-9+.-]+)", relation or "")]


def build(number, record):
    """What one package puts into the store."""
    name = record["Package"]
    key, number_text = f"pkg:{name}", str(number)
    section, priority = record.get("Section", "none"), record.get("Priority", "none")
    size = int(record.get("Installed-Size", "0"))
    deadline = str(FIRST_DEADLINE + zlib.crc32(name.encode()) % 10**9)
    yield ["HSET", key, *(part for field in record.items() for part in field)]
    yield ["HSETNX", key, "number", number_text]
    yield ["SADD", f"section:{section}", name]
    yield ["SADD", f"maintainer:{record.get('Maintainer', '')}", name]
    yield ["SADD", f"numbers:{section}", number_text]
    yield ["RPUSH", f"names:{name[0]}", name]
    yield ["LPUSH", "names:last", name]
    yield ["INCR", f"count:section:{section}"]
    yield ["HINCRBY", "count:priority", priority, "1"]
    yield ["INCRBY", "size:total", str(size)]
    yield ["HINCRBYFLOAT", "size:section", section, f"{size / 1024:.2f}"]
    yield ["SETBIT", f"size:log2:{size.bit_length()}", number_text, "1"]
    yield ["SETBIT", "essential", number_text, "1" if record.get("Essential") == "yes" else "0"]
    yield ["SET", f"version:{name}", record.get("Version", ""), *(["PXAT", deadline] if number % 3 == 0 else [])]
    yield ["APPEND", f"index:{name[0]}", name + "\n"]
    yield ["GETRANGE", f"version:{name}", "0", "3"]
    for tag in (record.get("Tag") or "").replace("\n", " ").split(", "):
        if tag:
            yield ["SADD", f"tag:{tag.strip(' ,')}", name]
    for other in names(record.get("Depends")):
        yield ["SADD", f"needs:{other}", name]
    if number % 5 == 0:
        yield ["PEXPIREAT", key, deadline]


def change(number, record):
    """What happens to it afterwards."""
    name = record["Package"]
    key = f"pkg:{name}"
    yield ["HMGET", key, "Version", "Section", "nothing"]
    yield ["SISMEMBER", f"section:{record.get('Section', 'none')}", name]
    yield ["EXISTS", key, f"version:{name}"]
    match number % 11:
        case 0:
            yield ["HDEL", key, "SHA256", "MD5sum"]
        case 1:
            yield ["RENAME", f"version:{name}", f"release:{name}"]
        case 2:
            yield ["DEL", f"version:{name}"]
        case 3:
            yield ["COPY", f"version:{name}", f"copy:{name}"]
        case 4:
            yield ["SMOVE", f"section:{record.get('Section', 'none')}", "moved", name]
        case 5:
            yield ["PERSIST", key]
        case 6:
            yield ["LREM", f"names:{name[0]}", "1", name] if number % 99 == 6 else ["LPOP", "names:last"]
        case 7:
            yield ["SETRANGE", f"version:{name}", "40", "patched"]
        case 8:
            yield ["MULTI"]
            yield ["INCR", "count:touched"]
            yield ["HSET", key, "touched", "yes"]
            yield ["EXEC"]
        case 9:
            yield ["LMOVE", "names:last", "names:first", "RIGHT", "LEFT"]


def closing():
    """What the whole gives."""
    yield ["SINTERSTORE", "both", "tag:role::program", "tag:interface::graphical"]
    yield ["SUNIONSTORE", "either", "section:games", "section:math", "section:science"]
    yield ["SDIFFSTORE", "only", "section:libs", "needs:libc6"]
    yield ["BITOP", "OR", "size:any", *(f"size:log2:{bits}" for bits in range(24))]
    yield ["BITCOUNT", "size:any"]
    yield ["SORT", "numbers:games", "DESC", "STORE", "sorted"]
    yield ["LTRIM", "names:first", "0", "999"]
    yield ["MSET", "done", "yes", "by", "real-input"]


def write(path, limit):
    """Writes the file, and says how many commands and bytes it has."""
    packages = list(records())[:limit]
    count = size = 0

    def all_commands():
        for step in (build, change):
            for number, record in enumerate(packages):
                yield from step(number, record)
        yield from closing()

    with open(path, "wb", buffering=1 << 20) as file:
        for command in all_commands():
            words = [word.encode("utf-8", "surrogateescape") for word in command]
            parts = [b"*%d\r\n" % len(words)]
            parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
            size += file.write(b"".join(parts))
            count += 1
    return len(packages), count, size


class Server:
    """A redis-server on a socket in a directory of its own."""

    def __init__(self, directory):
        self.socket = os.path.join(directory, "s")
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no",
             "--enable-debug-command", "yes"],
            stdout=subprocess.DEVNULL, cwd=directory)
        while not os.path.exists(self.socket):
            if self.process.poll() is not None:
                sys.exit("redis-server does not start")
            time.sleep(0.05)

    def command(self, *words):
        return ["redis-cli", "-s", self.socket, *words]

    def resident(self):
        """Bytes of memory that it holds."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) * 1024

    def info(self, field):
        text = subprocess.run(self.command("INFO", "all"), capture_output=True, text=True, check=True).stdout
        return re.search(rf"^{field}:(\S+)", text, re.M)[1]


def feed(command, path):
    """Runs a command on the file; its output, its seconds, the most memory it held."""
    began = time.monotonic()
    with open(path, "rb") as file, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, stdin=file, stdout=out, stderr=err)
        _, _, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        out.seek(0)
        err.seek(0)
        return out.read().decode("utf-8", "replace"), err.read().decode("utf-8", "replace"), seconds, usage.ru_maxrss * 1024


def quoted(word):
    """A word as a line of the shell takes it."""
    plain = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in word)
    return f'"{plain}"'


def all_keys(server):
    """Every key of the server, sorted, read as RESP for its bytes."""
    text = subprocess.run(server.command("--no-raw", "KEYS", "*"), capture_output=True, check=True).stdout
    return sorted(re.sub(rb"^ *\d+\) ", b"", line) for line in text.splitlines())


def megabytes(size):
    return f"{int(size) / 1e6:.1f} MB"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", metavar="FILE")
    parser.add_argument("--packages", type=int, default=None)
    options = parser.parse_args()
    if options.keep:
        print("%d packages, %d commands, %d bytes of RESP" % write(options.keep, options.packages))
        return
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "input.resp")
        # In a process of its own: what a child is said to have held begins with what its parent holds.
        more = ["--packages", str(options.packages)] if options.packages else []
        maker = [sys.executable, os.path.abspath(__file__), "--keep", path, *more]
        made = subprocess.run(maker, capture_output=True, text=True, check=True).stdout
        print(made, end="")
        commands = int(re.search(r"(\d+) commands", made)[1])
        if commands < 1_000_000 and not options.packages:
            sys.exit("apt knows too few packages for a million commands: apt-get update")
        server = Server(directory)
        try:
            sys.exit(compare(server, path, commands, directory))
        finally:
            server.process.terminate()
            server.process.wait()


def compare(server, path, commands, directory):
    """Runs both sides; the number of things that differ."""
    theirs, their_errors, their_time, _ = feed(server.command("--pipe"), path)
    mine, my_errors, my_time, my_memory = feed([LARDER, "--profile", "7.0", "--stats", "--pipe"], path)
    stats = dict(re.findall(r"^(\w+) +([\d.]+)", my_errors, re.M))
    questions = os.path.join(directory, "questions")
    keys = all_keys(server)
    with open(questions, "wb") as file:
        file.write(b"DEBUG DIGEST\nDBSIZE\n" + b"".join(b"PEXPIRETIME %s\n" % key for key in keys))
    with open(questions, "rb") as file:
        expected = subprocess.run(server.command(), stdin=file, capture_output=True, check=True).stdout.split()
    with open(path, "rb") as file:
        command = [LARDER, "--profile", "7.0", "--pipe", "--file", questions]
        answered = subprocess.run(command, stdin=file, capture_output=True, check=False).stdout
    found = answered.split(b"\n", 3)[3].split()
    end = f"errors: 0, replies: {commands}"
    checks = {
        "redis-cli --pipe ends with " + end: theirs.strip().endswith(end),
        "larder --pipe ends with " + end: mine.strip().endswith(end),
        "the output of both is the same": theirs == mine,
        f"DEBUG DIGEST {expected[0].decode()}": found[:1] == expected[:1],
        f"DBSIZE {expected[1].decode()}": found[1:2] == expected[1:2],
        f"PEXPIRETIME of {len(keys)} keys, {sum(int(at) > 0 for at in expected[2:])} with one":
            len(expected) == len(keys) + 2 and found[2:] == expected[2:],
    }
    for check, held in checks.items():
        print(f"{'same ' if held else 'WRONG'} {check}")
    if not all(checks.values()):
        print(theirs, their_errors[-2000:], mine, my_errors[-2000:], sep="\n")
    print(f"{'':22}{'larder --pipe':>18}{'redis-cli --pipe':>18}")
    rows = [
        ("time", f"{my_time:.2f} s", f"{their_time:.2f} s"),
        ("commands a second", f"{commands / my_time:.0f}", f"{commands / their_time:.0f}"),
        ("memory by own count", megabytes(stats.get("memory", 0)), megabytes(server.info("used_memory"))),
        ("memory resident", megabytes(my_memory) + " peak", megabytes(server.resident())),
    ]
    for title, left, right in rows:
        print(f"{title:22}{left:>18}{right:>18}")
    return sum(not held for held in checks.values())


main()
