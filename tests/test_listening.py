"""Which addresses the package listens on: those that a Dask scheduler needs, and none without one."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from deployed import deploy
from digits_model import DIGITS
from litedelegates.cli import main

pytest.importorskip("distributed")
from cluster import cluster

NATIVE = Path(__file__).parent / "native"
BOARD, STRANGER = "10.203.77.1", "10.203.77.2"
BOARD_ELSEWHERE = "10.203.78.1"  # the same machine in another network, which the stranger reaches as well
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

DRIVER = """
import json, sys
from litedelegates.cli import main
for arguments in json.load(sys.stdin):
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = ended.code
    assert code == 0, (arguments, code)
"""


@pytest.fixture
def two_machines() -> Iterator[tuple[str, str]]:
    """Yield the names of two network namespaces with a cable between them: a board's and a stranger's."""
    board, stranger = f"ldboard{os.getpid()}", f"ldstranger{os.getpid()}"
    try:
        for name in (board, stranger):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", board, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", stranger)
        _ip("-n", board, "addr", "add", f"{BOARD}/24", "dev", "cable")
        _ip("-n", board, "addr", "add", f"{BOARD_ELSEWHERE}/24", "dev", "cable")
        _ip("-n", stranger, "addr", "add", f"{STRANGER}/24", "dev", "cable")
        for name in (board, stranger):
            _ip("-n", name, "link", "set", "cable", "up")
        _ip("-n", stranger, "route", "add", f"{BOARD_ELSEWHERE}/32", "via", BOARD)
        yield board, stranger
    finally:
        for name in (board, stranger):
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)


@needs_root
def test_a_worker_of_a_loopback_scheduler_cannot_be_reached_from_another_machine(
    two_machines: tuple[str, str], tmp_path: Path
) -> None:
    board, stranger = two_machines
    with cluster(tmp_path, within=_inside(board)) as boards:
        boards.add("plain")
        boards.add("nursed", nanny=True)
        ports = _ports(board)
        assert len(ports) == 5  # of the scheduler and its web server, of a worker, and of a nanny and its worker
        assert _reached(board, "127.0.0.1", ports) == ports
        assert _reached(stranger, BOARD, ports) == _reached(stranger, BOARD_ELSEWHERE, ports) == []


@needs_root
def test_a_worker_listens_on_the_one_address_that_reaches_its_scheduler(
    two_machines: tuple[str, str], tmp_path: Path
) -> None:
    board, stranger = two_machines
    with cluster(tmp_path, host=BOARD, within=_inside(board)) as boards:
        boards.add("plain")
        boards.add("nursed", nanny=True)
        ports = _ports(board)
        web_server = [port for port in ports if port not in _reached(stranger, BOARD, ports)]
        assert (len(ports), len(web_server)) == (5, 1)  # the scheduler's own, which was asked to stay on 127.0.0.1
        assert _reached(stranger, BOARD_ELSEWHERE, ports) == []
        assert _reached(board, "127.0.0.1", ports) == web_server


@pytest.fixture
def listen_log(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that names every address which processes that are started from now on listen on."""
    folder = tmp_path_factory.mktemp("listen")
    library = folder / "listen_log.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, NATIVE / "listen_log.c", "-ldl"], check=True)
    monkeypatch.setenv("LD_PRELOAD", f"{os.environ.get('LD_PRELOAD', '')} {library}".strip())
    monkeypatch.setenv("LISTEN_LOG", str(folder / "cluster"))
    return folder / "cluster"


