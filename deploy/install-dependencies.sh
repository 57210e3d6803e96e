#!/usr/bin/env bash
# The one list of packages, all from Debian (bookworm or trixie).
#   deploy/install-dependencies.sh [build] [run] [test]     default: all three
#   deploy/install-dependencies.sh data                     what deploy/get-data.sh needs
# Installs only what is missing and needs root (or sudo) only then.
set -euo pipefail

packages_build=(
  clang lld ccache ninja-build cmake g++ pkg-config git ca-certificates
  libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc
  libtorch-dev libopenblas0-pthread libopenblas-pthread-dev
  libsqlite3-dev libsqlitecpp-dev libabsl-dev libspdlog-dev libfmt-dev libssl-dev zlib1g-dev
  libcli11-dev libyaml-cpp-dev nlohmann-json3-dev libarchive-dev libelf-dev
  libpng-dev libjpeg62-turbo-dev
)
# What a worker calls: compilers for the targets, emulators as boards, the sandbox that reads
# TorchScript.
packages_run=(
  bubblewrap
  gcc make libc6-dev
  gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf
  gcc-arm-none-eabi libnewlib-arm-none-eabi
  qemu-system-arm qemu-system-misc
)
packages_test=(
  libgtest-dev libgmock-dev sqlite3 python3 python3-numpy python3-torch python3-onnx clang-format clang-tidy libclang-rt-dev llvm docker-compose
)

packages_data=(npm python3 python3-numpy python3-pil)

wanted=()
for group in "${@:-build run test}"; do
  for name in $group; do
    case "$name" in
      build) wanted+=("${packages_build[@]}") ;;
      run) wanted+=("${packages_run[@]}") ;;
      test) wanted+=("${packages_test[@]}") ;;
      data) wanted+=("${packages_data[@]}") ;;
      *) echo "install-dependencies: group '$name'; needed: build, run, test or data" >&2; exit 2 ;;
    esac
  done
done

missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  as_root=(sudo)
fi
echo "installing: ${missing[*]}"
"${as_root[@]}" apt-get update -qq
# Packages of one Debian release that another does not have are left out by name, not by guess.
available=()
for package in "${missing[@]}"; do
  if apt-cache show "$package" >/dev/null 2>&1; then
    available+=("$package")
  else
    echo "install-dependencies: $package is not in this Debian release; going on without it" >&2
  fi
done
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  "${available[@]}" >/dev/null
