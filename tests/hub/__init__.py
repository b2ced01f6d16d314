"""A Hugging Face Hub on 127.0.0.1 for the real `huggingface_hub` client.

It keeps repositories in memory and answers downloads, uploads and Spaces. It can also fail, break
off, stall, slow down and corrupt its answers.
"""

from tests.hub.server import HubEndpoint

__all__ = ["HubEndpoint"]