def test_no_command_listens_but_a_worker(
    listen_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with cluster(tmp_path) as boards:
        boards.add("a")
        boards.add("b", nanny=True)
        commands = _commands(tmp_path, boards.address)
        assert {command[0] for command in commands} | {"worker"} == _all_commands(capsys)
        # The scheduler twice; a worker and its web server, which is closed at once; the same with a nanny.
        assert listen_log.read_text().split() == ["127.0.0.1"] * 7
        mine = listen_log.with_name("commands")
        monkeypatch.setenv("LISTEN_LOG", str(mine))
        done = subprocess.run(
            [sys.executable, "-c", DRIVER],
            input=json.dumps(commands),
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert not mine.exists(), mine.read_text()
        assert set(listen_log.read_text().split()) == {"127.0.0.1"}


def test_a_dashboard_is_shown_where_it_is_asked_for_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with cluster(tmp_path) as boards:
        boards.add("plain")
        assert not _answers(port)
        boards.add("shown", options=["--dashboard-address", f"127.0.0.1:{port}"])
        assert _answers(port)
    for address in ("8790", ":8790", "127.0.0.1:", "127.0.0.1:x"):
        assert main(["worker", "tcp://127.0.0.1:9", "--dashboard-address", address]) == 2
        assert "worker: dashboard address" in capsys.readouterr().err


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two authorities, ca0 and ca1, and a certificate of each, peer0 and peer1."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no program openssl to make certificates with")
    folder = tmp_path_factory.mktemp("certificates")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for number in (0, 1):
        authority = ["-x509", *curve, "-subj", f"/CN=authority{number}", "-keyout", f"ca{number}.key", "-days", "30"]
        asked = [*curve, "-subj", "/CN=peer", "-keyout", f"peer{number}.key", "-out", f"peer{number}.csr"]
        signer = ["-CA", f"ca{number}.pem", "-CAkey", f"ca{number}.key", "-CAcreateserial", "-days", "30"]
        for command in (
            ["req", *authority, "-out", f"ca{number}.pem"],
            ["req", *asked],
            ["x509", "-req", "-in", f"peer{number}.csr", *signer, "-out", f"peer{number}.pem"],
        ):
            subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    return folder


def test_with_certificates_only_those_of_the_same_authority_are_let_in(
    certificates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def given(number: int) -> list[str]:
        names = {"ca-file": f"ca{number}.pem", "cert": f"peer{number}.pem", "key": f"peer{number}.key"}
        return [part for option, file in names.items() for part in (f"--tls-{option}", str(certificates / file))]

    deploy(tmp_path / "out", at=[3], devices=("a", "b"))
    with cluster(tmp_path, options=given(0)) as boards:
        assert boards.address.startswith("tls://")
        boards.add("a")
        boards.add("b", nanny=True)
        command = ["pipeline", str(tmp_path / "out"), "--runs", "2", "--quiet", "--timeout", "10", "--workers"]
        assert main([*command, boards.address, *given(0)]) == 0
        assert "b at tls://127.0.0.1" in capsys.readouterr().out
        plain = boards.address.replace("tls://", "tcp://")
        for stranger in ([boards.address, *given(1)], [boards.address], [plain]):
            assert main([*command[:-2], "2", "--workers", *stranger]) == 1
            told = capsys.readouterr().err
            assert told.count("\n") == 1 and f"no Dask scheduler answers at {stranger[0]} within 2 s" in told


def test_certificates_that_are_incomplete_are_refused_before_anything_is_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ca.pem").touch()
    for command in (["worker"], ["link"], ["bench", str(DIGITS), "--workers"], ["pipeline", "out", "--workers"]):
        where = [*command, "tls://127.0.0.1:9"]
        assert main([*where, "--tls-ca-file", str(tmp_path / "ca.pem")]) == 2
        assert "--tls-cert" in capsys.readouterr().err
        assert main([*where, "--tls-ca-file", str(tmp_path / "ca.pem"), "--tls-cert", "none.pem"]) == 2
        assert "there is no file none.pem" in capsys.readouterr().err
    assert main(["bench", str(DIGITS), "--tls-cert", "none.pem"]) == 2
    assert "--tls-cert is about the workers of a scheduler" in capsys.readouterr().err


def _commands(folder: Path, scheduler: str) -> list[list[str]]:
    np.savez(folder / "images.npz", np.random.default_rng(0).random((4, 8, 8, 1), np.float32))
    model, images, quick = str(DIGITS), "images.npz", ["--seconds", "0.02", "--rounds", "1"]
    layers = ["--precisions", "float32,dynamic", "--delegates", "xnnpack", "--parts", "in_place,alone,error", "--runs"]
    return [
        ["devices"],
        ["run", model, "--runs", "2"],
        ["profile", model, "--runs", "2"],
        ["graph", model],
        ["cut", model, "--at", "5", "--out", "parts"],
        ["quantize", model, "int8", "-o", "small.tflite", "--calibration", images],
        ["bench", model, "--precisions", "float32", "--delegates", "none,xnnpack", *quick, "--store", "bench.sqlite"],
        ["bench", model, "--delegates", "xnnpack", *quick, "--store", "far.sqlite", "--workers", scheduler],
        ["layers", model, *layers, "3", "--seconds", "0.02", "--store", "study.sqlite"],
        ["plan", "study.sqlite", "--devices", "a,b=x2", "--link", "wifi=a-b:20mbps", "--objective", "latency"],
        ["simulate", "plan.json", "--seconds", "1"],
        ["deploy", "plan.json", "-o", "out"],
        ["verify", "out", "--inputs", images],
        ["pipeline", "out", "--runs", "2"],
        ["pipeline", "out", "--runs", "2", "--workers", "processes"],
        ["pipeline", "out", "--runs", "2", "--workers", scheduler],
        ["link", scheduler, "--between", "a,b", "--rounds", "3", "--pause", "0.01"],
        ["compare", "bench.sqlite", "bench.sqlite"],
        ["report", "bench.sqlite", "-o", "report"],
        ["completion", "--help"],
    ]


def _all_commands(capsys: pytest.CaptureFixture[str]) -> set[str]:
    with pytest.raises(SystemExit):
        main(["--help"])
    return set(re.findall(r"^    ([a-z]+)(?: |$)", capsys.readouterr().out, re.MULTILINE))


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _inside(namespace: str) -> list[str]:
    return ["ip", "netns", "exec", namespace]


def _ports(namespace: str) -> list[int]:
    listed = subprocess.run([*_inside(namespace), "ss", "-ltnH"], check=True, capture_output=True, text=True).stdout
    return sorted(int(line.split()[3].rpartition(":")[2]) for line in listed.splitlines())


def _reached(namespace: str, host: str, ports: list[int]) -> list[int]:
    """Return the ports at which something answers when it is called from a namespace."""
    trying = (
        "import json, socket, sys\nfor port in json.loads(sys.argv[2]):\n    try:\n"
        "        socket.create_connection((sys.argv[1], port), timeout=2).close()\n        print(port)\n"
        "    except OSError: pass"
    )
    command = [*_inside(namespace), sys.executable, "-c", trying, host, json.dumps(ports)]
    return [int(line) for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True
