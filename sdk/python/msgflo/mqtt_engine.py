"""MQTT, by paho."""

import logging
import socket
import ssl
import threading
import time
import uuid
from urllib.parse import parse_qsl, unquote

import paho.mqtt.client as mqtt

from .engine import ANNOUNCEMENTS, DISCOVERY, PAUSES, Engine
from .reports import EXCHANGE

logger = logging.getLogger("msgflo")

# How long the broker may take to confirm a message, in seconds.
DEADLINE = 30.0


def _qos(port):
    qos = (port.get("options") or {}).get("qos", 1)
    return 0 if qos == 0 else 1


class MqttEngine(Engine):
    """Participants on MQTT 3.1.1.

    A port is a topic. `ca_certs`, `certfile` and `keyfile` in the URL's query say how TLS is spoken to an mqtts: broker, and
    `client_id` names a session that is to outlive this process.
    """

    def __init__(self, broker, discovery_period=None):
        super().__init__(broker, discovery_period)
        said = dict(parse_qsl(self.broker_info.query))
        name = said.get("client_id")
        self._client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=name or f"msgflo-{uuid.uuid4().hex[:16]}",
            clean_session=not name,
            manual_ack=True,
        )
        is_tls = self.broker_info.scheme == "mqtts"
        if is_tls:
            self._client.tls_set(
                ca_certs=said.get("ca_certs"),
                certfile=said.get("certfile"),
                keyfile=said.get("keyfile"),
                tls_version=ssl.PROTOCOL_TLS_CLIENT,
            )
        if self.broker_info.username:
            password = self.broker_info.password
            self._client.username_pw_set(unquote(self.broker_info.username), password and unquote(password))
        self._address = (self.broker_info.hostname or "localhost", self.broker_info.port or (8883 if is_tls else 1883))
        self._client.reconnect_delay_set(1, int(PAUSES[1]))
        # A message that waits for company costs more than one that does not.
        self._client.on_socket_open = lambda client, userdata, sock: sock.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect
        self._inports = {}
        # Set whenever a connection has come, and whoever announces is to do so at once.
        self._connected = threading.Event()

    def send(self, port, payload):
        sent = self._client.publish(port["queue"], payload, qos=_qos(port))
        sent.wait_for_publish(DEADLINE)
        if not sent.is_published():
            raise TimeoutError(f"the broker did not confirm a message on `{port['id']}` within {DEADLINE:.0f} s")

    def _run(self):
        for participant in self.participants:
            for port in participant.definition["inports"]:
                self._inports.setdefault(port["queue"], []).append((participant, port))
        pause = PAUSES[0]
        while not self._stopping.is_set():
            try:
                self._client.connect(*self._address, keepalive=10)
                break
            except OSError as error:
                logger.warning("the broker at %s:%d is away (%s); trying again", *self._address, error)
                self._stopping.wait(pause)
                pause = min(2 * pause, PAUSES[1])
        self._client.loop_start()
        try:
            self._announce_until_stopped()
            self._client.unsubscribe(list(self._inports) or ["none"])
            self._finish()
            for report in self._reports(are_last=True):
                self._client.publish(EXCHANGE, report).wait_for_publish(1)
        finally:
            self._client.disconnect()
            self._client.loop_stop()
        if self.failure:
            raise self.failure

    def _announce_until_stopped(self):
        while not self._stopping.is_set():
            if self._connected.wait(0.1):
                self._connected.clear()
                due = 0.0
                while not self._stopping.is_set() and not self._connected.is_set():
                    if time.monotonic() >= due:
                        for announcement in self._announcements():
                            self._client.publish(DISCOVERY, announcement)
                        due = time.monotonic() + self.discovery_period / ANNOUNCEMENTS
                    for report in self._reports():
                        self._client.publish(EXCHANGE, report)
                    self._stopping.wait(0.1)

    def _on_connect(self, client, userdata, flags, reason, properties):
        if reason.is_failure:
            self.failure = ConnectionError(f"the broker refuses the connection: {reason}")
            self._stopping.set()
            return
        topics = [(queue, max(_qos(port) for _, port in ports)) for queue, ports in self._inports.items()]
        if topics:
            client.subscribe(topics)
        self._deliver_iips()
        self._connected.set()

    def _on_disconnect(self, client, userdata, flags, reason, properties):
        if not self._stopping.is_set():
            logger.warning("the connection to the broker was lost; trying again")

    def _on_message(self, client, userdata, message):
        takers = self._inports.get(message.topic, [])
        remaining = [len(takers)]
        lock = threading.Lock()

        def settle(_done):
            # Refusing is not known to MQTT. The last of those who take a message tells that it is done with.
            with lock:
                remaining[0] -= 1
                is_last = remaining[0] == 0
            if is_last:
                client.ack(message.mid, message.qos)

        if not takers:
            client.ack(message.mid, message.qos)
        for participant, port in takers:
            self.take(participant, port["id"], message.payload, message.dup, settle)
