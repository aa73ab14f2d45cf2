#!/bin/bash
# Build, install and test the package on an emulated Raspberry Pi 4 and 5: run.sh SDIST TEST..., the tests as pytest takes
# them. BOARDS="raspberry-pi-4" takes one alone.
# Needs root, on Linux. What is made once lies in .cache/boards: the emulated Debian 12, the compiler for it, pip's cache.
#
# All of it happens in mount and process namespaces of its own: whatever ends this script, Ctrl-C or a crash, takes
# every process and every mount along.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() {
  echo "run.sh: $*" >&2
  exit 1
}

if [ "${1:-}" != --inside ]; then
  [ "$(id -u)" = 0 ] || fail "needs root, to mount and to chroot"
  [ "$(uname -s)" = Linux ] || fail "needs Linux"
  trap 'kill -KILL "$child" 2>/dev/null || true' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  # An unshare that is killed takes the first process of its namespace along, and that one all others.
  setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc "$0" --inside "$@" &
  child=$!
  wait "$child"
  exit
fi
shift
exec </dev/null

HERE=tools/boards
CACHE=$PWD/.cache/boards
MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
# A clean system has no compiler; the layer above it is what a user installs to build.
CLEAN_PACKAGES=ca-certificates,python3,python3-venv
COMPILER_PACKAGES="g++ python3-dev"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

say() { echo "== $(date +%H:%M:%S) $*"; }

install_host_packages() {
  local missing=""
  command -v debootstrap >/dev/null || missing="$missing debootstrap"
  command -v qemu-aarch64-static >/dev/null || missing="$missing qemu-user-static"
  command -v update-binfmts >/dev/null || missing="$missing binfmt-support"
  [ -z "$missing" ] && return
  command -v apt-get >/dev/null || fail "missing: $missing (the names of the Debian packages)"
  say "installing$missing"
  # shellcheck disable=SC2086
  apt-get install -y -q --no-install-recommends $missing || { apt-get update -q && apt-get install -y -q --no-install-recommends $missing; }
}

# Where nothing did at the start of the machine (a container has no init): hand the kernel qemu for aarch64 programs.
register_qemu() {
  local folder=/proc/sys/fs/binfmt_misc
  [ -e $folder/register ] || mount -t binfmt_misc binfmt_misc $folder || fail "the kernel has no binfmt_misc"
  [ -e $folder/qemu-aarch64 ] || update-binfmts --enable qemu-aarch64 || fail "cannot register qemu for aarch64"
}

# Present the board in a root folder: its processor, and its name where the kernel tells it: present_board ROOT BOARD
present_board() {
  local cpus=$1/sys/devices/system/cpu names=$1/sys/firmware/devicetree/base number
  mount --bind "$HERE/$2.cpuinfo" "$1/proc/cpuinfo"
  mount -t tmpfs tmpfs "$1/sys"
  mkdir -p "$cpus" "$names"
  echo 0-3 | tee "$cpus/possible" "$cpus/present" "$cpus/online" >/dev/null
  sed -n 's/^Model[^:]*: //p' "$HERE/$2.cpuinfo" | tr '\n' '\0' >"$names/model"
  for number in 0 1 2 3; do mkdir "$cpus/cpu$number"; done
}

# Run a command in a root folder, with nothing of this machine's environment: in_root FOLDER COMMAND...
in_root() {
  local root=$1 proxies=() name
  shift
  for name in http_proxy https_proxy no_proxy; do
    [ -z "${!name:-}" ] || proxies+=("$name=${!name}")
  done
  env -i "${proxies[@]}" PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 \
    ${QEMU_CPU:+QEMU_CPU=$QEMU_CPU} ${QEMU_CPU:+QEMU_UNAME=6.6.0-emulated} chroot "$root" "$@"
}

# Mount what a program expects of a system: mount_kernel ROOT
mount_kernel() {
  local root=$1
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  mkdir -p "$CACHE/pip" "$root/root/.cache/pip"
  mount --bind "$CACHE/pip" "$root/root/.cache/pip"
  # A machine behind a proxy may have a certificate of its own.
  [ ! -e /etc/ssl/certs/ca-certificates.crt ] || mount --bind /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
}

