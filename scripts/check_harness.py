"""`evaluate grade` against SWE-bench's own harness, which starts containers and runs the tests in them.

  pip install swebench==5.0.2
  scripts/container-test-setup.sh && scripts/evaluate-container-setup.sh
  cargo build --release -p evaluate
  DOCKER_HOST=unix:///run/podman/podman.sock python scripts/check_harness.py [--evaluate target/release/evaluate] [--no-network]

Both judge the same patches for one row of SWE-bench's shape in the image that the second script makes, and their reports must
be the same, as must the tests' output but for lines that two streams put in another order. With --no-network neither gives
its containers one, for machines that cannot. Ends with 1 if there is a disagreement.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import docker
from docker.models.containers import ContainerCollection
from swebench.harness import run_evaluation
from swebench.harness.utils import make_test_spec

FIX = "diff --git a/greet.sh b/greet.sh\n--- a/greet.sh\n+++ b/greet.sh\n@@ -1 +1 @@\n-echo helo\n+echo hello\n"
README = "diff --git a/README b/README\ndeleted file mode 100644\n--- a/README\n+++ /dev/null\n@@ -1 +0,0 @@\n-Greets.\n"
SCRIPT = r"""#!/bin/bash
set -uxo pipefail
cd /testbed
git config --global --add safe.directory /testbed
git status
git checkout HEAD README
git apply -v - <<'EOF'
diff --git a/test.sh b/test.sh
new file mode 100644
--- /dev/null
+++ b/test.sh
@@ -0,0 +1,3 @@
+[ -d .git ] && echo 'PASSED is a repository'
+[ "$(sh greet.sh)" = hello ] && echo 'PASSED greets' || { echo 'FAILED greets - no'; exit 1; }
+[ "$(id -u)" = 0 ] && echo 'PASSED rules' || { echo 'FAILED rules'; exit 1; }
EOF
: '>>>>> Start Test Output'
bash test.sh
: '>>>>> End Test Output'
git checkout HEAD README
"""
PATCHES = {
    "gold": FIX,
    "wrong": FIX.replace("+echo hello", "+echo hullo"),
    "misfit": FIX.replace("helo", "good day"),
    "fuzzy": FIX.replace("@@ -1 +1 @@\n", "@@ -1,2 +1,2 @@\n").replace("+echo hello\n", "+echo hello\n nothing of the kind\n"),
    "more": FIX + README,
    "slow": FIX.replace("+echo hello", "+echo hello; sleep 30"),
    "exits": FIX.replace("+echo hello", "+echo hello; kill -9 $PPID"),
    "no-newline": FIX.rstrip("\n"),
    "carriage-returns": FIX.replace("\n", "\r\n"),
    "garbage": "this is no patch\n",
}


def lines(path):
    """What the tests printed, in no order, without the script's own place and numbers of processes."""
    printed = path.read_text() if path.exists() else ""
    return sorted(re.sub(r"^\S*eval\.sh: line (\d+): +\d+", r"eval.sh: line \1:", line) for line in printed.splitlines())


def main():
    parser = argparse.ArgumentParser(description="evaluate grade against SWE-bench's own harness.")
    parser.add_argument("--evaluate", default="target/release/evaluate")
    parser.add_argument("--no-network", action="store_true")
    arguments = parser.parse_args()
    program = str(Path(arguments.evaluate).resolve())
    if arguments.no_network:
        create = ContainerCollection.create
        ContainerCollection.create = lambda self, *args, **more: create(self, *args, **more, network_mode="none")
    row = {"instance_id": "pallets__flask-1", "repo": "pallets/flask", "problem_statement": "", "base_commit": "x", "version": "1", "patch": FIX,
           "image": "localhost/entropo-swe-bench-test", "log_parser": "parse_log_pytest", "eval_type": "pass_and_fail", "eval_script": SCRIPT,
           "FAIL_TO_PASS": json.dumps(["greets"]), "PASS_TO_PASS": json.dumps(["rules", "is"])}
    disagreements = 0
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        Path("row.jsonl").write_text(json.dumps(row) + "\n")
        client = docker.from_env()
        for name, patch in PATCHES.items():
            prediction = {"instance_id": row["instance_id"], "model_name_or_path": name, "model_patch": patch}
            run_evaluation.run_instance(make_test_spec(row), prediction, client, "theirs", 8)
            Path("prediction.jsonl").write_text(json.dumps(prediction) + "\n")
            command = [program, "grade", "--dataset", "row.jsonl", "--predictions", "prediction.jsonl", "--run-id", "ours", "--test-seconds", "8"]
            subprocess.run(command + ["--network", "off"] * arguments.no_network, stdout=subprocess.DEVNULL, check=False)
            reports, logs = [], []
            for whose in ("theirs", "ours"):
                place = Path("logs/run_evaluation") / whose / name / row["instance_id"]
                reports.append(json.loads((place / "report.json").read_text())[row["instance_id"]] if (place / "report.json").exists() else None)
                logs.append(lines(place / "test_output.txt"))
            verdict = "error" if reports[0] is None else "resolved" if reports[0]["resolved"] else "unresolved"
            same = reports[0] == reports[1] and logs[0] == logs[1]
            disagreements += not same
            print(f"{name}: {verdict}, {'the same' if same else 'DISAGREEMENT'}")
            if not same:
                print(f"  theirs: {json.dumps(reports[0])}\n  ours:   {json.dumps(reports[1])}")
                print("  output: " + "; ".join(f"{line!r}" for line in sorted(set(logs[0]) ^ set(logs[1]))))
    print(f"{len(PATCHES)} patches, {disagreements} disagreements")
    sys.exit(1 if disagreements else 0)


if __name__ == "__main__":
    main()
