"""Fills a small disk under `larder serve`, frees space, kills the server, and counts what is there. See full-disk."""
import os, signal, socket, subprocess, sys, time

larder, mount, fsync = sys.argv[1:]
data, path = f"{mount}/data", f"/tmp/larder-full-{os.getpid()}.sock"


def start():
    server = subprocess.Popen(
        [larder, "serve", "--port", "0", "--unixsocket", path, "--dir", data, "--fsync", fsync], stdout=subprocess.PIPE
    )
    assert server.stdout.readline().startswith(b"listening at"), "the server does not start"
    link = socket.socket(socket.AF_UNIX)
    link.connect(path)
    return server, link, link.makefile("rb")


def ask(*words):
    link.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
    line = replies.readline().rstrip()
    return replies.read(int(line[1:]) + 2)[:-2] if line[:1] == b"$" and line != b"$-1" else line


def value(n):
    return b"%08d" % n * 125  # a thousand bytes


with open(f"{mount}/ballast", "wb") as ballast:
    ballast.write(b"x" * (3 << 20))
server, link, replies = start()
acknowledged, refused = [], None
for n in range(20000):
    reply = ask(b"SET", b"k%d" % n, value(n))
    if reply == b"+OK":
        acknowledged.append(n)
    elif reply.startswith(b"-MISCONF"):
        refused = reply.decode()
        break
    else:
        # Under `always` one write may be told to be in memory only: it was not refused, and stays.
        assert reply.startswith(b"-NOTDURABLE"), reply
assert refused and "No space left on device" in refused, refused
full_at = len(acknowledged)
for n in acknowledged[:: max(1, full_at // 500)]:
    assert ask(b"GET", b"k%d" % n) == value(n), "reads go on"
assert ask(b"SET", b"x", b"x").startswith(b"-MISCONF")
assert ask(b"GET", b"x") == b"$-1", "a refused write leaves nothing"
os.unlink(f"{mount}/ballast")
freed = time.time()
while ask(b"SET", b"after", b"0") != b"+OK":
    assert time.time() - freed < 10, "writes do not resume"
    time.sleep(0.01)
resumed = time.time() - freed
for n in range(30000, 30500):
    assert ask(b"SET", b"k%d" % n, value(n)) == b"+OK"
    acknowledged.append(n)
if fsync == "everysec":
    time.sleep(1.5)
server.send_signal(signal.SIGKILL)
server.wait()
server, link, replies = start()
lost = [n for n in acknowledged if ask(b"GET", b"k%d" % n) != value(n)]
assert not lost, f"{len(lost)} writes are lost"
assert ask(b"GET", b"after") == b"0"
server.terminate()
assert server.wait() == 0
print(
    f"full disk, {fsync}: refused after {full_at} writes ({refused}); reads went on; "
    f"resumed {resumed:.2f} s after space was freed; {len(acknowledged)} acknowledged writes, none lost"
)
