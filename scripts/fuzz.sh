#!/usr/bin/env bash
# Fuzzes what reads a model's output: the editor, patches, dialects and test logs.
#
#   scripts/fuzz.sh [--runs N] [TARGET...]      N runs (1,000,000) of each target (all four)
#   scripts/fuzz.sh --pack [TARGET...]          keeps of each corpus what reaches anything new, in fuzz/corpus/TARGET.tar.gz
#
# Needs a nightly compiler and `cargo install cargo-fuzz`. Corpora grow in fuzz/work; what fails is kept in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."

runs=1000000 pack=
while [ $# -gt 0 ]; do
    case $1 in
    --runs) runs=$2; shift 2 ;;
    --pack) pack=yes; shift ;;
    -*) sed -n '2,7p' "$0"; exit 2 ;;
    *) break ;;
    esac
done
[ $# -gt 0 ] || set -- editor patch dialect log

fuzz() { cargo +nightly fuzz "$@"; }
# Without the address sanitizer, which finds nothing in code without `unsafe` and halves the speed.
options=(--features libfuzzer --sanitizer none)
# Files are written for each run, so not to a disk.
[ -d /dev/shm ] && export TMPDIR=/dev/shm

for target; do
    work=fuzz/work/$target
    mkdir -p "$work"
    if [ -e "fuzz/corpus/$target.tar.gz" ]; then tar -xzf "fuzz/corpus/$target.tar.gz" -C "$work"; fi
    if [ -n "$pack" ]; then
        fuzz cmin "${options[@]}" "$target" "$work" >/dev/null
        mkdir -p fuzz/corpus
        tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work" -cf - . | gzip -9n >"fuzz/corpus/$target.tar.gz"
        echo "$target: $(find "$work" -type f | wc -l) inputs, $(stat -c %s "fuzz/corpus/$target.tar.gz") bytes"
    else
        fuzz run "${options[@]}" "$target" "$work" "fuzz/seeds/$target" -- \
            -runs="$runs" -max_len=1024 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
    fi
done
