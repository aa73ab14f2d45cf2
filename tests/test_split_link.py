"""The link in user space over which `benchmarks/split.py` measures: its delay and its bandwidth."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
# In a process of its own, which makes the network, and in its namespaces a listener and a caller.
PROGRAM = """
import subprocess, sys, time
from split_network import ADDRESSES, EDGE, SERVER, network

LISTEN = '''
import socket
listener = socket.create_server(("{address}", 5000))
print("there", flush=True)
connection = listener.accept()[0]
while data := connection.recv(1 << 16):
    if data.endswith(b"."):
        connection.sendall(b"got it")
'''
CALL = '''
import socket, time
connection = socket.create_connection(("{address}", 5000))
for size in (0, 250_000):
    begin = time.perf_counter()
    connection.sendall(bytes(size) + b".")
    connection.recv(10)
    print(time.perf_counter() - begin)
'''
delay_ms, mbps = float(sys.argv[1]), float(sys.argv[2])
with network(delay_ms) as found:
    found.shape(mbps)
    programs = [[sys.executable, "-c", text.format(address=ADDRESSES[SERVER])] for text in (LISTEN, CALL)]
    listener = subprocess.Popen([*found.enter(SERVER), *programs[0]], stdout=subprocess.PIPE, text=True)
    listener.stdout.readline()
    print(subprocess.check_output([*found.enter(EDGE), *programs[1]], text=True))
    listener.wait(10)
print(subprocess.run(["ip", "netns"], capture_output=True, text=True).stdout.count(found.prefix))
"""


def round_trips(delay_ms: float, mbps: float) -> tuple[float, float]:
    """Return the seconds that a byte and 250 kB take there, with an answer."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(delay_ms), str(mbps)],
        cwd=BENCHMARKS,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    small, large, left = map(float, done.stdout.split())
    assert left == 0
    return small, large


@pytest.mark.measures
@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
@pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="there is no /dev/net/tun")
@pytest.mark.skipif(not (shutil.which("ip") and shutil.which("tc")), reason="needs ip and tc")
def test_the_link_delays_and_carries_as_much_as_it_is_told() -> None:
    small, large = round_trips(30.0, 20.0)
    assert small >= 0.06  # there and back
    assert large >= 0.06 + 0.095  # 2 Mbit at 20 Mbit/s, less what may go through at once
    assert round_trips(0.0, 20.0)[0] < small
