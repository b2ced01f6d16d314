"""FlowDemo: builds the app and launches it."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

import argparse
import sys

from flowdemo.ui.app import launch

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="FlowDemo in the browser")
    parser.add_argument("--host", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, help="default: the first free one from 7860")
    arguments = parser.parse_args()
    try:
        launch(arguments.host, arguments.port)
    except OSError as error:  # the port is taken, or the address is not this machine's
        sys.exit(f"FlowDemo cannot start: {error}")
