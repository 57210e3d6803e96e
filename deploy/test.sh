#!/usr/bin/env bash
# Installs what is missing, builds, runs every check, prints the time of each stage.
#   deploy/test.sh [--only STAGE[,STAGE...]] [PRESET]      default: every stage, preset ci
# Stages, in this order:
#   format build architecture unit conformance golden integration system   of the preset's build
#   tidy          clang-tidy of what changed, at most 40 sources
#   asan          unit and integration tiers under AddressSanitizer and UndefinedBehaviorSanitizer
#   fuzz          every target of tests/fuzz for a minute, in the same build
#   tsan          the tests with threads of ours under ThreadSanitizer
# The last three have builds of their own, without libtorch.
set -uo pipefail
cd "$(dirname "$0")/.."
all_stages=(format build architecture unit conformance golden integration system tidy asan fuzz tsan)
usage() {
  echo "deploy/test.sh: $1; usage: deploy/test.sh [--only STAGE[,STAGE...]] [PRESET]" >&2
  echo "stages: ${all_stages[*]}" >&2
  exit 2
}

preset=ci
wanted=()
while [ $# -gt 0 ]; do
  case "$1" in
    --only)
      [ $# -ge 2 ] || usage "--only needs a stage"
      IFS=, read -ra names <<<"$2"
      wanted+=("${names[@]}")
      shift
      ;;
    -*) usage "unknown option '$1'" ;;
    *) preset="$1" ;;
  esac
  shift
done
[ ${#wanted[@]} -gt 0 ] || wanted=("${all_stages[@]}")
for name in "${wanted[@]}"; do
  [[ " ${all_stages[*]} " == *" $name "* ]] || usage "no stage '$name'"
done
# Chosen tests are of the tree as it is, so they bring the build.
is_wanted() {
  local name
  for name in "${wanted[@]}"; do
    [ "$name" != "$1" ] || return 0
    case "$1:$name" in
      build:tidy | build:architecture | build:unit | build:conformance | build:golden | build:integration | build:system) return 0 ;;
    esac
  done
  return 1
}

stages=()
failed=0
passed_checks=0
failed_checks=0

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
  echo "$passed_checks passed, $failed_checks failed"
}

# A stage that is one check by itself.
check() {
  "$@" && { passed_checks=$((passed_checks + 1)); return 0; }
  failed_checks=$((failed_checks + 1))
  return 1
}

# ctest of one label in the build of one preset; every test program is a check.
run_tests() {
  local build="build/$1" label="$2" jobs="$3"
  local log="$build/ctest-$label.log" status all bad
  ctest --test-dir "$build" -L "^$label\$" -j "$jobs" --output-on-failure --no-tests=error >"$log" 2>&1
  status=$?
  if [ $status -eq 0 ]; then
    grep -E 'Passed|tests passed' "$log"
    # A test that is skipped because its data are absent says so.
    grep -h 'SKIPPED' "$log" || true
  else
    cat "$log"
  fi
  all=$(sed -n 's/.* tests failed out of \([0-9]*\).*/\1/p' "$log" | tail -1)
  bad=$(sed -n 's/.*, \([0-9]*\) tests failed out of.*/\1/p' "$log" | tail -1)
  passed_checks=$((passed_checks + ${all:-0} - ${bad:-0}))
  # Whatever failed without being counted is one failure.
  [ $status -eq 0 ] || [ "${bad:-0}" -gt 0 ] || bad=1
  failed_checks=$((failed_checks + ${bad:-0}))
  return $status
}

run_asan() {
  local status=0
  check deploy/build.sh asan unit_tests integration_tests || return 1
  run_tests asan unit "$(nproc)" || status=1
  run_tests asan integration "$(nproc)" || status=1
  return $status
}

run_tsan() {
  check deploy/build.sh tsan threads_tests || return 1
  run_tests tsan threads "$(nproc)"
}

stage install deploy/install-dependencies.sh || { report; exit 1; }
if is_wanted format; then stage format check deploy/lint.sh --format; fi
# mico-worker by name: without libtorch it would be left out in silence.
if is_wanted build; then
  stage build check deploy/build.sh "$preset" all mico-worker || { report; exit 1; }
fi
# Cheap tiers side by side; those that start processes and emulators one at a time.
for tier in architecture unit conformance golden integration; do
  if is_wanted $tier; then stage $tier run_tests "$preset" $tier "$(nproc)"; fi
done
if is_wanted system; then stage system run_tests "$preset" system 1; fi
if is_wanted tidy; then stage tidy check env MICO_LINT_PRESET="$preset" deploy/lint.sh --tidy; fi
if is_wanted asan; then stage asan run_asan; fi
if is_wanted fuzz; then stage fuzz check deploy/fuzz.sh --seconds 60; fi
if is_wanted tsan; then stage tsan run_tsan; fi

report
exit $failed
