"""A Hugging Face Hub on 127.0.0.1, for tests that drive the real `huggingface_hub` client.

It keeps repositories in memory and answers the requests that the client makes for downloads,
uploads and Spaces. It can also fail, break off, stall, slow down and corrupt its answers.
"""

from tests.hub.server import HubEndpoint, run

__all__ = ["HubEndpoint", "run"]
