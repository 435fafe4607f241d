#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The peers that the checks of this folder talk to: one small server per port, on the addresses given, or 127.0.0.1."""

import contextlib
import socket
import struct
import sys
import threading
import time

PATTERN = bytes(at * 7 % 251 for at in range(251 * 256))
remembered = b"nothing\n"


def echo(peer):
    """Sends everything back."""
    while data := peer.recv(65536):
        peer.sendall(data)


def sink(peer):
    """Counts bytes, and answers with the count when FIN comes."""
    count = 0
    while data := peer.recv(65536):
        count += len(data)
    peer.sendall(b"%d\n" % count)


def source(peer):
    """Reads a number in a line, sends as many bytes of a pattern."""
    left = int(peer.makefile("rb").readline())
    while left:
        piece = PATTERN[:left]
        peer.sendall(piece)
        left -= len(piece)


def reset(peer):
    """Sends five bytes, waits for one, resets."""
    peer.sendall(b"hello")
    peer.recv(1)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def greet(peer):
    """Speaks first."""
    peer.sendall(b"hello\n")
    peer.recv(1)


def hold(_peer):
    """Neither reads nor sends."""
    time.sleep(3600)


def remember(peer):
    """Remembers how the connection ends."""
    global remembered
    count = 0
    try:
        while data := peer.recv(65536):
            count += len(data)
        remembered = b"fin %d\n" % count
    except ConnectionResetError:
        remembered = b"rst\n"


def recall(peer):
    """Tells what `remember` remembers, after a moment for it to end."""
    time.sleep(0.2)
    peer.sendall(remembered)


def drip(peer):
    """Sends ten single bytes, 50 ms apart."""
    for _ in range(10):
        peer.sendall(b"x")
        time.sleep(0.05)


def slow(peer):
    """As `sink`, but begins late and takes its time."""
    count = 0
    time.sleep(0.5)
    while data := peer.recv(20000):
        count += len(data)
        time.sleep(0.002)
    peer.sendall(b"%d\n" % count)


def half(peer):
    """Answers after FIN, and after a pause."""
    while peer.recv(4096):
        pass
    time.sleep(0.3)
    peer.sendall(b"after-fin")


# In the order of check.h.
PEERS = [echo, sink, source, reset, greet, hold, remember, recall, drip, slow, half]


def run(peer, connection):
    with contextlib.suppress(OSError), connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer(connection)


def serve(listener, peer):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=run, args=(peer, connection), daemon=True).start()


def main():
    for host in sys.argv[1:] or ["127.0.0.1"]:
        for port, peer in enumerate(PEERS, start=7001):
            listener = socket.create_server((host, port), backlog=512)
            threading.Thread(target=serve, args=(listener, peer)).start()
    print("ready", flush=True)


main()
