"""CURVE by hand, for a peer that is free to misbehave: see rfc.zeromq.org 23, 25 and 26.

    peer = Peer(address, server_key, public, secret)     # keys are 32 bytes
    peer.shake_hands(properties=[("Socket-Type", b"DEALER"), ("Identity", b"")])
    peer.send(b"bytes of a frame", more=True)
"""

import ctypes
import ctypes.util
import os
import socket
import struct

sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")
sodium.sodium_init()

SHORT, LONG, COMMAND = 0, 2, 4


class Refused(Exception):
    """The manager ended the handshake."""


def new_pair():
    public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(32)
    sodium.crypto_box_keypair(public, secret)
    return public.raw, secret.raw


def box(text, nonce, public, secret):
    out = ctypes.create_string_buffer(len(text) + 16)
    if sodium.crypto_box_easy(out, text, ctypes.c_ulonglong(len(text)), nonce, public, secret) != 0:
        raise ValueError("crypto_box")
    return out.raw


def unbox(text, nonce, public, secret):
    out = ctypes.create_string_buffer(max(1, len(text) - 16))
    if sodium.crypto_box_open_easy(out, text, ctypes.c_ulonglong(len(text)), nonce, public, secret) != 0:
        raise Refused("what came cannot be opened")
    return out.raw


def frame(body, flags=0):
    if len(body) > 255:
        return bytes([flags | LONG]) + struct.pack(">Q", len(body)) + body
    return bytes([flags, len(body)]) + body


def greeting(mechanism=b"CURVE", as_server=0):
    return (b"\xff" + bytes(8) + b"\x7f\x03\x00" + mechanism.ljust(20, b"\0") +
            bytes([as_server]) + bytes(31))


class Peer:
    def __init__(self, address, server_key, public, secret, patience_s=10):
        self.server_key, self.public, self.secret = server_key, public, secret
        self.socket = socket.create_connection(address, timeout=patience_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.count = 0

    def nonce(self):
        self.count += 1
        return struct.pack(">Q", self.count)

    def read(self, size):
        got = b""
        while len(got) < size:
            piece = self.socket.recv(size - len(got))
            if not piece:
                raise Refused("the connection has ended")
            got += piece
        return got

    def read_frame(self):
        flags, size = self.read(2)
        if flags & LONG:
            size = struct.unpack(">Q", bytes([size]) + self.read(7))[0]
        return self.read(size)

    def greet(self):
        self.socket.sendall(greeting())
        self.read(64)

    def say_hello(self):
        self.short_public, self.short_secret = new_pair()
        nonce = self.nonce()
        sealed = box(bytes(64), b"CurveZMQHELLO---" + nonce, self.server_key, self.short_secret)
        self.socket.sendall(frame(b"\x05HELLO\x01\x00" + bytes(72) + self.short_public + nonce + sealed,
                                  COMMAND))
        welcome = self.read_frame()
        if not welcome.startswith(b"\x07WELCOME"):
            raise Refused(repr(welcome[:32]))
        opened = unbox(welcome[24:], b"WELCOME-" + welcome[8:24], self.server_key, self.short_secret)
        self.server_short, self.cookie = opened[:32], opened[32:]

    def initiate(self, properties):
        long_nonce = os.urandom(16)
        vouch = box(self.short_public + self.server_key, b"VOUCH---" + long_nonce, self.server_short,
                    self.secret)
        words = b"".join(bytes([len(name)]) + name.encode() + struct.pack(">I", len(value)) + value
                         for name, value in properties)
        nonce = self.nonce()
        sealed = box(self.public + long_nonce + vouch + words, b"CurveZMQINITIATE" + nonce,
                     self.server_short, self.short_secret)
        return frame(b"\x08INITIATE" + self.cookie + nonce + sealed, COMMAND)

    def shake_hands(self, properties=(("Socket-Type", b"DEALER"), ("Identity", b""))):
        self.greet()
        self.say_hello()
        self.socket.sendall(self.initiate(properties))
        ready = self.read_frame()
        if not ready.startswith(b"\x05READY"):
            raise Refused(repr(ready[:32]))

    def seal(self, body, more=False):
        nonce = self.nonce()
        return frame(b"\x07MESSAGE" + nonce + box(bytes([more]) + body, b"CurveZMQMESSAGEC" + nonce,
                                                  self.server_short, self.short_secret))

    def send(self, body, more=False):
        self.socket.sendall(self.seal(body, more))

    def ended(self, patience_s):
        """Has the manager ended this connection, or does it in so many seconds?"""
        self.socket.settimeout(patience_s)
        try:
            while self.socket.recv(65536):
                pass
            return True
        except (ConnectionError, BrokenPipeError):
            return True
        except TimeoutError:
            return False

    def close(self):
        self.socket.close()
