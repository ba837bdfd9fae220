"""AMQP 0-9-1, by pika."""

import logging
import queue
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

import pika
from pika.exceptions import AMQPConnectionError, ChannelClosedByBroker, ProbableAuthenticationError

from .engine import ANNOUNCEMENTS, DISCOVERY, PAUSES, Engine
from .reports import EXCHANGE

logger = logging.getLogger("msgflo")

# How long the broker may take to confirm a message, in seconds.
DEADLINE = 30.0


def _sent(properties):
    """When a message was sent, in seconds since the epoch."""
    milliseconds = (properties.headers or {}).get("timestamp_in_ms")
    return milliseconds / 1000 if isinstance(milliseconds, int) else properties.timestamp


class AmqpEngine(Engine):
    """Participants on AMQP 0-9-1.

    An outport is a durable fanout exchange. An inport is a durable queue that dead-letters to `dead-<queue>`, and a durable
    fanout exchange of its name, as those of other MsgFlo participants are.
    """

    def __init__(self, broker, discovery_period=None):
        super().__init__(broker, discovery_period)
        parameters = pika.URLParameters(broker)
        if self.broker_info.path in ("", "/"):
            parameters.virtual_host = "/"
        parameters.client_properties = {"connection_name": "msgflo participant (Python)"}
        self._parameters = parameters
        # What the thread of the connection is asked to do: nobody else may touch it.
        self._asked = queue.Queue()
        self._connection = None
        self._session = 0

    def send(self, port, payload):
        confirmed = Future()
        self._ask(lambda channel: self._publish(channel, port, payload), confirmed)
        try:
            confirmed.result(DEADLINE)
        except FutureTimeoutError:
            if confirmed.cancel():
                raise ConnectionError(f"the broker was away for {DEADLINE:.0f} s: a message was not sent") from None
            raise TimeoutError(f"the broker did not confirm within {DEADLINE:.0f} s: a message may have been sent") from None

    def _ask(self, action, answer=None):
        self._asked.put((action, answer))
        connection = self._connection
        if connection is not None:
            try:
                connection.add_callback_threadsafe(lambda: None)
            except AMQPConnectionError:
                # It is looked at again on the next connection.
                pass

    @staticmethod
    def _publish(channel, port, payload):
        persistent = (port.get("options") or {}).get("qos", 1) != 0
        properties = pika.BasicProperties(delivery_mode=2 if persistent else 1, timestamp=int(time.time()),
                                          headers={"timestamp_in_ms": int(time.time() * 1000)})
        channel.basic_publish(port["queue"], "", payload, properties)

    def _run(self):
        pause = PAUSES[0]
        while not self._stopping.is_set():
            try:
                self._serve()
                pause = PAUSES[0]
            except ProbableAuthenticationError as error:
                raise ConnectionError(f"the broker refuses the credentials: {error}") from error
            except ChannelClosedByBroker as error:
                raise ConnectionError(f"the broker does not accept the ports: {error.reply_text}") from error
            except (AMQPConnectionError, OSError) as error:
                logger.warning("the broker is away (%s); trying again", error.__class__.__name__)
                self._stopping.wait(pause)
                pause = min(2 * pause, PAUSES[1])

    def _serve(self):
        """Uses one connection until its end."""
        self._connection = connection = pika.BlockingConnection(self._parameters)
        self._session += 1
        channel = connection.channel()
        channel.confirm_delivery()
        consumers = [
            self._declare(connection, participant) for participant in self.participants
        ]
        reporting = self._reporting(connection)
        self._deliver_iips()
        due = 0.0
        while not self._stopping.is_set():
            if time.monotonic() >= due:
                self._announce(channel)
                due = time.monotonic() + self.discovery_period / ANNOUNCEMENTS
            connection.process_data_events(time_limit=0.1)
            self._do_what_was_asked(channel)
            self._tell(reporting, self._reports())
        for consumer in consumers:
            for tag in list(consumer.consumer_tags):
                consumer.basic_cancel(tag)
        # The messages in hand still send and answer.
        finishing = threading.Thread(target=self._finish, daemon=True)
        finishing.start()
        while finishing.is_alive() or not self._asked.empty():
            connection.process_data_events(time_limit=0.05)
            self._do_what_was_asked(channel)
        self._tell(reporting, self._reports(are_last=True))
        connection.close()

    @staticmethod
    def _reporting(connection):
        """A channel for reports, on which nothing is confirmed."""
        channel = connection.channel()
        try:
            channel.exchange_declare(EXCHANGE, "fanout", durable=True)
        except ChannelClosedByBroker as error:
            logger.info("jobs are not reported: %s", error.reply_text)
        return channel

    @staticmethod
    def _tell(channel, reports):
        for report in reports:
            if channel.is_open:
                channel.basic_publish(EXCHANGE, "", report, pika.BasicProperties(content_type="application/json"))

    def _declare(self, connection, participant):
        """Makes the ports of a participant; the channel on which it takes messages."""
        channel = connection.channel()
        for port in participant.definition["outports"]:
            channel.exchange_declare(port["queue"], "fanout", durable=True)
        channel.basic_qos(prefetch_count=max(1, participant.prefetch))
        for port in participant.definition["inports"]:
            queue_name = port["queue"]
            arguments = {"x-dead-letter-exchange": f"dead-{queue_name}"}
            channel.queue_declare(queue_name, durable=True, arguments=arguments)
            channel.exchange_declare(queue_name, "fanout", durable=True)
            channel.queue_bind(queue_name, queue_name)
            channel.basic_consume(queue_name, self._taker(participant, port["id"]))
        return channel

    def _taker(self, participant, port):
        session = self._session

        def on_message(channel, method, properties, body):
            def settle(done):
                def tell(_):
                    # What came on an earlier connection comes again.
                    if session == self._session and channel.is_open:
                        if done:
                            channel.basic_ack(method.delivery_tag)
                        else:
                            channel.basic_nack(method.delivery_tag, requeue=False)

                self._ask(tell)

            self.take(participant, port, body, method.redelivered, settle, _sent(properties))

        return on_message

    def _announce(self, channel):
        for announcement in self._announcements():
            channel.queue_declare(DISCOVERY, durable=True)
            channel.basic_publish("", DISCOVERY, announcement)

    def _do_what_was_asked(self, channel):
        while True:
            try:
                action, answer = self._asked.get_nowait()
            except queue.Empty:
                return
            if answer is not None and not answer.set_running_or_notify_cancel():
                # Whoever asked has given up.
                continue
            try:
                action(channel)
            except Exception as error:
                if answer is None:
                    raise
                answer.set_exception(error)
                if isinstance(error, AMQPConnectionError):
                    raise
            else:
                if answer is not None:
                    answer.set_result(None)
