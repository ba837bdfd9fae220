"""Write MsgFlo participants in Python, on AMQP and MQTT.

    import msgflo

    class Repeat(msgflo.Participant):
        def __init__(self, role):
            msgflo.Participant.__init__(self, {
                'component': 'examples/Repeat',
                'label': 'Sends what it gets',
            }, role)

        def process(self, inport, msg):
            self.send('out', msg.data)
            self.ack(msg)

    if __name__ == '__main__':
        msgflo.main(Repeat)

It runs with `python repeat.py ROLE`, and finds the broker in MSGFLO_BROKER. The module can stand in for the one of the
same name on PyPI: participants written for that one run unchanged.

A message is acknowledged by `ack`, which is told to the broker after it has confirmed what `send` sent before. What
`process` raises goes to the port `error`, if there is one, and the message is refused, so that the broker dead-letters or
drops it. SIGTERM ends a participant after the messages that it has in hand.
"""

from .engine import Engine
from .participant import Message, Participant
from .running import main, run

__all__ = ["Engine", "Message", "Participant", "main", "run"]
