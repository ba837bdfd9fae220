"""A participant without any library of MsgFlo: pika, and a message that announces it.

Its queue and exchange are made as pika's users make them: passing ones, with names of their own.
"""

import json
import os
import sys

import pika

role = sys.argv[1]
inport, outport = f"{role}/in", f"{role}/out"

connection = pika.BlockingConnection(pika.URLParameters(os.environ["MSGFLO_BROKER"]))
channel = connection.channel()
channel.queue_declare(inport, auto_delete=True)
channel.exchange_declare(outport, exchange_type="fanout")


def shout(channel, method, properties, body):
    message = json.loads(body)
    message["text"] = message["text"].upper()
    message["by"].append("python")
    channel.basic_publish(outport, "", json.dumps(message).encode())
    channel.basic_ack(method.delivery_tag)


channel.basic_qos(prefetch_count=5)
channel.basic_consume(inport, shout)
channel.basic_publish("", "fbp", json.dumps({
    "protocol": "discovery",
    "command": "participant",
    "payload": {
        "id": f"{role}-1",
        "role": role,
        "component": "polyglot/Shout",
        "inports": [{"id": "in", "type": "any", "queue": inport}],
        "outports": [{"id": "out", "type": "any", "queue": outport}],
    },
}).encode())
channel.start_consuming()
