"""What Python's aiormq, below aio-pika, needs of a broker. Runs against AMQP_URL; exits 0 when everything holds.

Usage: AMQP_URL=amqp://127.0.0.1:5672 python aiormq_client.py   (needs the package aiormq)
"""

import asyncio
import itertools
import os
import sys
import traceback

import aiormq
from aiormq.exceptions import (
    AMQPConnectionError,
    ChannelAccessRefused,
    ChannelLockedResource,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    DeliveryError,
    PublishError,
)
from pamqp.commands import Basic

PATIENCE = 20
URL = os.environ["AMQP_URL"]
_counter = itertools.count()


def unique(name):
    return f"aiormq.{os.getpid()}.{next(_counter)}.{name}"


async def refused(connection, error, run):
    channel = await connection.channel()
    try:
        await run(channel)
    except error:
        return
    raise AssertionError(f"expected {error.__name__}")


async def exclusive(channel, name, **arguments):
    queue = unique(name)
    await channel.queue_declare(queue, exclusive=True, arguments=arguments)
    return queue


async def test_many_confirmed_at_once_and_consumed_in_order(connection):
    channel = await connection.channel()
    queue = await exclusive(channel, "jobs")
    confirmations = await asyncio.gather(
        *(channel.basic_publish(str(number).encode(), routing_key=queue) for number in range(200))
    )
    assert all(isinstance(confirmation, Basic.Ack) for confirmation in confirmations)
    await channel.basic_qos(prefetch_count=5)
    bodies, all_there = [], asyncio.Event()

    async def on_message(message):
        bodies.append(int(message.body))
        await message.channel.basic_ack(message.delivery.delivery_tag)
        if len(bodies) == 200:
            all_there.set()

    started = await channel.basic_consume(queue, on_message)
    await asyncio.wait_for(all_there.wait(), PATIENCE)
    await channel.basic_cancel(started.consumer_tag)
    assert bodies == list(range(200))


async def test_prefetch_bounds_what_is_on_its_way(connection):
    channel = await connection.channel()
    queue = await exclusive(channel, "prefetch")
    for number in range(5):
        await channel.basic_publish(b"%d" % number, routing_key=queue)
    await channel.basic_qos(prefetch_count=2)
    messages = asyncio.Queue()
    await channel.basic_consume(queue, messages.put)
    first = await asyncio.wait_for(messages.get(), PATIENCE)
    await asyncio.wait_for(messages.get(), PATIENCE)
    assert (await channel.queue_declare(queue, passive=True)).message_count == 3
    assert messages.empty()
    await channel.basic_ack(first.delivery.delivery_tag)
    third = await asyncio.wait_for(messages.get(), PATIENCE)
    assert third.body == b"2"


async def test_requeue_keeps_the_place(connection):
    channel = await connection.channel()
    queue = await exclusive(channel, "requeue")
    for body in [b"a", b"b", b"c"]:
        await channel.basic_publish(body, routing_key=queue)
    assert (await channel.basic_get(queue)).body == b"a"
    second = await channel.basic_get(queue)
    await channel.basic_nack(second.delivery.delivery_tag, multiple=True, requeue=True)
    again = [await channel.basic_get(queue, no_ack=True) for _ in range(3)]
    assert [(one.body, one.delivery.redelivered) for one in again] == [(b"a", True), (b"b", True), (b"c", False)]
    assert isinstance((await channel.basic_get(queue)).delivery, Basic.GetEmpty)


async def test_a_closed_channel_gives_back_its_messages(connection):
    channel, other = await connection.channel(), await connection.channel()
    queue = await exclusive(channel, "given-back")
    await channel.basic_publish(b"a", routing_key=queue)
    assert (await other.basic_get(queue)).body == b"a"
    await other.close()

    # A broker may answer before it has put it back.
    async def got():
        while isinstance((message := await channel.basic_get(queue, no_ack=True)).delivery, Basic.GetEmpty):
            await asyncio.sleep(0.02)
        return message

    again = await asyncio.wait_for(got(), PATIENCE)
    assert (again.body, again.delivery.redelivered) == (b"a", True)


async def test_exchanges_of_every_type(connection):
    channel = await connection.channel()
    for kind, key, sent, arguments in [
        ("direct", "k", "k", None),
        ("fanout", "", "any", None),
        ("topic", "a.*.#", "a.b.c.d", None),
        ("headers", "", "", {"x-match": "any", "colour": "red", "size": 3}),
    ]:
        exchange, queue = unique(kind), await exclusive(channel, kind)
        await channel.exchange_declare(exchange, exchange_type=kind, auto_delete=True)
        await channel.queue_bind(queue, exchange, key, arguments=arguments)
        properties = Basic.Properties(headers={"colour": "red", "size": 4})
        await channel.basic_publish(b"in", exchange=exchange, routing_key=sent, properties=properties)
        assert (await channel.basic_get(queue, no_ack=True)).body == b"in", kind
        await channel.queue_unbind(queue, exchange, key, arguments=arguments)


async def test_exchanges_bound_to_exchanges(connection):
    channel = await connection.channel()
    source, destination = unique("source"), unique("destination")
    queue = await exclusive(channel, "behind")
    await channel.exchange_declare(source, exchange_type="topic")
    await channel.exchange_declare(destination, exchange_type="fanout")
    await channel.exchange_bind(destination, source, "a.#")
    await channel.queue_bind(queue, destination)
    await channel.basic_publish(b"through", exchange=source, routing_key="a.b")
    assert (await channel.basic_get(queue, no_ack=True)).body == b"through"
    await channel.exchange_unbind(destination, source, "a.#")
    await channel.basic_publish(b"lost", exchange=source, routing_key="a.b")
    assert isinstance((await channel.basic_get(queue)).delivery, Basic.GetEmpty)
    for exchange in [source, destination]:
        await channel.exchange_delete(exchange)


