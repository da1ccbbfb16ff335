#!/usr/bin/env bash
# Checks of the source that no compiler makes: the length of files, and where unsafe code is.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

most=700
bad=0
while read -r file; do
    lines=$(wc -l < "$file")
    if ((lines > most)); then
        echo "$file has $lines lines, more than $most"
        bad=1
    fi
done < <(git ls-files '*.rs')

# Every package takes the workspace's lints, among them the one that denies unsafe code.
while read -r manifest; do
    if grep -q '^\[package\]' "$manifest" && ! grep -A1 '^\[lints\]' "$manifest" | grep -q '^workspace = true'; then
        echo "$manifest does not take the workspace's lints"
        bad=1
    fi
done < <(git ls-files '*Cargo.toml')

# Files that lift the lint are in the list, each with its proof; and the other way round.
listed=$(sed -n 's/^| `\([^`]*\)` |.*/\1/p' ci/unsafe-files.md | sort)
lifting=$(git ls-files '*.rs' | xargs grep -lE '(expect|allow)\(\s*unsafe_code|^\s*unsafe_code,$' | sort)
new=$(comm -13 <(echo "$listed") <(echo "$lifting"))
gone=$(comm -23 <(echo "$listed") <(echo "$lifting"))
if [[ -n "$new" ]]; then
    echo "these files use unsafe code and are not in ci/unsafe-files.md:"
    echo "$new"
    bad=1
fi
if [[ -n "$gone" ]]; then
    echo "these files are in ci/unsafe-files.md and use no unsafe code:"
    echo "$gone"
    bad=1
fi
((bad == 0)) || exit 1
echo "$(echo "$lifting" | wc -l) files use unsafe code, each with its proof; no file is longer than $most lines"
