"""What the engines of all brokers have in common: workers, errors, announcements, reports, and the end."""

import json
import logging
import os
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from urllib.parse import urlsplit

from .participant import Message, _settle
from .reports import Job, Tally

logger = logging.getLogger("msgflo")

# Where participants announce themselves.
DISCOVERY = "fbp"
# Seconds within which coordinators are to hear of a participant, unless MSGFLO_DISCOVERY_PERIOD says otherwise.
PERIOD = 60.0
# How often they do so within a period.
ANNOUNCEMENTS = 2.2
# The shortest and the longest pause between two attempts to connect, in seconds.
PAUSES = (0.2, 10.0)
# How long messages in hand may take when the participant ends, in seconds.
GRACE = 25.0


class Engine:
    """Runs participants on one broker. One for each scheme of a URL extends it.

    An engine gives `take(participant, port_id, raw, redelivered, settle)` what comes in, sends what `_reports()` gives ten times
    a second, and defines `_run` and `send(port, payload)`. `settle(done)` is called once, from any thread.
    """

    def __init__(self, broker, discovery_period=None):
        self.broker_url = broker
        self.broker_info = urlsplit(broker)
        said = discovery_period or os.environ.get("MSGFLO_DISCOVERY_PERIOD") or PERIOD
        self.discovery_period = float(said)
        self.participants = []
        self.failure = None
        self._done_cb = None
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._jobs = queue.Queue()
        self._hands = None
        self._tallies = {}

    def done_callback(self, done_cb):
        """Has `done_cb` called when the engine has ended."""
        self._done_cb = done_cb

    def add_participant(self, participant, iips=None):
        """Has the engine run `participant`, and give it `iips`, initial packets by port, when it starts."""
        participant._engine = self
        participant._iips = iips or {}
        self.participants.append(participant)

    def ack_message(self, msg):
        """As `Participant.ack`."""
        _settle(msg, True)

    def nack_message(self, msg):
        """As `Participant.nack`."""
        _settle(msg, False)

    def run(self):
        """Starts. Returns at once; `stop` ends it."""
        self._tallies = {
            (participant, port["id"]): Tally(participant.definition, port)
            for participant in self.participants
            for port in participant.definition["inports"]
        }
        hands = sum(max(1, participant.prefetch) for participant in self.participants)
        self._hands = ThreadPoolExecutor(max_workers=max(1, hands), thread_name_prefix="msgflo-work")
        threading.Thread(target=self._live, name="msgflo", daemon=True).start()

    def stop(self):
        """Has the engine end after the messages that it has in hand."""
        self._stopping.set()

    def wait(self, timeout=None):
        """Waits until the engine has ended. Whether it has."""
        return self._ended.wait(timeout)

    def _live(self):
        try:
            self._run()
        except Exception as error:  # Whatever it is, it ends the program, and is told there.
            self.failure = error
        finally:
            self._ended.set()
            if self._done_cb:
                self._done_cb()

    def _deliver_iips(self):
        for participant in self.participants:
            iips, participant._iips = participant._iips, {}
            for port, data in iips.items():
                self._hands.submit(self._work, participant, port, Message(data))

    def _announcements(self):
        """The discovery messages of the participants, encoded."""
        for participant in self.participants:
            message = {"protocol": "discovery", "command": "participant", "payload": participant.definition}
            yield json.dumps(message).encode()

    def _reports(self, are_last=False):
        """The reports that are due, encoded."""
        reports = (tally.report(are_last) for tally in self._tallies.values())
        return [report for report in reports if report]

    def take(self, participant, port, raw, redelivered, settle, sent=None):
        """Has a message worked on, which was sent at a time, if that is known: in seconds since the epoch."""
        msg = Message(raw, redelivered)
        msg._settle = Job(self._tallies[participant, port], sent, settle)
        try:
            return self._hands.submit(self._work, participant, port, msg)
        except RuntimeError:
            # We are leaving: the broker will give it to somebody else, or to us again.
            return None

    def _work(self, participant, port, msg):
        if msg._settle is not None:
            msg._settle.begin()
        try:
            participant.process(port, msg)
        except Exception as error:
            logger.exception("`%s` failed on a message of `%s`", participant.definition["role"], port)
            self._tell_failure(participant, msg, error)
            _settle(msg, False)

    def _tell_failure(self, participant, msg, error):
        outports = participant.definition["outports"]
        port = next((port for port in outports if port["id"].lower() == "error"), None)
        if port is None:
            return
        told = dict(msg.json) if isinstance(msg.json, dict) else {}
        told["error"] = {"message": f"{type(error).__name__}: {error}"}
        told["failed_at"] = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        try:
            self.send(port, json.dumps(told).encode())
        except Exception:
            logger.exception("the failure could not be sent on `%s`", port["id"])

    def _finish(self):
        """Waits for the messages in hand, as long as they may take."""
        ending = threading.Thread(target=self._hands.shutdown, daemon=True)
        ending.start()
        ending.join(GRACE)
        if ending.is_alive():
            logger.warning("messages in hand take too long to wait for; they go back")

    def _run(self):
        raise NotImplementedError

    def send(self, port, payload):
        """Sends `payload` on the outport `port`. Returns when the broker has confirmed it."""
        raise NotImplementedError
