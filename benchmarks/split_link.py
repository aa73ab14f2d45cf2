"""A link in user space: carries the frames of two TAP devices, each after a delay; what `split_network.py` runs.

It stands for the delay of a real link where the kernel has no netem. Being below IP, it delays whatever goes over the
link, in both directions, and nobody has to know of it.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import os
import select
import struct
import sys
import time
from collections import deque
from pathlib import Path

_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_CLONE_NEWNET = 0x40000000
_LARGEST = 65_536
READY = "carrying"


def open_tap(namespace: str, device: str) -> int:
    """Return a file descriptor of a TAP device in a network namespace; this process is in it afterwards."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/run/netns", namespace).open("rb") as home:
        if libc.setns(home.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {namespace}")
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TAP | _IFF_NO_PI))
    return tap


def carry(ends: tuple[int, int], delay_s: float) -> None:
    """Carry frames between two TAP devices until the process ends."""
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    waiting: deque[tuple[float, int, bytes]] = deque()  # in the order they are due, for all wait equally long
    while True:
        left = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        readable, _, _ = select.select(ends, (), (), left)
        for end in readable:
            try:
                while True:
                    frame = os.read(end, _LARGEST)
                    waiting.append((time.monotonic() + delay_s, other[end], frame))
            except BlockingIOError:
                pass
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, end, frame = waiting.popleft()
            with contextlib.suppress(OSError):  # the device is full or not up: a link may lose what it carries
                os.write(end, frame)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ends", nargs=2, metavar="NAMESPACE:DEVICE", help="where the link ends")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="milliseconds that a frame takes one way")
    options = parser.parse_args()
    first, second = (open_tap(*end.split(":", 1)) for end in options.ends)
    print(READY, flush=True)
    carry((first, second), options.delay_ms / 1e3)
    return 0


if __name__ == "__main__":
    sys.exit(main())
