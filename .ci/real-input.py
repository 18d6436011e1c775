#!/usr/bin/env python3
"""Feeds a million and more commands made from real data to `larder --pipe` and to `redis-cli --pipe`.

    .ci/real-input.py [--keep FILE] [--packages N]

The data is `apt-cache dumpavail`: every package of Debian that this machine's apt knows. From each record come, as RESP:
a hash with its fields; sets of packages by section, by maintainer, by tag and of those that depend on another; lists of
names; counters by section and priority; bitmaps of sizes and flags; strings with times to live; sorted sets by size, by
name and by section; streams, which three consumers read and acknowledge in between; HyperLogLogs of what is depended on;
and then changes: fields, members and entries that go again, keys that are renamed, copied, moved, deleted. The points of
the geo sets are the cities of the time zones (tzdata). No time in it is relative, no choice random, so the same data
always gives the same file.

Both sides must end without an error, with as many replies, the same DEBUG DIGEST, the same PEXPIRETIME of every key, the
same XINFO STREAM FULL of every stream (but for times), and the same answers to some questions about order.
--keep writes the file and stops. LARDER names the binary (default: target/release/larder).
"""

import argparse
import itertools
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
CITIES = "/usr/share/zoneinfo/zone1970.tab"
PAGE = 20  # entries that a consumer reads at once
CONSUMERS = ["ann", "bob", "cleo"]
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
    yield from ordered(number, name, section, size)
    yield ["PFADD", f"needed:{section}", *names(record.get("Depends"))]
    yield from logged(number, name, section, record)


