"""Makes a temperature fit for a display."""

import msgflo


class FormatTemperature(msgflo.Participant):
    def __init__(self, role):
        super().__init__({
            "component": "thermometer/FormatTemperature",
            "label": "A temperature in words",
            "icon": "thermometer-half",
            "inports": [{"id": "temperature", "type": "number"}],
            "outports": [{"id": "text", "type": "string"}],
        }, role)

    def process(self, inport, msg):
        self.send("text", "Temperature: %.1f C" % msg.data)
        self.ack(msg)


if __name__ == "__main__":
    msgflo.main(FormatTemperature)
