"""A worker that takes half a second for each message, and reports its jobs as the SDKs do; `feed` gives it messages."""

import json
import os
import sys
import time

import pika

connection = pika.BlockingConnection(pika.URLParameters(sys.argv[3] if len(sys.argv) > 3 else os.environ["MSGFLO_BROKER"]))
channel = connection.channel()

if sys.argv[1] == "feed":
    for number in range(int(sys.argv[2])):
        properties = pika.BasicProperties(timestamp=int(time.time()))
        channel.basic_publish("", "work.IN", json.dumps({"n": number}).encode(), properties)
    connection.close()
    sys.exit()

role = sys.argv[1]
name = f"{role}-{os.getpid()}"
inport, outport = f"{role}.IN", f"{role}.OUT"
channel.queue_declare(inport, durable=True)
channel.exchange_declare(outport, exchange_type="fanout")
channel.exchange_declare("msgflo.jobs", exchange_type="fanout", durable=True)


def report(in_flight, completed):
    told = {"id": name, "role": role, "component": "slow/Work", "queue": inport, "inport": "in",
            "in_flight": in_flight, "completed": completed}
    channel.basic_publish("msgflo.jobs", "", json.dumps(told).encode())


def work(channel, method, properties, body):
    begun = time.time()
    report(1, [])
    connection.sleep(0.5)
    channel.basic_publish(outport, "", body)
    channel.basic_ack(method.delivery_tag)
    waiting = max(0.0, begun - properties.timestamp) if properties.timestamp else None
    report(0, [{"waiting": waiting, "processing": time.time() - begun, "outcome": "completed"}])


channel.basic_qos(prefetch_count=1)
channel.basic_consume(inport, work)
channel.basic_publish("", "fbp", json.dumps({
    "protocol": "discovery",
    "command": "participant",
    "payload": {
        "id": name,
        "role": role,
        "component": "slow/Work",
        "inports": [{"id": "in", "type": "any", "queue": inport}],
        "outports": [{"id": "out", "type": "any", "queue": outport}],
    },
}).encode())
channel.start_consuming()
