// What a new component starts from: the smallest participant that works, in each language.

export interface Template {
  title: string;
  /** As the protocol calls the language; the server has a handler that runs it. */
  language: string;
  code: (name: string) => string;
}

export const TEMPLATES: Template[] = [
  {
    title: "Python",
    language: "python",
    code: (name) => `"""What it does, in one line."""

import msgflo


class ${name}(msgflo.Participant):
    def __init__(self, role):
        super().__init__({
            "component": "${name}",
            "label": "What it does, in one line",
            "inports": [{"id": "in", "type": "any"}],
            "outports": [{"id": "out", "type": "any"}],
        }, role)

    def process(self, inport, msg):
        self.send("out", msg.data)
        self.ack(msg)


if __name__ == "__main__":
    msgflo.main(${name})
`,
  },
  {
    title: "JavaScript (msgflo-nodejs)",
    language: "javascript",
    code: (name) => `const msgflo = require('msgflo-nodejs');

module.exports = function ${name}(client, role) {
  const definition = {
    component: '${name}',
    label: 'What it does, in one line',
    inports: [{ id: 'in', type: 'any' }],
    outports: [{ id: 'out', type: 'any' }],
  };
  function process(inport, data, send) {
    send('out', null, data);
  }
  return new msgflo.participant.Participant(client, definition, process, role);
};
`,
  },
];

/** Whether a name can be a component's: it becomes a file's, and in code a class's. */
export function isName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]{0,99}$/.test(name);
}
