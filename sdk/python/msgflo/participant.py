"""What an application writes: participants, which take and send messages."""

import json
import uuid


class Message:
    """A message that was taken.

    `data` is the payload as JSON says it, else its bytes; `buffer` is always its bytes; `json` is `None` where the payload
    is no JSON. `redelivered` says that it may have been taken before.
    """

    def __init__(self, raw, redelivered=False):
        self.buffer = raw
        self.redelivered = redelivered
        try:
            self.json = json.loads(raw) if isinstance(raw, (bytes, str)) else raw
            self.data = self.json
        except (ValueError, RecursionError):
            self.json = None
            self.data = raw
        # How the engine answers for it: called once, with what became of it.
        self._settle = None


class Participant:
    """Takes messages on inports and sends messages on outports.

    `definition` has `component`, and may have `id`, `label`, `icon`, `inports` and `outports`. A port has an `id`, and may have
    a `queue` (else `ROLE/PORT`), a `type`, and `options`: `{"qos": 0}` for messages that may be lost on MQTT. Without ports
    it has `in` and `out`. `prefetch` is the number of messages that are worked on at once, on as many threads.
    """

    prefetch = 1

    def __init__(self, definition, role):
        self.definition = _complete(dict(definition), role)
        self._engine = None
        self._iips = {}

    def send(self, outport, outdata):
        """Sends `outdata`: bytes as they are, anything else as JSON. Returns when the broker has confirmed it."""
        port = self._port("outports", outport)
        if self._engine is None:
            raise RuntimeError(f"`{self.definition['role']}` does not run yet: nothing can be sent on `{outport}`")
        payload = bytes(outdata) if isinstance(outdata, (bytes, bytearray, memoryview)) else json.dumps(outdata).encode()
        self._engine.send(port, payload)

    def process(self, inport, msg):
        """Works on `msg`, which came in on the port with the id `inport`, and answers for it by `ack` or `nack`."""
        raise NotImplementedError("a participant defines `process(self, inport, msg)`")

    def ack(self, msg):
        """The message is done with."""
        _settle(msg, True)

    def nack(self, msg):
        """The message cannot be worked on: the broker dead-letters or drops it."""
        _settle(msg, False)

    def _port(self, direction, name):
        for port in self.definition[direction]:
            if port["id"] == name:
                return port
        known = ", ".join(port["id"] for port in self.definition[direction]) or "none"
        raise ValueError(f"`{self.definition['role']}` has no port `{name}` among its {direction}; it has: {known}")


def _settle(msg, done):
    settle, msg._settle = msg._settle, None
    if settle is not None:
        settle(done)


def _complete(definition, role):
    definition.setdefault("role", role)
    definition.setdefault("id", f"{definition['role']}-{uuid.uuid4()}")
    definition.setdefault("component", "unknown")
    definition.setdefault("icon", "file-word-o")
    definition.setdefault("label", "")
    for direction, default in (("inports", "in"), ("outports", "out")):
        ports = definition.get(direction)
        if ports is None:
            ports = [{"id": default, "type": "any"}]
        definition[direction] = [
            {**port, "queue": port.get("queue") or f"{definition['role']}/{port['id']}"} for port in ports
        ]
    return definition
