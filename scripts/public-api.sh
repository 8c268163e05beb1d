#!/usr/bin/env bash
# Lists the public items of the crates that programs are written against, one a line, in docs/api/CRATE.txt: a change there is
# a change for those programs.
#
# Needs `cargo install cargo-public-api --locked`. rustdoc's JSON is not stable yet, so the compiler is told that it may write
# it (RUSTC_BOOTSTRAP); if cargo-public-api cannot read that of this compiler, set RUSTUP_TOOLCHAIN to one that it can.
#
#   scripts/public-api.sh [CRATE...]
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
[ $# -gt 0 ] || set -- entropo-core entropo-agent entropo-tools
mkdir -p docs/api
for crate in "$@"; do
    RUSTC_BOOTSTRAP=1 cargo rustdoc --quiet -p "$crate" --lib --all-features -- -Z unstable-options --output-format json
    # Without what every type has and what is derived.
    cargo public-api --rustdoc-json "$target/doc/${crate//-/_}.json" -sss >"docs/api/$crate.txt"
    echo "docs/api/$crate.txt: $(wc -l <"docs/api/$crate.txt") items"
done
