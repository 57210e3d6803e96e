#!/usr/bin/env bash
# From a bare Debian machine to a Pareto front and C that computes what was promised.
#   deploy/quickstart.sh
# Installs what is missing, builds, starts a server with a worker on a free loopback port, submits
# examples/fashion-mnist, fetches the best point, runs its self-test on the host, on RV32 and on
# Cortex-M4 (both in QEMU), and stops everything it started.
set -euo pipefail
cd "$(dirname "$0")/.."
start=$(date +%s)
say() { printf '\n--- %s (%d s)\n' "$1" $(($(date +%s) - start)); }

say "packages"
deploy/install-dependencies.sh build run

say "build"
deploy/build.sh release mico-server mico-worker mico-torchscript mico-cli

bin=build/release/bin
work=build/quickstart
rm -rf "$work"
mkdir -p "$work"

"$bin/mico-server" --data-dir "$work/data" --listen 127.0.0.1:0 --port-file "$work/address" \
  --with-worker >"$work/server.out" 2>"$work/server.log" &
server=$!
stop() {
  kill -TERM "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
}
trap stop EXIT

say "server"
for _ in $(seq 100); do
  [ -s "$work/address" ] && break
  kill -0 "$server" 2>/dev/null || { cat "$work/server.log" >&2; exit 1; }
  sleep 0.1
done
export MICO_SERVER
MICO_SERVER=$(cat "$work/address")
echo "mico-server on $MICO_SERVER, log in $work/server.log"
# The worker announces its targets within a few seconds.
for _ in $(seq 300); do
  "$bin/mico-cli" targets 2>/dev/null | grep -q '^rv32imc ' && break
  sleep 0.1
done

say "search: examples/fashion-mnist on rv32imc, latency at most 0.7x of uniform 8 bit"
"$bin/mico-cli" submit --file examples/fashion-mnist/job.yaml --watch | tee "$work/submit.out"
job=$(sed -n 's/^job \([0-9a-f]*\).*/\1/p' "$work/submit.out" | head -1)

say "the best point's C"
"$bin/mico-cli" fetch "$job" --best -o "$work/artifact"

say "its self-test on the host"
make -s -C "$work/artifact" selftest
for target in rv32imc cortex-m4; do
  say "its self-test on $target (QEMU)"
  "$bin/mico-worker" self-test --target "target/catalogue/$target.yaml" "$work/artifact"
done

say "done: the front again with 'mico-cli', the C in $work/artifact"
