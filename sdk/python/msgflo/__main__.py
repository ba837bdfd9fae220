"""As the command `msgflo-python`."""

from .runner import main

main()
