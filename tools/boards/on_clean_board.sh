#!/bin/bash
# On an emulated board without a compiler, in a folder with the wheel and a model: install the wheel and run the model.
set -euo pipefail
if command -v c++ gcc cc; then
  echo "on_clean_board.sh: this system has a compiler" >&2
  exit 1
fi
python3 -m venv venv
venv/bin/python -m pip install --quiet ./litedelegates-*.whl
echo "installed $(ls litedelegates-*.whl) without a compiler"
venv/bin/litedelegates run digits.tflite --delegate xnnpack
