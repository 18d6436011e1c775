#!/usr/bin/env python3
"""Runs the programs of tests/clients on redis-server, then on larder, and compares what they print.

    .ci/clients.py TOOLS TARGET [NAME...]

TOOLS holds what .ci/clients installed, TARGET what cargo built; of a program that is named in full, the lines are shown. A
program has servers of its own. It finds them by REDIS_URL,
REDIS_PORT and REDIS_SOCKET; at the socket CONTROL it says `stop` or `start`, and hears `done` when the listener is gone or
back. It prints only what may not differ: no ids, no addresses, no times. It must end with status 0.
"""

import difflib
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CLIENTS = os.path.join(ROOT, "tests", "clients")
TOOLS, TARGET = (os.path.abspath(folder) for folder in sys.argv[1:3])
TIMEOUT = 90
AT_ONCE = 3
# Below the ports that the system gives to whoever connects, so that a stopped listener's is still free.
PORTS = itertools.count(21000 + os.getpid() % 1000 * 10)
PORTS_LOCK = threading.Lock()


def node(file, *args):
    return ["node", "--no-warnings", os.path.join(TOOLS, "node", file), *args]


def python(file):
    return [os.path.join(TOOLS, "venv", "bin", "python"), os.path.join(CLIENTS, "python", file)]


def rust(name):
    return [os.path.join(TARGET, "debug", name)]


def shell(file):
    return ["bash", os.path.join(CLIENTS, file)]


# Name, command, and whether what is stored must survive the listener.
PROGRAMS = [
    ("redis-cli", shell("cli.sh"), False),
    ("redis-benchmark", shell("benchmark.sh"), False),
    ("redis-py", python("redis_py.py"), False),
    ("ioredis-6", node("ioredis.js", "ioredis"), False),
    ("ioredis-6, RESP2", node("ioredis.js", "ioredis", "2"), False),
    ("ioredis-5", node("ioredis.js", "ioredis-5"), False),
    ("node-redis-6", node("node-redis.js", "redis"), False),
    ("node-redis-5", node("node-redis.js", "redis-5"), False),
    ("connect-redis-10, node-redis-6", node("sessions.js", "connect-redis", "redis"), True),
    ("connect-redis-7, node-redis-4", node("sessions.js", "connect-redis-7", "redis-4"), True),
    ("connect-redis-7, ioredis-6", node("sessions.js", "connect-redis-7", "ioredis"), True),
    ("connect-redis-6, ioredis-5", node("sessions.js", "connect-redis-6", "ioredis-5"), True),
    ("connect-redis-6, node-redis-3", node("sessions.js", "connect-redis-6", "redis-3"), True),
    ("fastify", node("fastify.js"), True),
    ("fastapi", python("fastapi_app.py"), False),
    ("django", python("django_cache.py"), True),
    ("redigo", [os.path.join(TOOLS, "redigo")], False),
    ("redis-rs", rust("redis_sync"), False),
    ("redis-rs, tokio", rust("redis_async"), False),
    ("r2d2, bb8, deadpool", rust("pools"), False),
    ("fred", rust("fred"), False),
]
# Each code sample of the documents larder grew from, by document and line.
SEEDS = sorted(file for file in os.listdir(os.path.join(CLIENTS, "node", "seeds")) if file.endswith(".js"))
PROGRAMS += [("seed " + file.removesuffix(".js"), node(os.path.join("seeds", file)), False) for file in SEEDS]


def free_port():
    with PORTS_LOCK:
        for port in PORTS:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                    return str(port)
                except OSError:
                    continue


