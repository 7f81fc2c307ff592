"""`python -m missioncontrol`."""

from missioncontrol.cli import main

main()
