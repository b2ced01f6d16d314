"""What the environment decides."""

import os


def is_public() -> bool:
    """Whether strangers use this app: FLOWDEMO_PUBLIC, else on a Hugging Face Space."""
    return os.environ.get("FLOWDEMO_PUBLIC", "1" if "SPACE_ID" in os.environ else "0") == "1"


def max_evaluations() -> int:
    """Network evaluations times samples that one request of a visitor may cost."""
    return 20_000 if is_public() else 200_000
