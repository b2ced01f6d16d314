"""`python -m flowdemo`."""

from flowdemo.cli import main

main()
