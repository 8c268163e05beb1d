#!/usr/bin/env bash
# Makes the pictures of docs/viewer.md: a demonstration with real tools, its page, and what Chromium shows of it.
# Needs chromium; quantises with pngquant where there is one.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cargo run --quiet -p view --example demo -- "$folder"
cargo run --quiet -p view --bin view -- "$folder/rollouts.jsonl" --selection "$folder/selection.json" \
    --tokenizer "$folder/tokenizer.json" --title "median.sh, three attempts" --html "$folder/page.html"
# Turns are drawn when they come into view, for which a picture can be too early: of several the largest is kept, which has
# the most in it.
shoot() { # name, fragment, further options
    local best=0 size
    for _ in 1 2 3 4 5 6 7 8; do
        chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --disable-lcd-text --window-size=1280,760 --virtual-time-budget=3000 \
            --user-data-dir="$folder/profile" --screenshot="$folder/shot.png" "${@:3}" "file://$folder/page.html#$2" 2>/dev/null
        size=$(wc -c <"$folder/shot.png")
        if [ "$size" -gt "$best" ]; then best=$size && mv "$folder/shot.png" "$folder/$1.png"; fi
    done
    if command -v pngquant >/dev/null; then pngquant --force --output "$folder/$1.png" "$folder/$1.png"; fi
    mv "$folder/$1.png" "docs/images/$1.png"
    wc -c "docs/images/$1.png"
}
shoot viewer "0/2/c/logprobs"
shoot viewer-dark "2/8//logprobs" --blink-settings=preferredColorScheme=0
