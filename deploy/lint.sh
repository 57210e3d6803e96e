#!/usr/bin/env bash
# Style and mistakes that a compiler does not see.
#   deploy/lint.sh                 format of every file, clang-tidy of what changed
#   deploy/lint.sh --format        format alone
#   deploy/lint.sh --tidy          clang-tidy of what changed alone
#   deploy/lint.sh --fix-format    brings every file into form
#   deploy/lint.sh --all           clang-tidy of every source
#   deploy/lint.sh FILE...         clang-tidy of these sources
# clang-tidy reads compile commands from build/${MICO_LINT_PRESET:-ci}; generated headers must be
# there (deploy/build.sh PRESET mico_messages mico_onnx_wire makes them).
#
# What changed: since the fork from origin/main (or main); on main itself, where nothing has forked,
# in the last 20 commits, or as many as a shallow clone has. MICO_LINT_BASE names another commit. A
# changed header counts as a change of the sources of its name and of their tests. A source takes 10
# to 20 seconds, so of more than 40 of them 40 are drawn: others for every commit, the same for the
# same one. In a tree without history nothing is known to have changed, and it says so.
set -uo pipefail
cd "$(dirname "$0")/.."
preset="${MICO_LINT_PRESET:-ci}"
commits=20
most_sources=40

sources() { git ls-files -- '*.cc' 2>/dev/null || find . -name '*.cc' -not -path './build/*' -printf '%P\n'; }
formatted() {
  git ls-files -- '*.cc' '*.h' '*.c' 2>/dev/null ||
    find . \( -name '*.cc' -o -name '*.h' -o -name '*.c' \) -not -path './build/*' -printf '%P\n'
}

# The kernels' .inc files are laid out by hand: tables of bits and unrolled loops read better so.
check_format() {
  local bad
  bad=$(formatted | xargs clang-format "$@" 2>&1) && return 0
  sed -n 's/^\([^:]*\):.*error: code should be clang-formatted.*/\1/p' <<<"$bad" | sort -u |
    sed 's/$/: not as clang-format writes it; mend it with: deploy\/lint.sh --fix-format/' >&2
  grep -q 'clang-formatted' <<<"$bad" || echo "$bad" >&2
  return 1
}

# The commit since which things count as changed; nothing without history.
base() {
  git rev-parse -q --verify HEAD >/dev/null 2>&1 || return 0
  if [ -n "${MICO_LINT_BASE:-}" ]; then
    git rev-parse -q --verify "$MICO_LINT_BASE^{commit}" && return 0
    echo "lint: MICO_LINT_BASE '$MICO_LINT_BASE' is no commit here" >&2
    return 1
  fi
  local head fork main reachable
  head=$(git rev-parse HEAD)
  for main in origin/main main; do
    fork=$(git merge-base "$main" HEAD 2>/dev/null) || continue
    if [ "$fork" != "$head" ]; then
      echo "$fork"
      return 0
    fi
  done
  reachable=$(($(git rev-list --first-parent --count HEAD) - 1))
  [ "$reachable" -ge 1 ] || return 0
  [ "$reachable" -le "$commits" ] || reachable=$commits
  git rev-parse "HEAD~$reachable"
}

# Sources that changed, and those that a changed header belongs to.
changed() {
  local since file name
  since=$(base) || return 1
  if [ -z "$since" ]; then
    echo "lint: no history, so no source is known to have changed; all: deploy/lint.sh --all" >&2
    return 0
  fi
  { git diff --name-only --diff-filter=d "$since" -- '*.cc' '*.h'; git ls-files -o --exclude-standard -- '*.cc' '*.h'; } |
    while read -r file; do
      name=$(basename "$file" .h)
      case "$file" in
        *.cc) echo "$file" ;;
        *.h) sources | grep -E "(^|/)${name}(_test|_fuzz)?\.cc$" ;;
      esac
    done | sort -u
}

# At most $most_sources of the names on stdin.
draw() {
  local names count
  names=$(cat)
  count=$(grep -c . <<<"$names")
  if [ "$count" -le $most_sources ]; then
    printf '%s\n' "$names"
    return
  fi
  echo "lint: $most_sources of $count sources; the rest with: deploy/lint.sh --all" >&2
  local commit name
  commit=$(git rev-parse -q --verify HEAD 2>/dev/null)
  while read -r name; do
    printf '%s %s\n' "$(sha1sum <<<"$commit $name" | cut -c1-40)" "$name"
  done <<<"$names" | sort | head -n $most_sources | cut -d' ' -f2
}

# Many at once, all errors of a file together.
tidy() {
  local commands="build/$preset/compile_commands.json" file known=()
  [ -f "$commands" ] || cmake --preset "$preset" >/dev/null || return 1
  for file in "$@"; do
    # What this preset does not build (libtorch, fuzz targets) has no commands.
    if grep -qF "/$file\"" "$commands"; then
      known+=("$file")
    else
      echo "lint: $file is not built by preset '$preset': not checked" >&2
    fi
  done
  echo "clang-tidy: ${#known[@]} sources"
  [ ${#known[@]} -gt 0 ] || return 0
  printf '%s\n' "${known[@]}" |
    xargs -P "$(nproc)" -n 1 clang-tidy -p "build/$preset" --quiet --warnings-as-errors='*' \
      2> >(grep -vE '^[0-9]+ warnings? (generated|treated as error)' >&2)
}

mode=both
case "${1:-}" in
  --format) mode=format ;;
  --tidy) mode=tidy ;;
  --fix-format) formatted | xargs clang-format -i; exit ;;
  --all) mapfile -t files < <(sources); tidy "${files[@]}"; exit ;;
  -*) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
  ?*) tidy "$@"; exit ;;
esac
status=0
if [ $mode != tidy ]; then check_format --dry-run -Werror || status=1; fi
if [ $mode != format ]; then
  list=$(changed) || exit 1
  mapfile -t files < <(draw <<<"$list" | grep .)
  tidy "${files[@]}" || status=1
fi
exit $status
