"""Reads a system-call trace: every acknowledgement must follow a finished fdatasync that began after its unit was written."""
import re
import sys

pending = {}  # process -> an unfinished call
safe, written, syncing, acks = {}, {}, {}, 0

for line in open(sys.argv[1], errors="replace"):
    pid, rest = line.split(None, 1)
    begun = "<unfinished" in rest
    if rest.startswith("<... "):
        name = rest.split()[1]
        finished = pending.pop(pid, None)
        if name == "fdatasync" and finished and re.search(r"= 0\s*$", rest):
            for key, value in syncing.pop(pid).items():
                safe[key] = max(safe.get(key, 0), value)
        elif name == "pwrite64" and finished:
            for key, value in finished.items():
                written[key] = max(written.get(key, 0), value)
        continue
    if rest.startswith("pwrite64(") and "incr.aof" in rest:
        units = {}
        for key, value in re.findall(r"SET\\r\\n\$\d+\\r\\na(\d)\\r\\n\$\d+\\r\\n(\d+)\\r\\n", rest):
            units[int(key)] = max(units.get(int(key), 0), int(value))
        if begun:
            pending[pid] = units
        else:
            for key, value in units.items():
                written[key] = max(written.get(key, 0), value)
    elif rest.startswith("fdatasync(") and "incr.aof" in rest:
        if begun:
            pending[pid], syncing[pid] = {0: 0}, dict(written)
        elif re.search(r"= 0\s*$", rest):
            for key, value in written.items():
                safe[key] = max(safe.get(key, 0), value)
    else:
        ack = re.search(r'write\(1<[^>]*>, "ack (\d) (\d+)\\n"', rest)
        if ack:
            acks += 1
            thread, number = int(ack.group(1)), int(ack.group(2))
            if safe.get(thread, 0) < number:
                sys.exit(f"acknowledged {thread} {number}, synced {safe.get(thread, 0)}: {line.strip()}")
if acks < 500:
    sys.exit(f"only {acks} acknowledgements were traced")
print(f"{acks} acknowledgements, each after a finished fdatasync of what it acknowledges")
