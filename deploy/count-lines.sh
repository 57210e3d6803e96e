#!/usr/bin/env bash
# Lines of code of each room: files that git tracks, without blank lines.
set -euo pipefail
cd "$(dirname "$0")/.."
printf '%-22s %8s %6s\n' room lines files
for room in base model data quant target search codegen codegen/kernels proto db server worker client \
            tests deploy cmake examples; do
  pattern='\.(cc|h|c|inc|proto|S|ld|py|sh|cmake|sql)$|CMakeLists\.txt$'
  files=$(git ls-files -- "$room" | grep -E "$pattern" || true)
  if [ "$room" = codegen ]; then files=$(grep -v '^codegen/kernels/' <<<"$files" || true); fi
  [ -n "$files" ] || continue
  printf '%-22s %8d %6d\n' "$room" "$(xargs cat <<<"$files" | grep -cv '^\s*$')" "$(wc -l <<<"$files")"
done