build_clean_system() {
  local root=$CACHE/clean
  [ "$(cat "$CACHE/clean.packages" 2>/dev/null)" != "$CLEAN_PACKAGES" ] || return 0
  say "building an emulated Debian 12 (once, some minutes)"
  rm -rf "$root" "$CACHE/clean.packages" "$CACHE/compiler.packages"
  debootstrap --foreign --arch=arm64 --variant=minbase --include=$CLEAN_PACKAGES bookworm "$root" "$MIRROR"
  in_root "$root" /debootstrap/debootstrap --second-stage
  rm -rf "$root"/var/cache/apt/archives/*.deb
  echo "$CLEAN_PACKAGES" >"$CACHE/clean.packages"
}

# Lay an empty folder over others, which stay as they are: overlay NAME LOWER; gives the root in $root.
overlay() {
  root=$CACHE/mount/$1
  mkdir -p "$root" "$CACHE/work/$1" "$CACHE/$1"
  mount -t overlay overlay -o "lowerdir=$2,upperdir=$CACHE/$1,workdir=$CACHE/work/$1" "$root"
  mount_kernel "$root"
}

install_compiler() {
  [ "$(cat "$CACHE/compiler.packages" 2>/dev/null)" != "$COMPILER_PACKAGES" ] || return 0
  say "installing a compiler in it (once, some minutes)"
  rm -rf "$CACHE/compiler" "$CACHE/compiler.packages"
  overlay compiler "$CACHE/clean"
  in_root "$root" apt-get update -q
  # shellcheck disable=SC2086
  in_root "$root" apt-get install -y -q --no-install-recommends $COMPILER_PACKAGES
  in_root "$root" apt-get clean
  umount -R "$root"
  echo "$COMPILER_PACKAGES" >"$CACHE/compiler.packages"
}

# What a user does on a board, with the log of it: test_board BOARD CPU
test_board() {
  local board=$1 name
  export QEMU_CPU=$2
  say "$board, which is a $QEMU_CPU: build, install, test, measure"
  rm -rf "${CACHE:?}/$board"
  overlay "$board" "$CACHE/compiler:$CACHE/clean"
  present_board "$root" "$board"
  cp "$sdist" $HERE/on_board.sh "$root/root/"
  in_root "$root" /bin/bash -c 'cd && exec ./on_board.sh "$@"' on_board.sh "$(basename "$sdist")" /root/log "${tests[@]}"
  umount -R "$root"
}

# The repaired wheel in a system that has no compiler: test_wheel BOARD CPU
test_wheel() {
  export QEMU_CPU=$2
  say "the repaired wheel in a clean $1"
  rm -rf "$CACHE/without-compiler"
  overlay without-compiler "$CACHE/clean"
  present_board "$root" "$1"
  cp "$CACHE/$1"/root/repaired/*.whl $HERE/on_clean_board.sh models/digits.tflite "$root/root/"
  in_root "$root" /bin/bash -c 'cd && exec ./on_clean_board.sh' | tee "$CACHE/$1/root/log/clean.txt"
  umount -R "$root"
}

# Keep what is worth reading, for others to compare with: write_log BOARD
write_log() {
  local log=$CACHE/$1/root/log target=benchmarks/results/boards/$1.txt
  mkdir -p "$(dirname "$target")"
  {
    echo "Written by tools/boards/run.sh. THE BOARD IS EMULATED (qemu-user on $(uname -m)): everything ran, and no time means anything."
    printf '\n== seconds it took in emulation\n\n'
    cat "$log/seconds.txt"
    printf '\n== litedelegates devices\n\n'
    cat "$log/devices.txt"
    printf '\n== pytest %s\n\n' "${tests[*]}"
    sed -n '/^FAILED\|^ERROR\|^SKIPPED/p; $p' "$log/tests.full"
    printf '\n== the wheel built here, repaired: auditwheel show\n\n'
    sed '/^$/d' "$log/auditwheel.txt"
    printf '\n== the repaired wheel in a clean system\n\n'
    cat "$log/clean.txt"
    printf '\n== benchmarks/run_all.py --quick\n\n'
    cat "$log/benchmarks.txt"
  } | tr -d '\000' >"$target" # what qemu says of a crash has one
  say "written: $target"
}

sdist=$1
shift
tests=("$@")
declare -A CPUS=([raspberry-pi-4]=cortex-a72 [raspberry-pi-5]=cortex-a76)
BOARDS=${BOARDS:-raspberry-pi-4 raspberry-pi-5}
for board in $BOARDS; do
  [ -n "${CPUS[$board]:-}" ] || fail "there is no board $board; there are ${!CPUS[*]}"
done

renice -n 15 $$ >/dev/null
mkdir -p "$CACHE"
exec 9>"$CACHE/lock"
flock -n 9 || fail "another run uses $CACHE"
install_host_packages
register_qemu
build_clean_system
install_compiler
for board in $BOARDS; do
  test_board "$board" "${CPUS[$board]}"
  test_wheel "$board" "${CPUS[$board]}"
  write_log "$board"
done
say "all passed"