def ordered(number, name, section, size):
    """The sorted sets that a package goes into."""
    yield ["ZADD", "by:size", str(size), name]
    yield ["ZADD", f"by:size:{section}", f"{size / 1024:.3f}", name]
    yield ["ZADD", "by:name", "0", name]
    yield ["ZADD", "by:name:length", "INCR" if number % 7 == 0 else "CH", str(len(name)), name]
    if number % 4 == 0:
        yield ["ZADD", "by:size", ("GT", "LT", "NX", "XX")[number // 4 % 4], "CH", str(number), name]


def entry(number):
    """The id of a package's entry: a hundred in each millisecond."""
    return f"{number // 100 + 1}-{number % 100 + 1}"


def logged(number, name, section, record):
    """A package's entries in the streams, and their readers: one after another reads a page and acknowledges most of it."""
    facts = [field for pair in record.items() if pair[0] in ("Version", "Section", "Priority") for field in pair]
    yield ["XADD", "log", entry(number), "name", name, *facts]
    yield ["XADD", "log:recent", "MAXLEN", "=", "1000", entry(number), "section", section]
    yield ["XADD", f"log:{section}", f"{number + 1}-*", "name", name]
    if number == 0:
        yield ["XGROUP", "CREATE", "log", "readers", "0"]
        yield ["XGROUP", "CREATE", "log", "audit", "$", "ENTRIESREAD", "1"]
        yield ["XGROUP", "CREATE", "log:late", "readers", "0", "MKSTREAM"]
    if number % PAGE != PAGE - 1:
        return
    page = [entry(n) for n in range(number - PAGE + 1, number + 1)]
    reader = CONSUMERS[number // PAGE % 3]
    yield ["XREADGROUP", "GROUP", "readers", reader, "COUNT", str(PAGE), "STREAMS", "log", ">"]
    yield ["XACK", "log", "readers", *page[:PAGE - 1 - number // PAGE % 2]]
    match number // PAGE % 10:
        case 0:
            yield ["XREADGROUP", "GROUP", "audit", "auditor", "COUNT", "7", "NOACK", "STREAMS", "log", ">"]
        case 1:
            yield ["XDEL", "log", page[0], page[-1]]
        case 2:
            yield ["XCLAIM", "log", "readers", "dora", "0", page[-1], page[0]]
        case 3:
            yield ["XREADGROUP", "GROUP", "readers", reader, "COUNT", "3", "STREAMS", "log", "0"]
        case 4:
            yield ["XAUTOCLAIM", "log", "readers", "eve", "0", entry(max(0, number - 900)), "COUNT", "5"]
        case 5:
            yield ["XCLAIM", "log", "readers", "dora", "0", page[-1], "RETRYCOUNT", "9", "FORCE", "JUSTID"]
        case 6:
            yield ["XADD", "log:late", entry(number), "reader", reader]
            yield ["XREADGROUP", "GROUP", "readers", reader, "STREAMS", "log:late", "log", ">", "0-0"]
            if number // PAGE % 20 == 6:
                yield ["XACK", "log:late", "readers", entry(number)]


def change(number, record):
    """What happens to it afterwards."""
    name = record["Package"]
    key = f"pkg:{name}"
    yield ["HMGET", key, "Version", "Section", "nothing"]
    yield ["SISMEMBER", f"section:{record.get('Section', 'none')}", name]
    yield ["EXISTS", key, f"version:{name}"]
    yield from reordered(number, name, record.get("Section", "none"))
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


def reordered(number, name, section):
    """What happens to a package in the sorted sets."""
    match number % 9:
        case 0:
            yield ["ZREM", "by:name", name]
        case 1:
            yield ["ZINCRBY", "by:size", f"{number / 7:.6f}", name]
        case 2:
            yield ["ZINCRBY", f"by:size:{section}", "-0.125", name]
        case 3:
            yield ["ZRANK", "by:size", name]
            yield ["ZREVRANK", f"by:size:{section}", name]
        case 4:
            yield ["ZRANGEBYSCORE", "by:size", str(number), "+inf", "WITHSCORES", "LIMIT", "0", "3"]
        case 5:
            yield ["ZRANGEBYLEX", "by:name", f"[{name}", "+", "LIMIT", "0", "5"]
        case 6:
            yield ["ZPOPMIN", f"by:size:{section}"] if number % 63 == 6 else ["ZREVRANGE", "by:size", "0", "9"]
        case 7:
            yield ["PFCOUNT", f"needed:{section}"]
        case 8:
            yield ["XRANGE", "log", entry(number), "+", "COUNT", "3"]


def cities():
    """Each time zone's city with its longitude and latitude, in degrees."""
    def degrees(text, whole):
        digits, minutes, seconds = text[1:whole + 1], text[whole + 1:whole + 3], text[whole + 3:] or "0"
        return f"{text[0].strip('+')}{int(digits) + int(minutes) / 60 + int(seconds) / 3600:.6f}"

    with open(CITIES, encoding="utf-8") as table:
        for line in table:
            if not line.startswith("#"):
                countries, place, city = line.split()[:3]
                latitude, longitude = re.findall(r"[+-]\d+", place)
                yield countries.split(","), city, degrees(longitude, 3), degrees(latitude, 2)


def points():
    """The geo sets."""
    found = list(cities())
    for countries, city, longitude, latitude in found:
        yield ["GEOADD", "cities", longitude, latitude, city]
        for country in countries:
            yield ["GEOADD", f"cities:{country}", "CH", longitude, latitude, city]
    for number, (_, city, longitude, latitude) in enumerate(found):
        target = f"near:{city}"
        match number % 6:
            case 0:
                yield ["GEOSEARCHSTORE", target, "cities", "FROMMEMBER", city, "BYRADIUS", "1500", "km"]
            case 1:
                yield ["GEOSEARCHSTORE", target, "cities", "FROMLONLAT", longitude, latitude, "BYBOX", "3000",
                       "900", "mi", "COUNT", "7", "ASC", "STOREDIST"]
            case 2:
                yield ["GEORADIUS", "cities", longitude, latitude, "900000", "m", "STORE", target]
            case 3:
                yield ["GEORADIUSBYMEMBER", "cities", city, "5000000", "ft", "STOREDIST", target]
            case 4:
                yield ["GEOHASH", "cities", city]
                yield ["GEOPOS", "cities", city, "nowhere"]
            case 5:
                yield ["GEODIST", "cities", city, found[number - 1][1], "km"]


def closing():
    """What the whole gives."""
    yield from points()
    yield from finale()
    yield ["SINTERSTORE", "both", "tag:role::program", "tag:interface::graphical"]
    yield ["SUNIONSTORE", "either", "section:games", "section:math", "section:science"]
    yield ["SDIFFSTORE", "only", "section:libs", "needs:libc6"]
    yield ["BITOP", "OR", "size:any", *(f"size:log2:{bits}" for bits in range(24))]
    yield ["BITCOUNT", "size:any"]
    yield ["SORT", "numbers:games", "DESC", "STORE", "sorted"]
    yield ["LTRIM", "names:first", "0", "999"]
    yield ["MSET", "done", "yes", "by", "real-input"]


def finale():
    """What the sorted sets, streams and HyperLogLogs give."""
    some = ["by:size:games", "by:size:math", "by:size:science"]
    yield ["ZUNIONSTORE", "z:union", "3", *some, "WEIGHTS", "2", "0.5", "-1", "AGGREGATE", "MAX"]
    yield ["ZINTERSTORE", "z:inter", "2", "by:size", "section:games", "AGGREGATE", "SUM"]
    yield ["ZDIFFSTORE", "z:diff", "2", "by:name", "by:size:libs"]
    yield ["ZRANGESTORE", "z:lex", "by:name", "[lib", "(libz", "BYLEX", "LIMIT", "100", "5000"]
    yield ["ZRANGESTORE", "z:score", "by:size", "+inf", "(10000", "BYSCORE", "REV", "LIMIT", "0", "2000"]
    yield ["ZRANGESTORE", "z:rank", "by:size:python", "-500", "-1"]
    yield ["ZREMRANGEBYLEX", "by:name", "[python3-a", "(python3-m"]
    yield ["ZREMRANGEBYSCORE", "by:size", "(100", "200"]
    yield ["ZREMRANGEBYRANK", "by:size:libdevel", "10", "-11"]
    yield ["ZPOPMAX", "by:size", "5"]
    yield ["ZMPOP", "2", "nothing", "by:size:doc", "MIN", "COUNT", "12"]
    yield ["SORT", "by:size:games", "ALPHA", "LIMIT", "0", "50", "STORE", "z:sorted"]
    yield ["COPY", "by:name:length", "z:copy"]
    yield ["RENAME", "by:size:net", "z:renamed"]
    yield ["PEXPIREAT", "z:copy", str(FIRST_DEADLINE)]
    yield ["PFMERGE", "needed", *(f"needed:{section}" for section in ("games", "libs", "net", "python", "utils"))]
    yield ["PFMERGE", "needed:little", "needed:kernel", "needed:nothing"]
    yield ["COPY", "log:games", "log:copy"]
    yield ["XTRIM", "log:copy", "MINID", "2000"]
    yield ["XTRIM", "log:libs", "MAXLEN", "500"]
    yield ["XSETID", "log:games", "900000-0", "ENTRIESADDED", "900000", "MAXDELETEDID", "5-1"]
    yield ["XGROUP", "CREATECONSUMER", "log", "readers", "frank"]
    yield ["XGROUP", "DELCONSUMER", "log", "readers", "bob"]
    yield ["XGROUP", "SETID", "log", "audit", "300-1", "ENTRIESREAD", "29000"]
    yield ["XGROUP", "DESTROY", "log:late", "nobody"]
    yield ["RENAME", "log:late", "log:renamed"]


def questions():
    """Asked of both sides at the end."""
    for key in ("by:size", "by:name", "by:name:length", "by:size:libs", "z:union", "z:inter", "z:diff", "near:Asia/Kabul"):
        yield f"ZCARD {key}"
        yield f"ZRANGE {key} 0 99 WITHSCORES"
        yield f"ZREVRANGE {key} 1000 1049 WITHSCORES"
        yield f"ZCOUNT {key} -inf (50"
        yield f"OBJECT ENCODING {key}"
    for key in ("by:name", "z:lex"):  # elsewhere scores differ, and Redis's own towers decide what a range of bytes is
        yield f"ZLEXCOUNT {key} [b (c"
        yield f"ZRANGE {key} [libm (libq BYLEX LIMIT 5 50"
    for city in ("Europe/Paris", "Asia/Tokyo", "America/Lima", "Pacific/Fiji", "Antarctica/Troll"):
        yield f"GEOSEARCH cities FROMMEMBER {city} BYRADIUS 4000 km ASC WITHDIST WITHHASH WITHCOORD"
        yield f"GEOSEARCH cities FROMMEMBER {city} BYBOX 9000 4000 mi DESC COUNT 20"
        yield f"GEODIST cities {city} Europe/Paris km"
    for key in ("needed", "needed:little", "needed:libs needed:games", "needed:science", "needed:nothing"):
        yield f"PFCOUNT {key}"
    for key in ("log", "log:games", "log:libs", "log:recent"):
        yield f"XRANGE {key} 30 + COUNT 20"
        yield f"XREVRANGE {key} + - COUNT 20"
        yield f"XLEN {key}"
    yield "XPENDING log readers"
    yield "XINFO GROUPS log"


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
            stdout=subprocess.DEVNULL, cwd=directory, env={**os.environ, "LC_ALL": "C"})  # SORT ALPHA asks the locale.
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
    """Every key of the server, sorted, as words for a line of the shell; and those of streams."""
    text = subprocess.run(server.command("--no-raw", "KEYS", "*"), capture_output=True, check=True).stdout
    keys = sorted(re.sub(rb"^ *\d+\) ", b"", line) for line in text.splitlines())
    return keys, [key for key in keys if key.startswith(b'"log')]


def untimed(lines):
    """Replies without what differs between two runs: points in time, and Redis's own trees."""
    lines = iter(lines)
    for line in lines:
        if line in (b"radix-tree-keys", b"radix-tree-nodes"):
            next(lines)
        else:
            yield b"(time)" if re.fullmatch(rb"1\d{12}", line) else line


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


def parts(text):
    """The answers: of the whole, of the streams, of the questions, a line each."""
    lines = text.rstrip(b"\n").split(b"\n")
    first = lines.index(b"streams") if b"streams" in lines else len(lines)
    second = lines.index(b"order", first) if b"order" in lines[first:] else len(lines)
    return lines[:first], list(untimed(lines[first + 1:second])), lines[second + 1:]


def compare(server, path, commands, directory):
    """Runs both sides; the number of things that differ."""
    theirs, their_errors, their_time, _ = feed(server.command("--pipe"), path)
    mine, my_errors, my_time, my_memory = feed([LARDER, "--profile", "7.0", "--stats", "--pipe"], path)
    stats = dict(re.findall(r"^(\w+) +([\d.]+)", my_errors, re.M))
    keys, streams = all_keys(server)
    asked = os.path.join(directory, "questions")
    with open(asked, "wb") as file:
        file.write(b"DEBUG DIGEST\nDBSIZE\n" + b"".join(b"PEXPIRETIME %s\n" % key for key in keys))
        file.write(b"ECHO streams\n" + b"".join(b"XINFO STREAM %s FULL COUNT 0\n" % key for key in streams))
        file.write(b"ECHO order\n" + "".join(f"{question}\n" for question in questions()).encode())
    with open(asked, "rb") as file:
        expected = subprocess.run(server.command(), stdin=file, capture_output=True, check=True).stdout
    with open(path, "rb") as file:
        command = [LARDER, "--profile", "7.0", "--pipe", "--file", asked]
        answered = subprocess.run(command, stdin=file, capture_output=True, check=False).stdout
    expected, found = (parts(text) for text in (expected, answered.split(b"\n", 3)[-1]))
    (digest, size, *times), full, order = expected
    end = f"errors: 0, replies: {commands}"
    checks = {
        "redis-cli --pipe ends with " + end: theirs.strip().endswith(end),
        "larder --pipe ends with " + end: mine.strip().endswith(end),
        "the output of both is the same": theirs == mine,
        f"DEBUG DIGEST {digest.decode()}": found[0][:1] == [digest],
        f"DBSIZE {size.decode()}": found[0][1:2] == [size],
        f"PEXPIRETIME of {len(keys)} keys, {sum(int(at) > 0 for at in times)} with one":
            len(times) == len(keys) and found[0][2:] == times,
        f"XINFO STREAM FULL of {len(streams)} streams, {len(full)} lines": len(streams) > 5 and found[1] == full,
        f"{len(list(questions()))} questions, {len(order)} lines": found[2] == order,
    }
    for check, held in checks.items():
        print(f"{'same ' if held else 'WRONG'} {check}")
    if not all(checks.values()):
        for theirs_part, my_part in zip(expected, found):
            unlike = [(n, *pair) for n, pair in enumerate(itertools.zip_longest(theirs_part, my_part)) if len(set(pair)) > 1]
            for number, their_line, my_line in unlike[:5]:
                print(f"line {number}: redis {their_line}, larder {my_line}")
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
