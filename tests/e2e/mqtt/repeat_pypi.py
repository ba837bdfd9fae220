"""A participant on the unmodified package `msgflo` of PyPI: sends what it gets."""

import sys

import msgflo


class Repeat(msgflo.Participant):
    def __init__(self, role):
        definition = {
            "component": "PythonRepeat",
            "inports": [{"id": "in", "type": "any"}],
            "outports": [{"id": "out", "type": "any"}],
        }
        msgflo.Participant.__init__(self, definition, role)

    def process(self, inport, msg):
        self.send("out", msg.data)
        self.ack(msg)


if __name__ == "__main__":
    msgflo.main(Repeat, sys.argv[1])