async def test_unroutable_and_refused_publishes(connection):
    channel = await connection.channel()
    try:
        await channel.basic_publish(b"x", routing_key=unique("nowhere"), mandatory=True)
    except PublishError as error:
        assert error.message.body == b"x"
    else:
        raise AssertionError("expected PublishError")
    queue = await exclusive(channel, "full", **{"x-max-length": 1, "x-overflow": "reject-publish"})
    await channel.basic_publish(b"1", routing_key=queue)
    try:
        await channel.basic_publish(b"2", routing_key=queue)
    except DeliveryError as error:
        assert isinstance(error.frame, Basic.Nack)
        return
    raise AssertionError("expected DeliveryError")


async def test_what_expires_is_dead_lettered_with_its_story(connection):
    channel = await connection.channel()
    parked = await exclusive(channel, "parked")
    arguments = {"x-message-ttl": 50, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": parked}
    queue = await exclusive(channel, "short", **arguments)
    messages = asyncio.Queue()
    await channel.basic_consume(parked, messages.put, no_ack=True)
    await channel.basic_publish(b"late", routing_key=queue)
    message = await asyncio.wait_for(messages.get(), PATIENCE)
    [death] = message.header.properties.headers["x-death"]
    assert (message.body, death["queue"], death["reason"], death["count"]) == (b"late", queue, "expired", 1)


async def test_priorities(connection):
    channel = await connection.channel()
    queue = await exclusive(channel, "priorities", **{"x-max-priority": 5})
    for priority in [1, 5, 3]:
        properties = Basic.Properties(priority=priority)
        await channel.basic_publish(b"%d" % priority, routing_key=queue, properties=properties)
    got = [(await channel.basic_get(queue, no_ack=True)).body for _ in range(3)]
    assert got == [b"5", b"3", b"1"]


async def test_transactions(connection):
    channel = await connection.channel(publisher_confirms=False)
    queue = await exclusive(channel, "tx")
    await channel.tx_select()
    await channel.basic_publish(b"no", routing_key=queue)
    await channel.tx_rollback()
    await channel.basic_publish(b"yes", routing_key=queue)
    await channel.tx_commit()
    assert (await channel.basic_get(queue, no_ack=True)).body == b"yes"
    assert isinstance((await channel.basic_get(queue)).delivery, Basic.GetEmpty)


async def test_refusals(connection):
    channel = await connection.channel()
    queue = await exclusive(channel, "refusals")
    missing = unique("missing")
    await refused(connection, ChannelNotFoundEntity, lambda other: other.queue_declare(missing, passive=True))
    await refused(connection, ChannelNotFoundEntity, lambda other: other.exchange_declare(missing, passive=True))
    await refused(
        connection, ChannelNotFoundEntity, lambda other: other.basic_publish(b"x", exchange=missing, routing_key="k")
    )
    await refused(
        connection,
        ChannelPreconditionFailed,
        lambda other: other.queue_declare(queue, exclusive=True, auto_delete=True),
    )
    await refused(connection, ChannelAccessRefused, lambda other: other.exchange_declare("amq.reserved"))
    stranger = await aiormq.connect(URL)
    await refused(stranger, ChannelLockedResource, lambda other: other.basic_get(queue))
    await stranger.close()
    # A refusal ends its own channel only.
    assert (await channel.queue_declare(queue, passive=True)).queue == queue


async def test_headers_survive(connection):
    channel = await connection.channel()
    queue = await exclusive(channel, "headers")
    headers = {"text": "x", "number": 2**40, "nested": {"list": [1, "two", True, None]}, "flag": False}
    properties = Basic.Properties(
        headers=headers, content_type="a/b", delivery_mode=2, priority=1, expiration="60000", message_id="m"
    )
    await channel.basic_publish(b"body", routing_key=queue, properties=properties)
    received = (await channel.basic_get(queue, no_ack=True)).header.properties
    assert received.headers == headers, received.headers
    assert (received.content_type, received.delivery_mode, received.message_id) == ("a/b", 2, "m")


async def test_large_bodies(connection):
    channel = await connection.channel()
    queue = await exclusive(channel, "large")
    body = os.urandom(3_000_000)
    await channel.basic_publish(body, routing_key=queue)
    assert (await channel.basic_get(queue, no_ack=True)).body == body


async def test_purging_and_deleting_count(connection):
    channel = await connection.channel()
    queue = await exclusive(channel, "counted")
    for _ in range(3):
        await channel.basic_publish(b"x", routing_key=queue)
    assert (await channel.queue_purge(queue)).message_count == 3
    await channel.basic_publish(b"x", routing_key=queue)
    assert (await channel.queue_delete(queue)).message_count == 1


async def test_a_wrong_password_is_refused(_connection):
    _, host = URL.rsplit("@", 1) if "@" in URL else URL.split("://", 1)
    try:
        await aiormq.connect(f"amqp://guest:wrong@{host}")
    except AMQPConnectionError:
        return
    raise AssertionError("expected a refusal")


async def main():
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    failed = 0
    for name, test in tests:
        connection = await aiormq.connect(URL)
        try:
            await test(connection)
            print(f"ok   {name}")
        except Exception:  # each test is judged on its own
            failed += 1
            print(f"FAIL {name}\n{traceback.format_exc()}")
        finally:
            await connection.close()
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
