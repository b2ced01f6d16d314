"""Seconds until `python app.py` answers its first page, over those of importing torch and gradio.

python -m benchmarks.startup [runs]
"""

import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENVIRONMENT = os.environ | {"GRADIO_ANALYTICS_ENABLED": "False"}


def imports() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch, gradio"], check=True, env=ENVIRONMENT)
    return time.perf_counter() - began


def first_page() -> float:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.perf_counter()
    command = [sys.executable, "app.py", "--port", str(port)]
    app = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    try:
        while time.perf_counter() - began < 120:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
                    page.read()
                return time.perf_counter() - began
            except (urllib.error.URLError, OSError):
                time.sleep(0.02)
        raise RuntimeError("the app did not answer within two minutes")
    finally:
        app.terminate()
        app.wait()


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    imports(), first_page()  # fill the disk's cache
    pairs = [(first_page(), imports()) for _ in range(count)]
    page, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
    extra = statistics.median(a - b for a, b in pairs)
    print(
        f"first page {page:.2f} s, import torch and gradio {bare:.2f} s, difference {extra:.2f} s"
    )
