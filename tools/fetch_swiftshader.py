"""Fetch SwiftShader, a Vulkan GPU in software, so that GPU code runs on a machine without one.

Debian's package chromium-common holds it. The package is unpacked, not installed; two files of it are kept in
.cache/swiftshader. Prints the line that makes Vulkan programs of this shell use it:

    eval "$(python3 tools/fetch_swiftshader.py)"
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = "chromium-common"
LIBRARY = "libvk_swiftshader.so"
ICD = "vk_swiftshader_icd.json"
LOADER = "libvulkan.so.1"
FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "swiftshader"


def main() -> None:
    """Fetch what is missing and print the export line."""
    if not loads(LOADER):
        install_loader()
    if not (FOLDER / LIBRARY).is_file():
        fetch_library(FOLDER)
    if not loads(str(FOLDER / LIBRARY)):
        sys.exit(f"{FOLDER / LIBRARY} cannot be loaded; remove {FOLDER} to fetch it again")
    # Written every time: the path in it is absolute, and the checkout may have moved.
    icd = write_icd(FOLDER)
    print(f"export VK_ICD_FILENAMES={shlex.quote(str(icd))}")


def fetch_library(folder: Path) -> None:
    """Take the library out of Debian's package into ``folder``."""
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} not found: SwiftShader is taken from Debian's package {PACKAGE}, so this needs Debian")
    with tempfile.TemporaryDirectory() as scratch:
        say(f"downloading {PACKAGE}")
        download(Path(scratch))
        packages = list(Path(scratch).glob(f"{PACKAGE}_*.deb"))
        if not packages:
            sys.exit(f"apt-get downloaded no {PACKAGE}_*.deb")
        check_digest(packages[0])
        unpacked = Path(scratch) / "unpacked"
        result = run(["dpkg-deb", "-x", str(packages[0]), str(unpacked)])
        if result.returncode != 0:
            sys.exit(f"{packages[0].name} cannot be unpacked:\n{result.stderr}")
        found = list(unpacked.rglob(LIBRARY))
        if not found:
            sys.exit(f"{packages[0].name} holds no {LIBRARY}: this architecture has no SwiftShader")
        folder.mkdir(parents=True, exist_ok=True)
        # Renamed into place, so that an interrupted copy is never taken for the library.
        partial = folder / f"{LIBRARY}.partial"
        shutil.copyfile(found[0], partial)
        partial.rename(folder / LIBRARY)


def download(folder: Path) -> None:
    """Download the package into ``folder``, with fresh package lists where the present ones do not do."""
    command = ["apt-get", "download", "--quiet", "--option", "APT::Get::AllowUnauthenticated=false", PACKAGE]
    if is_root():
        # apt's own user may not write into the folder, and warns.
        command[1:1] = ["--option", "APT::Sandbox::User=root"]
    result = run(command, folder)
    if result.returncode != 0 and is_root():
        say("refreshing the package lists")
        run(["apt-get", "update", "--quiet"])
        result = run(command, folder)
    if result.returncode != 0:
        hint = "" if is_root() else "\nRefresh the package lists and try again: sudo apt-get update"
        sys.exit(
            f"{PACKAGE} cannot be downloaded (no network, or not in this system's package lists):\n"
            f"{result.stderr.strip()}{hint}"
        )


def check_digest(package: Path) -> None:
    """End unless a package is one of those that the system's signed package lists tell the digest of."""
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    known = run(["apt-cache", "show", PACKAGE]).stdout.splitlines()
    if f"SHA256: {digest}" not in known:
        sys.exit(f"{package.name} has sha256 {digest}, which the package lists do not have")


def install_loader() -> None:
    """Install the Vulkan loader, or say how."""
    if not (is_root() and shutil.which("apt-get")):
        sys.exit(f"{LOADER} not found. Install it: sudo apt-get install libvulkan1")
    say("installing libvulkan1")
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "libvulkan1"]
    result = run(command)
    if result.returncode != 0:
        run(["apt-get", "update", "--quiet"])
        result = run(command)
    if result.returncode != 0:
        sys.exit(f"libvulkan1 cannot be installed:\n{result.stderr.strip()}")


def write_icd(folder: Path) -> Path:
    """Write the file by which the Vulkan loader finds the library, and return its path."""
    icd = folder / ICD
    content = {
        "file_format_version": "1.0.0",
        "ICD": {"library_path": str(folder / LIBRARY), "api_version": "1.0.5"},
    }
    icd.write_text(json.dumps(content, indent=2) + "\n")
    return icd


def loads(library: str) -> bool:
    """Return whether the dynamic loader finds a library and all it needs."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def run(command: list[str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command that may not ask anything."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def is_root() -> bool:
    """Return whether packages can be installed."""
    return os.geteuid() == 0


def say(what: str) -> None:
    """Tell what is being done; standard output is for the export line."""
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
