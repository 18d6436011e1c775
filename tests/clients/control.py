"""Has the listener stopped or started: control.py stop|start."""

import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as peer:
    peer.connect(os.environ["CONTROL"])
    peer.sendall(sys.argv[1].encode())
    peer.recv(10)
