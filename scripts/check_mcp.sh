#!/usr/bin/env bash
# Calls tools of MCP's reference servers, which others wrote, through entropo's client: over standard input and output and
# over HTTP. Needs node and npm; installs the servers into a temporary folder.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
npm install --silent --prefix "$folder" @modelcontextprotocol/server-everything @modelcontextprotocol/server-filesystem
npm ls --prefix "$folder" | grep server-
cargo build --locked -p entropo-agent --features mcp --example mcp
client=${CARGO_TARGET_DIR:-target}/debug/examples/mcp
bin=$folder/node_modules/.bin

# check EXPECTED ARGUMENTS...: the client's answer begins so.
check() {
    local expected=$1 answer
    shift
    answer=$("$client" "$@")
    case $answer in
    "$expected"*) printf 'ok: %s\n' "$expected" ;;
    *) printf 'expected: %s\nanswered: %s\n' "$expected" "$answer" >&2; exit 1 ;;
    esac
}

everything=(--command "$bin/mcp-server-everything")
check 'echo (Shared)' "${everything[@]}"
check 'Done: Echo: hello' "${everything[@]}" --call echo --arguments '{"message": "hello"}'
check 'Invalid: Invalid arguments for echo: "message" is required.' "${everything[@]}" --call echo
check 'Done: The sum of 2 and 3 is 5.' "${everything[@]}" --call get-sum --arguments '{"a": "2", "b": 3}'

echo hi >"$folder/a.txt"
files=(--command "$bin/mcp-server-filesystem $folder")
check 'Done: hi' "${files[@]}" --call read_text_file --arguments "{\"path\": \"$folder/a.txt\"}"
check 'Failed: Access denied' "${files[@]}" --call read_text_file --arguments '{"path": "/etc/passwd"}'

PORT=${PORT:-3917}
export PORT
"$bin/mcp-server-everything" streamableHttp >"$folder/log" 2>&1 &
server=$!
for _ in $(seq 50); do grep -q "$PORT" "$folder/log" && break; sleep 0.1; done
check 'Done: Echo: over http' --url "http://127.0.0.1:$PORT/mcp" --call echo --arguments '{"message": "over http"}'

if pgrep -f "$folder/node_modules" | grep -vx "$server" >/dev/null; then
    echo "a server was left running" >&2
    exit 1
fi
echo "all checks passed"
