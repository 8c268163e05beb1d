"""`evaluate reproduce` on a real bug of a public project, the one of `evaluate_real.py`: an agent writes tests of the issue, and
rollouts are scored by them.

  cargo build --release -p evaluate
  python scripts/reproduce_real.py [--evaluate target/release/evaluate] [--sandbox landlock]

The agents are scripted, behind an HTTP server: one rollout brings the reference solution, one changes nothing, one breaks what
is not at issue; the tester hands in a test that passes already, one that does not load, and two that show the issue. Tests are
run by pytest, in real sandboxes. Needs git and the network, for pip only. Nothing of sqlparse is kept.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from evaluate_real import ISSUE, PROJECT, asked, difference, laid_down, spoiled

TESTS = {
    "idle": "import sqlparse\n\ndef test_parses():\n    assert sqlparse.parse('select 1')\n",
    "unloadable": "from sqlparse.exceptions import NoSuchError\n\ndef test_x():\n    assert False\n",
    "parse": (
        "import pytest\nimport sqlparse\nfrom sqlparse.exceptions import SQLParseError\n\n"
        "def test_nested_brackets():\n    with pytest.raises(SQLParseError):\n"
        "        sqlparse.parse('[' * 10000 + ']' * 10000)\n"
    ),
    "format": (
        "import pytest\nimport sqlparse\nfrom sqlparse.exceptions import SQLParseError\n\n"
        "def test_nested_parentheses():\n    with pytest.raises(SQLParseError):\n"
        "        sqlparse.format('(' * 10000 + ')' * 10000, reindent=True)\n\n"
        "def test_flat():\n    assert sqlparse.format('select 1') == 'select 1'\n"
    ),
}


class Server(ThreadingHTTPServer):
    """Answers conversation `n` by script `n`."""

    def __init__(self, scripts):
        super().__init__(("127.0.0.1", 0), Handler)
        self.scripts, self.begun = scripts, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        turn = sum(message["role"] == "assistant" for message in body["messages"])
        if turn == 0:
            self.server.begun += 1
        name, arguments = self.server.scripts[self.server.begun - 1][turn]
        call = {"index": 0, "id": f"c{turn}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        chunks = [
            {"choices": [{"index": 0, "delta": {"role": "assistant", "content": None, "tool_calls": [call]}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
            {"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}},
        ]
        text = "".join(f"data: {json.dumps({'object': 'chat.completion.chunk', **chunk})}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


def main():
    arguments = asked("evaluate reproduce on a real bug.")
    program = Path(arguments.evaluate).resolve()
    with tempfile.TemporaryDirectory(dir=arguments.place) as directory:
        directory = Path(directory).resolve()
        _, archive, before, after = laid_down(arguments, directory)
        gold = difference(before, after, PROJECT)
        off = difference(before, spoiled(before, directory / "spoiled"), PROJECT)

        row = {"format": "entropo-task/1", "id": PROJECT, "problem": ISSUE, "repository": str(archive),
               "test": "python -m pytest -rA -q -p no:cacheprovider tests", "log": "pytest"}
        dataset = directory / "tasks.jsonl"
        dataset.write_text(json.dumps(row) + "\n")

        def evaluate(command, server, *more):
            shared = ["--dataset", dataset, "--base-url", server.url, "--model", "scripted", "--sandbox", arguments.sandbox,
                      "--readable", directory / "venv", "--readable", sys.base_prefix, "--jobs", "1"]
            environment = os.environ | {"PATH": f"{directory / 'venv/bin'}:{os.environ['PATH']}"}
            words = [str(word) for word in [program, command, *shared, *more]]
            ran = subprocess.run(words, text=True, env=environment, stdout=subprocess.PIPE, check=True)
            print(f"\n--- {command}\n{ran.stdout.strip().replace(str(directory), '')}")

        change = lambda patch: ("shell", {"command": f"git apply - <<'END'\n{patch}END\n"})
        finish = ("finish", {})
        evaluate("run", Server([[change(gold), finish], [finish], [change(off), finish]]), "--output", directory / "run", "-n", "3")
        submit = [("submit_test", {"content": content}) for content in TESTS.values()]
        evaluate("reproduce", Server([[*submit, finish]]), "--run", directory / "run")

        said = [message["content"] for message in json.loads((directory / "run/testers.jsonl").read_text())["messages"] if message["role"] == "tool"]
        print("\n" + "\n".join(said))
        assert "does not show the issue" in said[0] and "breaks before it tests anything" in said[1], said
        assert said[2].startswith("Kept") and said[3].startswith("Kept") and "test_flat" not in said[3], said
        rows = [json.loads(line) for line in (directory / "run/scores.jsonl").read_text().splitlines()]
        scores = {row["rollout"]["rollout"]: row["value"] for row in rows if row["name"] == "reproduction"}
        assert scores == {0: 2.0, 1: 0.0, 2: 0.0}, scores
        predicted = json.loads((directory / "run/predictions.jsonl").read_text())["model_patch"]
        assert "RecursionError" in predicted, predicted
    print("\nall as it should be")


if __name__ == "__main__":
    main()
