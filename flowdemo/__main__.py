"""`python -m flowdemo`."""

from flowdemo.cli.main import main

if __name__ == "__main__":  # processes that make reflow pairs import this module under another name
    main()
