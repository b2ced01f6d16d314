"""FlowDemo: builds the app and launches it."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

import argparse
import sys
from importlib.util import find_spec

from flowdemo.ui.app import launch

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="FlowDemo in the browser")
    parser.add_argument("--host", help="address to listen on (default: this machine only)")
    port = os.environ.get("PORT")
    parser.add_argument("--port", type=int, default=port, help="default: PORT, else from 7860 on")
    parser.add_argument("--mcp", action="store_true", help="also serve the endpoints as MCP tools")
    arguments = parser.parse_args()
    if arguments.mcp and find_spec("mcp") is None:
        sys.exit("FlowDemo cannot serve MCP: pip install 'gradio[mcp]'")
    try:
        launch(arguments.host, arguments.port, mcp=arguments.mcp)
    except OSError as error:  # the port is taken, or the address is not this machine's
        sys.exit(f"FlowDemo cannot start: {error}")
