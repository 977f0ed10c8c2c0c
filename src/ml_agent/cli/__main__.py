"""`python -m ml_agent.cli`, where the installed command is not on the path."""

from ml_agent.cli.main import main

main()
