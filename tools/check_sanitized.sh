#!/bin/sh
# Run Python on a native core built with sanitizers: check_sanitized.sh WHICH PYTHON ARGUMENT...
# WHICH is "address" (with UndefinedBehaviorSanitizer), "thread", or "leak" (the build of "address", which tells at the
# end what was never freed). PYTHON has the package and its build tools installed. The arguments are Python's own: a
# script, or -m pytest tests/x.py.
set -eu

cd "$(dirname "$0")/.."
root=$PWD
which=${1:-}
case $which in
  address | leak) sanitizers=address,undefined; build=$root/build/sanitize; libraries="libasan.so libubsan.so" ;;
  thread) sanitizers=thread; build=$root/build/sanitize-thread; libraries=libtsan.so ;;
  *) which="" ;;
esac
[ -n "$which" ] && [ $# -gt 2 ] || {
  echo "usage: check_sanitized.sh address|thread|leak PYTHON ARGUMENT..., for example: ... -m pytest tests" >&2
  exit 2
}
python=$2
shift 2
case $python in */*) python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python") ;; *) python=$(command -v "$python") ;; esac
bin=$(dirname "$python")
site=$build/site

# Optimized lightly: at -O2 the sanitized bindings take minutes a file to compile.
PATH=$bin:$PATH cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O1 \
  -DLITEDELEGATES_SANITIZE="$sanitizers" -DPython_EXECUTABLE="$python" \
  -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)" >/dev/null
PATH=$bin:$PATH cmake --build "$build"

# The package with the sanitized core, found before the installed one.
rm -rf "$site"
mkdir -p "$site"
cp -r python/litedelegates "$site/"
rm -f "$site"/litedelegates/*.so
cp "$build"/_core*.so "$build"/libtflite_host_accessors.so "$site/litedelegates/"

# Python itself is not sanitized, so the sanitizers have to come first; with them libstdc++, or a thrown exception
# ends in an internal error of AddressSanitizer.
compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")
preload=""
for library in $libraries libstdc++.so; do
  preload="$preload $(realpath "$("$compiler" -print-file-name=$library)")"
done

# Python keeps memory to its end, which is no leak of ours. The runtime brings its own C++ library, and what one of the
# two allocates the other may free.
leaks=0
[ "$which" != leak ] || leaks=1
export ASAN_OPTIONS="detect_leaks=$leaks:alloc_dealloc_mismatch=0:${ASAN_OPTIONS:-}"
export TSAN_OPTIONS="suppressions=$root/tools/sanitize_thread.supp:history_size=4:${TSAN_OPTIONS:-}"
export LSAN_OPTIONS="suppressions=$root/tools/sanitize_leak.supp:print_suppressions=0:${LSAN_OPTIONS:-}"
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1:${UBSAN_OPTIONS:-}"
# The C delegates of the tests too.
export LITEDELEGATES_SANITIZE_FLAGS="-fsanitize=$sanitizers -g"
export PYTHONMALLOC=malloc PYTHONPATH="$site"
LD_PRELOAD=${preload# } exec "$python" "$@"
