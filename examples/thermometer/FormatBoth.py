"""Makes two temperatures fit for one display."""

import msgflo


class FormatBoth(msgflo.Participant):
    def __init__(self, role):
        super().__init__({
            "component": "thermometer/FormatBoth",
            "label": "Two temperatures in words",
            "icon": "home",
            "inports": [{"id": "inside", "type": "number"}, {"id": "outside", "type": "number"}],
            "outports": [{"id": "text", "type": "string"}],
        }, role)
        self.temperatures = {}

    def process(self, inport, msg):
        self.temperatures[inport] = msg.data
        if len(self.temperatures) == 2:
            self.send("text", "Inside %(inside).1f C Outside: %(outside).1f C" % self.temperatures)
        self.ack(msg)


if __name__ == "__main__":
    msgflo.main(FormatBoth)
