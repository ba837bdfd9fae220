"""The least participant: sends what it gets. `python repeat.py ROLE`"""

import msgflo


class Repeat(msgflo.Participant):
    def __init__(self, role):
        super().__init__({"component": "python/Repeat", "label": "Sends what it gets", "icon": "repeat"}, role)

    def process(self, inport, msg):
        self.send("out", msg.data)
        self.ack(msg)


if __name__ == "__main__":
    msgflo.main(Repeat)
