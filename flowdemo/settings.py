"""What the environment decides."""

import math
import os

LIMITS = {"image": (20_000, 200_000), "points": (1_000_000, 20_000_000)}


def is_public() -> bool:
    """Whether this is a public app: FLOWDEMO_PUBLIC, by default true on a Space."""
    return os.environ.get("FLOWDEMO_PUBLIC", "1" if "SPACE_ID" in os.environ else "0") == "1"


def max_rows(most: int) -> int:
    """Rows of a visitor's comparison: each is measured by hundreds of evaluations."""
    return min(12, most) if is_public() else most


def max_evaluations(kind: str) -> int:
    """Network evaluations times samples ("image" or "points") that a visitor's request may cost."""
    public, local = LIMITS[kind]
    return public if is_public() else local


def is_lent() -> bool:
    """Whether this is a Space whose GPU is lent by the call (ZeroGPU)."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "true", "on", "t")


def max_download() -> int:
    """Largest size in bytes of a repository that may be pulled."""
    return 300_000_000 if is_public() else 4_000_000_000


def max_entry() -> int:
    """The same for the catalogue, whose largest networks are for a GPU."""
    return 4_000_000_000 if is_lent() else max_download()


def max_store() -> int:
    """Largest size of the cache in bytes; in public mode nothing is added beyond it."""
    if not is_public():
        return 10**15
    return 20_000_000_000 if is_lent() else 3_000_000_000


def namespace() -> str | None:
    """Whose checkpoints on the Hub are looked for: FLOWDEMO_HUB_NAMESPACE."""
    return os.environ.get("FLOWDEMO_HUB_NAMESPACE") or None


def max_pictures(shape: tuple[int, ...]) -> int:
    """Pictures of that shape that training may hold in memory, a byte a value."""
    most, most_bytes = (2_000, 50_000_000) if is_public() else (200_000, 8_000_000_000)
    return min(most, most_bytes // math.prod(shape))


def max_picture_pixels() -> int:
    """Pixels of one picture as it is decoded, a large JPEG at a smaller scale."""
    return 4_000_000 if is_public() else 50_000_000


def max_reading() -> float:
    """Seconds that reading the pictures of one addition may take."""
    return 20.0 if is_public() else math.inf


def may_train() -> bool:
    """Whether networks may be trained on pictures here: not by strangers, unless
    FLOWDEMO_ALLOW_TRAINING=1."""
    return not is_public() or os.environ.get("FLOWDEMO_ALLOW_TRAINING", "0") == "1"


def max_tuning() -> tuple[int, int]:
    """Steps and seconds that a fine-tuning of somebody on the page may take."""
    return (600, 180) if is_public() else (5000, 3600)


def max_unpacked() -> int:
    """Bytes that an archive of pictures may hold, unpacked."""
    return 300_000_000 if is_public() else 8_000_000_000
