"""What Python's pika needs of a broker. Runs against AMQP_URL; exits 0 when everything holds.

Usage: AMQP_URL=amqp://127.0.0.1:5672 python pika_client.py   (needs the package pika)
"""

import itertools
import os
import sys
import time
import traceback

import pika
from pika.exceptions import (
    AMQPConnectionError,
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
    NackError,
    UnroutableError,
)

PATIENCE = 20
URL = os.environ["AMQP_URL"]
_counter = itertools.count()


def unique(name):
    return f"pika.{os.getpid()}.{next(_counter)}.{name}"


def connect():
    return pika.BlockingConnection(pika.URLParameters(URL))


def until(connection, what, ask):
    """Asks until the answer is true, serving the connection meanwhile."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if ask():
            return
        connection.process_data_events(time_limit=0.01)
    raise AssertionError(f"never came true: {what}")


def refused(connection, code, run):
    channel = connection.channel()
    try:
        run(channel)
        # What has no answer of its own is refused before the next question is answered.
        channel.basic_qos(prefetch_count=1)
    except ChannelClosedByBroker as error:
        assert error.reply_code == code, (error, code)
        return
    raise AssertionError(f"expected {code}")


def test_confirmed_publishing_and_acknowledged_consuming(connection):
    queue, channel = unique("jobs"), connection.channel()
    channel.queue_declare(queue, auto_delete=True)
    channel.confirm_delivery()
    for number in range(200):
        channel.basic_publish("", queue, str(number).encode())
    channel.basic_qos(prefetch_count=5)
    bodies = []
    for method, _, body in channel.consume(queue, inactivity_timeout=PATIENCE):
        assert method, "a message in time"
        bodies.append(int(body))
        channel.basic_ack(method.delivery_tag)
        if len(bodies) == 200:
            break
    channel.cancel()
    assert bodies == list(range(200))


def test_the_layout_of_msgflo_participants(connection):
    """Non-durable auto-delete inport queue, non-durable fanout outport, no prefetch, nack without requeue."""
    inport, outport, channel = unique("in/port"), unique("out/port"), connection.channel()
    channel.queue_declare(inport, durable=False, auto_delete=True)
    channel.exchange_declare(outport, exchange_type="fanout", durable=False)
    channel.queue_bind(inport, outport, "")
    received = []

    def on_message(channel, method, properties, body):
        received.append(body)
        if body == b"bad":
            channel.basic_nack(method.delivery_tag, requeue=False)
        else:
            channel.basic_ack(method.delivery_tag)

    channel.basic_consume(inport, on_message)
    for body in [b"good", b"bad", b"good"]:
        channel.basic_publish(outport, "", body)
    until(connection, "three messages", lambda: len(received) == 3)
    assert received == [b"good", b"bad", b"good"]
    channel.exchange_delete(outport)


def test_requeue_keeps_the_place(connection):
    queue, channel = unique("requeue"), connection.channel()
    channel.queue_declare(queue, exclusive=True)
    channel.confirm_delivery()
    for body in [b"a", b"b", b"c"]:
        channel.basic_publish("", queue, body)
    first, second = channel.basic_get(queue), channel.basic_get(queue)
    channel.basic_nack(second[0].delivery_tag, multiple=True, requeue=True)
    again = [channel.basic_get(queue, auto_ack=True) for _ in range(3)]
    assert [(body, method.redelivered) for method, _, body in again] == [
        (b"a", True),
        (b"b", True),
        (b"c", False),
    ]
    assert first[2] == b"a"
    assert channel.basic_get(queue) == (None, None, None)


def test_recover_redelivers(connection):
    queue, channel = unique("recover"), connection.channel()
    channel.queue_declare(queue, exclusive=True)
    channel.basic_publish("", queue, b"a")
    seen = []
    channel.basic_consume(queue, lambda _c, method, _p, _b: seen.append(method.redelivered))
    until(connection, "first delivery", lambda: seen == [False])
    channel.basic_recover(requeue=True)
    until(connection, "second delivery", lambda: seen == [False, True])


def test_a_dead_connection_gives_back_its_messages(connection):
    queue, channel = unique("dying"), connection.channel()
    channel.queue_declare(queue, auto_delete=False)
    channel.confirm_delivery()
    for body in [b"a", b"b"]:
        channel.basic_publish("", queue, body)
    child = os.fork()
    if child == 0:
        other = connect().channel()
        both = [other.basic_get(queue)[2] for _ in range(2)]
        # Not closed, just gone.
        os._exit(0 if both == [b"a", b"b"] else 1)
    assert os.waitpid(child, 0)[1] == 0, "the child got both"
    received = []

    def both():
        method, _, body = channel.basic_get(queue, auto_ack=True)
        if method:
            received.append((body, method.redelivered))
        return len(received) == 2

    until(connection, "both came back", both)
    assert received == [(b"a", True), (b"b", True)]
    channel.queue_delete(queue)


def test_unroutable_and_refused_publishes(connection):
    channel = connection.channel()
    channel.confirm_delivery()
    try:
        channel.basic_publish("", unique("nowhere"), b"x", mandatory=True)
    except UnroutableError as error:
        assert error.messages[0].body == b"x"
    else:
        raise AssertionError("expected UnroutableError")
    queue = unique("full")
    arguments = {"x-max-length": 1, "x-overflow": "reject-publish"}
    channel.queue_declare(queue, exclusive=True, arguments=arguments)
    channel.basic_publish("", queue, b"1")
    try:
        channel.basic_publish("", queue, b"2")
    except NackError:
        return
    raise AssertionError("expected NackError")


def test_transactions(connection):
    queue, channel = unique("tx"), connection.channel()
    channel.queue_declare(queue, exclusive=True)
    channel.tx_select()
    channel.basic_publish("", queue, b"no")
    channel.tx_rollback()
    channel.basic_publish("", queue, b"yes")
    channel.tx_commit()
    assert channel.basic_get(queue, auto_ack=True)[2] == b"yes"
    assert channel.basic_get(queue, auto_ack=True)[0] is None


def test_refusals(connection):
    queue, channel = unique("refusals"), connection.channel()
    channel.queue_declare(queue, exclusive=True)
    refused(connection, 404, lambda other: other.queue_declare(unique("missing"), passive=True))
    refused(connection, 404, lambda other: other.exchange_declare(unique("missing"), passive=True))
    refused(connection, 404, lambda other: other.basic_publish(unique("missing"), "k", b"x"))
    refused(connection, 406, lambda other: other.queue_declare(queue, exclusive=True, auto_delete=True))
    refused(connection, 406, lambda other: other.basic_ack(99))
    refused(connection, 403, lambda other: other.exchange_declare("amq.reserved"))
    stranger = connect()
    refused(stranger, 405, lambda other: other.basic_get(queue))
    stranger.close()


def test_an_unknown_exchange_type_ends_the_connection(_connection):
    victim = connect()
    try:
        victim.channel().exchange_declare(unique("magic"), exchange_type="magic")
    except ConnectionClosedByBroker as error:
        assert error.reply_code == 503, error
        return
    raise AssertionError("expected 503")


def test_consumers_hear_of_a_deleted_queue(connection):
    queue, channel = unique("cancelled"), connection.channel()
    channel.queue_declare(queue)
    cancelled = []
    channel.add_on_cancel_callback(cancelled.append)
    channel.basic_consume(queue, lambda *_: None)
    channel.queue_delete(queue)
    until(connection, "the cancel", lambda: cancelled)


def test_headers_survive(connection):
    queue, channel = unique("headers"), connection.channel()
    channel.queue_declare(queue, exclusive=True)
    headers = {"text": "x", "number": 2**40, "nested": {"list": [1, "two", True, None]}, "flag": False}
    properties = pika.BasicProperties(
        headers=headers, content_type="a/b", delivery_mode=2, priority=1, expiration="60000", message_id="m"
    )
    channel.basic_publish("", queue, b"body", properties)
    _, received, _ = channel.basic_get(queue, auto_ack=True)
    assert received.headers == headers, received.headers
    assert (received.content_type, received.delivery_mode, received.expiration) == ("a/b", 2, "60000")


def test_large_bodies(connection):
    queue, channel = unique("large"), connection.channel()
    channel.queue_declare(queue, exclusive=True)
    body = os.urandom(3_000_000)
    channel.basic_publish("", queue, body)
    assert channel.basic_get(queue, auto_ack=True)[2] == body


def test_a_wrong_password_is_refused(_connection):
    parameters = pika.URLParameters(URL)
    parameters.credentials = pika.PlainCredentials("guest", "wrong")
    try:
        pika.BlockingConnection(parameters)
    except AMQPConnectionError:
        return
    raise AssertionError("expected a refusal")


def main():
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    failed = 0
    for name, test in tests:
        connection = connect()
        try:
            test(connection)
            print(f"ok   {name}")
        except Exception:  # each test is judged on its own
            failed += 1
            print(f"FAIL {name}\n{traceback.format_exc()}")
        finally:
            if connection.is_open:
                connection.close()
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
