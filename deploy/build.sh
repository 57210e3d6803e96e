#!/usr/bin/env bash
# Configures and builds one preset; a second call rebuilds only what changed.
#   deploy/build.sh PRESET [ninja targets...]
set -euo pipefail
cd "$(dirname "$0")/.."
preset="${1:?deploy/build.sh: needed: a preset of CMakePresets.json (dev, release, ci, asan, tsan)}"
shift
if [ ! -f "build/$preset/build.ninja" ]; then
  cmake --preset "$preset" >"/tmp/mico-configure.$$" 2>&1 || { cat "/tmp/mico-configure.$$"; exit 1; }
  rm -f "/tmp/mico-configure.$$"
fi
# Clones in different folders share what was compiled.
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1
# A compiler of the torch and gRPC headers takes up to 2 GiB: never more jobs than memory allows.
jobs=$(nproc)
by_memory=$(awk '/MemAvailable/ {print int($2 / 2097152)}' /proc/meminfo)
[ "$by_memory" -ge 1 ] || by_memory=1
[ "$jobs" -le "$by_memory" ] || jobs=$by_memory
NINJA_STATUS='[%f/%t %es] ' ninja -C "build/$preset" -j "$jobs" "$@"
