#!/usr/bin/env bash
# Installs what is missing, builds, runs every test, prints the time of each stage.
#   deploy/test.sh [PRESET]      default: ci
set -uo pipefail
cd "$(dirname "$0")/.."
preset="${1:-ci}"
stages=()
failed=0

# stage NAME COMMAND...: runs it, remembers how long it took and whether it failed.
stage() {
  local name="$1" start end status
  shift
  echo "=== $name"
  start=$(date +%s)
  "$@"
  status=$?
  end=$(date +%s)
  stages+=("$(printf '%-14s %5d s  %s' "$name" $((end - start)) "$([ $status -eq 0 ] && echo ok || echo FAILED)")")
  [ $status -eq 0 ] || failed=1
  return $status
}

report() {
  echo "=== stages"
  printf '%s\n' "${stages[@]}"
}

stage install deploy/install-dependencies.sh || { report; exit 1; }
# mico-worker by name: without libtorch it would be left out in silence.
stage build deploy/build.sh "$preset" all mico-worker || { report; exit 1; }

passed_tests=0
failed_tests=0
run_tier() {
  local log="build/$preset/ctest-$1.log"
  ctest --test-dir "build/$preset" -L "^$1\$" -j "$2" --output-on-failure --no-tests=error \
    >"$log" 2>&1
  local status=$?
  if [ $status -eq 0 ]; then
    grep -E 'Passed|tests passed' "$log"
    # A test that is skipped because its data are absent says so.
    grep -h 'SKIPPED' "$log" || true
  else
    cat "$log"
  fi
  local all bad
  all=$(sed -n 's/.* tests failed out of \([0-9]*\).*/\1/p' "$log" | tail -1)
  bad=$(sed -n 's/.*, \([0-9]*\) tests failed out of.*/\1/p' "$log" | tail -1)
  passed_tests=$((passed_tests + ${all:-0} - ${bad:-0}))
  failed_tests=$((failed_tests + ${bad:-0}))
  return $status
}

# Cheap tiers side by side; those that start processes and emulators one at a time.
for tier in architecture unit conformance golden integration; do
  stage "$tier" run_tier "$tier" "$(nproc)"
done
stage system run_tier system 1

report
echo "$passed_tests passed, $failed_tests failed"
exit $failed
