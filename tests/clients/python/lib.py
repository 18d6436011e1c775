"""What the programs share: printing, the listener's switch."""

import os
import socket


def show(name, value):
    if isinstance(value, (set, frozenset)):
        value = sorted(value)
    print(name, value, flush=True)


def about(expected, found):
    """A time to live, which may have lost some seconds on a busy machine."""
    return f"about {expected}" if expected - 8 < found <= expected else found


def listener(word):
    """Has the listener stopped ("stop") or started again ("start")."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(os.environ["CONTROL"])
        peer.sendall(word.encode())
        peer.recv(10)
