"""What participants report of their jobs, for those who watch and scale them. A report may be lost."""

import json
import threading
import time

# The fanout exchange, or topic, of reports.
EXCHANGE = "msgflo.jobs"
# How long after a first change a report waits for more, and how often one is made when nothing changes, in seconds.
GATHER = 0.1
REPEAT = 5.0
# So many finished jobs are kept while nothing can be reported.
MOST = 10_000


class Tally:
    """The jobs of an inport. Jobs begin and end on any thread."""

    def __init__(self, definition, port):
        self._said = {"id": definition["id"], "role": definition["role"], "component": definition["component"],
                      "queue": port["queue"], "inport": port["id"]}
        self._lock = threading.Lock()
        self._in_flight = 0
        self._completed = []
        self._due = None

    def begun(self):
        with self._lock:
            self._in_flight += 1
            self._changed()

    def ended(self, completed):
        with self._lock:
            self._in_flight -= 1
            if len(self._completed) < MOST:
                self._completed.append(completed)
            self._changed()

    def _changed(self):
        gathered = time.monotonic() + GATHER
        self._due = gathered if self._due is None else min(self._due, gathered)

    def report(self, is_last=False):
        """The report, encoded, if it is time for one."""
        with self._lock:
            now = time.monotonic()
            if self._due is None or (now < self._due and not is_last):
                return None
            self._due = now + REPEAT if self._in_flight else None
            completed, self._completed = self._completed, []
            in_flight = 0 if is_last else self._in_flight
        return json.dumps({**self._said, "in_flight": in_flight, "completed": completed}).encode()


class Job:
    """A message that is worked on, from its beginning to its answer: called once, with whether it is done."""

    def __init__(self, tally, sent, settle):
        self._tally = tally
        # When the message was sent, seconds since the epoch, if anybody knows.
        self._sent = sent
        self._settle = settle
        self._started = None
        self._waiting = None

    def begin(self):
        self._started = time.monotonic()
        if self._sent is not None:
            self._waiting = max(0.0, time.time() - self._sent)
        self._tally.begun()

    def __call__(self, done):
        self._settle(done)
        if self._started is None:
            return
        completed = {"processing": time.monotonic() - self._started, "outcome": "completed" if done else "failed"}
        if self._waiting is not None:
            completed["waiting"] = self._waiting
        self._tally.ended(completed)
