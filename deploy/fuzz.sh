#!/usr/bin/env bash
# Runs the fuzz targets of tests/fuzz (AddressSanitizer, UndefinedBehaviorSanitizer), two at a time.
#   deploy/fuzz.sh [--seconds N] [TARGET...]   default: 600 seconds each, every target
#   deploy/fuzz.sh --merge [TARGET...]         adds what was found to the kept corpus, and thins it
#   deploy/fuzz.sh --seeds                     writes the seeds of tests/fuzz/make_seeds.cc anew
# Starts from tests/fuzz/corpus/TARGET, keeps what is new in build/asan/fuzz/found/TARGET. An input
# that breaks something lies in build/asan/fuzz/broken/, and the command that repeats it is printed.
set -uo pipefail
cd "$(dirname "$0")/.."

seconds=600 mode=run targets=()
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds="${2:?deploy/fuzz.sh: --seconds needs a number}"; shift ;;
    --merge) mode=merge ;;
    --seeds) mode=seeds ;;
    -*) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2 ;;
    *) targets+=("$1") ;;
  esac
  shift
done

folder=build/asan/fuzz
deploy/build.sh asan fuzz_targets || exit 1
if [ $mode = seeds ]; then
  exec "$folder/make_seeds" tests/fuzz/corpus
fi
if [ ${#targets[@]} -eq 0 ]; then
  mapfile -t targets < <(cd tests/fuzz && ls -- *_fuzz.cc | sed 's/_fuzz\.cc$//')
fi
mkdir -p "$folder/broken"
# A finding is one whatever the allocator or the reporter would make of it.
export ASAN_OPTIONS=allocator_may_return_null=0 UBSAN_OPTIONS=print_stacktrace=1

# Nothing that the parsers read needs to be longer to be wrong.
longest() {
  case "$1" in
    calibration | signature | target_file | job_file | board_protocol) echo 4096 ;;
    *) echo 16384 ;;
  esac
}

fuzz() {
  local name="$1" log="$folder/$1.log" status executed
  local options=(-max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -max_len="$(longest "$name")"
    -print_final_stats=1 -artifact_prefix="$folder/broken/$name-")
  [ ! -f "tests/fuzz/dictionaries/$name.dict" ] || options+=(-dict="tests/fuzz/dictionaries/$name.dict")
  mkdir -p "$folder/found/$name" "tests/fuzz/corpus/$name"
  "$folder/${name}_fuzz" "${options[@]}" "$folder/found/$name" "tests/fuzz/corpus/$name" >"$log" 2>&1
  status=$?
  executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  if [ $status -eq 0 ]; then
    echo "$name: ok, ${executed:-?} inputs, $(ls "$folder/found/$name" | wc -l) new ones kept"
    return 0
  fi
  tail -60 "$log"
  echo "$name: BROKEN after ${executed:-?} inputs; repeat it with:"
  sed -n "s|.*Test unit written to \(.*\)|  $folder/${name}_fuzz \1|p" "$log"
  return 1
}

# The fewest inputs that reach the same code.
merge() {
  local name="$1" kept="tests/fuzz/corpus/$1" thin="$folder/thin/$1"
  rm -rf "$thin"
  mkdir -p "$thin" "$folder/found/$name" "$kept"
  "$folder/${name}_fuzz" -set_cover_merge=1 -use_counters=0 -max_len="$(longest "$name")" "$thin" "$kept" \
    "$folder/found/$name" >"$folder/$name-merge.log" 2>&1 || { tail -20 "$folder/$name-merge.log"; return 1; }
  rm -f "$kept"/*
  cp "$thin"/* "$kept"/
  echo "$name: $(ls "$kept" | wc -l) inputs, $(du -sh --apparent-size "$kept" | cut -f1)"
}

rm -f "$folder"/*.failed
for name in "${targets[@]}"; do
  if [ ! -x "$folder/${name}_fuzz" ]; then
    echo "deploy/fuzz.sh: no target '$name'; there are: $(cd "$folder" && echo *_fuzz | sed 's/_fuzz\b//g')" >&2
    exit 2
  fi
done
for name in "${targets[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
    wait -n || true
  done
  if [ $mode = merge ]; then
    merge "$name" || touch "$folder/$name.failed"
  else
    fuzz "$name" || touch "$folder/$name.failed"
  fi &
done
wait
failed=$(find "$folder" -maxdepth 1 -name '*.failed' | wc -l)
echo "fuzz: $((${#targets[@]} - failed)) of ${#targets[@]} targets ok"
[ "$failed" -eq 0 ]
