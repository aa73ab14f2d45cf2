#!/bin/sh
# Make a virtual environment that can build the package: setup_environment.sh FOLDER [PYTHON]
# Installs what Debian splits off from Python (venv, headers) when it may, and says how when it may not.
set -eu

folder=$1
python=${2:-python3}

fail() {
  echo "setup_environment.sh: $*" >&2
  exit 1
}

has_python() { "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; }
has_venv() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }
has_headers() {
  "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.isfile(os.path.join(sysconfig.get_paths()["include"], "Python.h")))'
}
has_compiler() { command -v "${CXX:-c++}" >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null; }

command -v "$python" >/dev/null || fail "$python not found; install Python 3.10 or newer"
has_python || fail "$python is $("$python" --version 2>&1); Python 3.10 or newer is needed"

packages=""
has_venv || packages="$packages python3-venv"
has_headers || packages="$packages python3-dev"
has_compiler || packages="$packages g++"
packages=${packages# }

if [ -n "$packages" ]; then
  command -v apt-get >/dev/null ||
    fail "a part of $python or the C++ compiler is missing (on Debian: $packages); install it and try again"
  if [ "$(id -u)" -ne 0 ]; then
    fail "missing packages. Install them and try again: sudo apt-get install $packages"
  fi
  echo "setup_environment.sh: installing $packages" >&2
  export DEBIAN_FRONTEND=noninteractive
  # The package lists may be absent or old: refresh them only when the first try fails.
  # shellcheck disable=SC2086
  apt-get install -y -q --no-install-recommends $packages </dev/null >&2 || {
    apt-get update -q </dev/null >&2
    apt-get install -y -q --no-install-recommends $packages </dev/null >&2
  }
  # Debian's packages serve Debian's Python, and $python may be another one.
  has_venv || fail "$python still has no venv and ensurepip; use another one: make PYTHON=/usr/bin/python3 ..."
  has_headers || fail "$python still has no Python.h; use another one: make PYTHON=/usr/bin/python3 ..."
fi

[ -x "$folder/bin/python" ] && "$folder/bin/python" -m pip --version >/dev/null 2>&1 || {
  "$python" -m venv --clear "$folder"
  # The pip of Debian 12 is of 2023.
  "$folder/bin/python" -m pip install --quiet --upgrade pip
}
