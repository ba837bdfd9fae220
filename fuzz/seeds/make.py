#!/usr/bin/env python3
"""Sessions of well-behaved clients, as bytes: where the target `broker_stream` begins. Run in this folder after a change."""

import struct
from pathlib import Path


def short(text):
    return bytes([len(text)]) + text.encode()


def long(data):
    return struct.pack(">I", len(data)) + data


def frame(kind, channel, payload):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def method(channel, class_id, method_id, arguments=b""):
    return frame(1, channel, struct.pack(">HH", class_id, method_id) + arguments)


def publish(channel, exchange, key, body, properties=b"\0\0"):
    arguments = struct.pack(">H", 0) + short(exchange) + short(key) + b"\0"
    header = frame(2, channel, struct.pack(">HHQ", 60, 0, len(body)) + properties)
    return method(channel, 60, 40, arguments) + header + frame(3, channel, body)


OPEN = method(1, 20, 10, short(""))
CONSUME = method(1, 60, 20, struct.pack(">H", 0) + short("q") + short("c") + b"\0" + long(b""))
ACK = method(1, 60, 80, struct.pack(">QB", 1, 0))
HEADERS = struct.pack(">H", 0x3000) + long(short("k") + b"S" + long(b"v")) + b"\2"
TTL = long(short("x-message-ttl") + b"I" + struct.pack(">i", 5))

SESSIONS = {
    "consume": OPEN + CONSUME + publish(1, "", "q", b"body") + ACK + method(1, 20, 40, struct.pack(">H", 0) + short("") + b"\0\0\0\0"),
    "confirm": OPEN + method(1, 85, 10, b"\0") + publish(1, "", "q", b"x", HEADERS) + method(1, 60, 70, struct.pack(">H", 0) + short("q") + b"\0"),
    "declare": OPEN
    + method(1, 40, 10, struct.pack(">H", 0) + short("e") + short("topic") + b"\2" + long(b""))
    + method(1, 50, 10, struct.pack(">H", 0) + short("d") + b"\2" + TTL)
    + method(1, 50, 20, struct.pack(">H", 0) + short("d") + short("e") + short("a.*") + b"\0" + long(b""))
    + publish(1, "e", "a.b", b"routed"),
    "transaction": OPEN + method(1, 90, 10) + publish(1, "", "q", b"1") + method(1, 90, 20) + method(1, 90, 30),
    "get": OPEN + publish(1, "", "q", b"1") + method(1, 60, 70, struct.pack(">H", 0) + short("q") + b"\1") + frame(8, 0, b""),
}

folder = Path(__file__).parent / "broker_stream"
folder.mkdir(exist_ok=True)
for name, session in SESSIONS.items():
    (folder / name).write_bytes(session)