class Server:
    """A server on a port and a socket, which can be stopped and started again."""

    def __init__(self, kind, keeps, folder):
        self.folder, self.port, self.socket = folder, free_port(), os.path.join(folder, "redis.sock")
        self.keeper = kind == "larder" and keeps
        listen = ["--port", self.port, "--unixsocket", self.socket]
        if kind == "redis":
            save = ["--save", "3600", "1"] if keeps else ["--save", ""]
            self.command = ["redis-server", *listen, *save, "--appendonly", "no"]
        elif keeps:
            self.command = rust("keeper") + [self.port, self.socket]
        else:
            self.command = [os.path.join(TARGET, "release", "larder"), "serve", "--profile", "7.0", *listen]
        self.process = None

    def start(self):
        if not self.process or not self.tell("start"):
            self.process = subprocess.Popen(self.command, cwd=self.folder, stdin=subprocess.PIPE, text=True,
                                            stdout=open(os.path.join(self.folder, "log"), "a", encoding="utf-8"),
                                            stderr=subprocess.STDOUT)
        for _ in range(200):
            if self.answers():
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.command} does not answer")

    def stop(self):
        if self.tell("stop"):
            while self.answers():
                time.sleep(0.01)
        else:
            self.end()

    def tell(self, word):
        """Tells a keeper what to do with its listener; a process that is none is no keeper."""
        if self.keeper:
            self.process.stdin.write(word + "\n")
            self.process.stdin.flush()
        return self.keeper

    def end(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
            self.process = None

    def answers(self):
        try:
            with socket.socket(socket.AF_UNIX) as peer, socket.create_connection(("127.0.0.1", int(self.port))):
                peer.connect(self.socket)
                peer.sendall(b"PING\r\n")
                reply = peer.recv(100)
                return reply.startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def control(self):
        """Does what programs say at the control socket, until that is closed."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.path.join(self.folder, "control"))
        listener.listen()

        def serve():
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    word = peer.recv(100).decode().strip()
                    {"start": self.start, "stop": self.stop}[word]()
                    peer.sendall(b"done\n")

        threading.Thread(target=serve, daemon=True).start()
        return listener


def run(command, kind, keeps):
    """What the program prints on a server of this kind, and its status."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(kind, keeps, folder)
        server.start()
        listener = server.control()
        env = dict(os.environ, REDIS_URL=f"redis://127.0.0.1:{server.port}", REDIS_PORT=server.port,
                   REDIS_SOCKET=server.socket, CONTROL=os.path.join(folder, "control"), PYTHONDONTWRITEBYTECODE="1")
        try:
            done = subprocess.run(command, env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=TIMEOUT, text=True, check=False)
            return done.stdout.splitlines(), done.returncode
        except subprocess.TimeoutExpired as late:
            return (late.stdout or b"").decode().splitlines() + [f"not done after {TIMEOUT} s"], 1
        finally:
            listener.close()
            server.end()


def compare(program):
    """Runs a program on both; its name, what it prints, what differs, and why it failed."""
    name, command, keeps = program
    began = time.monotonic()
    try:
        theirs, status = run(command, "redis", keeps)
        ours, our_status = run(command, "larder", keeps)
    except (OSError, RuntimeError) as error:
        return name, [], [], [str(error)], time.monotonic() - began
    differences = [line for line in difflib.ndiff(theirs, ours) if line[0] in "+-"]
    failure = []
    if status or our_status or not theirs:
        failure = [f"status {status} on redis-server, {our_status} on larder, {len(theirs)} lines"] + theirs[-20:]
    return name, theirs, differences, failure, time.monotonic() - began


def unlisted():
    """Programs of tests/clients that neither an entry runs nor the stage that goes by TCP."""
    commands = {os.path.basename(word) for _, command, _ in PROGRAMS for word in command}
    with open(os.path.join(os.path.dirname(__file__), "clients-tcp"), encoding="utf-8") as script:
        commands |= {os.path.basename(word) for word in re.split(r'[\s"()]+', script.read())}
    for path in subprocess.check_output(["git", "ls-files", CLIENTS], cwd=ROOT, text=True).splitlines():
        stem, end = os.path.splitext(os.path.basename(path))
        if end in (".sh", ".py", ".js", ".go", ".rs") and not {stem + end, stem} & (commands | HELPERS):
            yield path


HELPERS = {"lib.js", "control.py", "lib.py", "lib.rs", "keeper.rs"}


def main():
    began = time.monotonic()
    wanted = tuple(sys.argv[3:]) or ("",)
    missing = list(unlisted())
    for file in missing:
        print(f"{file}: no program of .ci/clients.py runs it")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(compare, (program for program in PROGRAMS if program[0].startswith(wanted))))
    lines = differing = failed = 0
    for name, printed, differences, failure, took in results:
        verdict = "FAILED" if failure else "DIFFERS" if differences else "the same on both"
        print(f"{name:30} {len(printed):4} lines, {verdict}, {took:.1f} s")
        for line in (printed if name in wanted else []) + failure + differences[:40]:
            print(f"    {line}")
        lines, differing, failed = lines + len(printed), differing + len(differences), failed + bool(failure)
    print(f"clients: {len(results)} programs, {lines} lines compared, {differing} differences, {failed} failed, "
          f"{time.monotonic() - began:.0f} s")
    sys.exit(bool(missing or differing or failed or not results))


main()
