"""`msgflo-python FILE ROLE`: runs the participant of a file.

The file is a program of its own, with `msgflo.main` at its end, or it defines one class that extends `msgflo.Participant`, which
is then run.
"""

import inspect
import os
import runpy
import sys

from .participant import Participant
from .running import main as run_as_program


def main():
    """Runs the file that the command line names."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print("usage: msgflo-python FILE [ROLE] [--broker URL] [--iips JSON]\n\n" + __doc__.strip(), file=sys.stderr)
        sys.exit(0 if "-h" in sys.argv or "--help" in sys.argv else 2)
    file = sys.argv.pop(1)
    sys.argv[0] = file
    sys.path.insert(0, os.path.dirname(os.path.abspath(file)))
    # A file that runs itself does not return from here.
    defined = runpy.run_path(file, run_name="__main__").values()
    is_participant = lambda value: inspect.isclass(value) and issubclass(value, Participant) and value is not Participant
    participants = [value for value in defined if is_participant(value)]
    if len(participants) != 1:
        print(f"error: {file} defines {len(participants)} participants: it must define one, or call msgflo.main",
              file=sys.stderr)
        sys.exit(78)
    run_as_program(participants[0])


if __name__ == "__main__":
    main()
