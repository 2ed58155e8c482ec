"""`python -m cli`: the command line from a bare checkout."""

from cli.main import main

main()
