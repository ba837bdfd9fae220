"""A program that is one participant: its command line, its signals, its exit status."""

import argparse
import json
import logging
import os
import signal
import sys
from urllib.parse import urlsplit

# Where the broker is, for one who does not say.
BROKER = "amqp://localhost"


def engine(broker, discovery_period=None):
    """The engine for the scheme of the URL `broker`."""
    scheme = urlsplit(broker).scheme
    # Imported here, so that one library is enough where one kind of broker is used.
    if scheme in ("amqp", "amqps"):
        from .amqp_engine import AmqpEngine

        return AmqpEngine(broker, discovery_period)
    if scheme in ("mqtt", "mqtts"):
        from .mqtt_engine import MqttEngine

        return MqttEngine(broker, discovery_period)
    raise ValueError(f"msgflo: no engine speaks `{scheme}:`; known are amqp, amqps, mqtt, mqtts")


def run(participants, broker=None, done_cb=None, iips=None):
    """Starts `participants` on `broker`, else on MSGFLO_BROKER's. Returns the engine at once."""
    running = engine(broker or os.environ.get("MSGFLO_BROKER") or BROKER)
    if done_cb:
        running.done_callback(done_cb)
    for participant in participants:
        running.add_participant(participant, iips)
    running.run()
    return running


def main(Participant, role=None, argv=None):
    """Runs `Participant`, a class or a function that takes a role, as a program."""
    parser = argparse.ArgumentParser(epilog="example: %(prog)s thermometer --broker mqtt://localhost")
    parser.add_argument("role", nargs="?" if role else None, default=role, help="the role to play in the network")
    parser.add_argument("--broker", metavar="URL", help="the broker [default: $MSGFLO_BROKER, else amqp://localhost]")
    parser.add_argument("-i", "--iips", type=json.loads, default={}, metavar="JSON", help="initial packets by port")
    said = parser.parse_args(argv)
    level = os.environ.get("MSGFLO_PYTHON_LOGLEVEL", "INFO").upper()
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    participant = Participant(said.role)
    running = run([participant], broker=said.broker, iips=said.iips)
    ended_by = []

    def leave(number, _frame):
        ended_by.append(number)
        running.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    definition, place = participant.definition, running.broker_info
    print(f"{definition['role']}({definition['component']}) running on {place.scheme}://{place.hostname}", flush=True)
    # With a limit, so that signals are heard.
    while not running.wait(0.5):
        pass
    if running.failure is not None:
        print(f"error: {running.failure}", file=sys.stderr)
        sys.exit(70)
    sys.exit(130 if signal.SIGINT in ended_by else 0)
