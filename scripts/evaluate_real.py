"""`evaluate grade` on a real bug of a public project: sqlparse 0.4.4 dies of a RecursionError on deeply nested input
(CVE-2024-4340), sqlparse 0.5.0 does not.

  cargo build --release -p evaluate
  python scripts/evaluate_real.py [--evaluate target/release/evaluate] [--sandbox landlock]

Fetches the sources of both releases with pip, makes a virtual environment with pytest, takes what changed in `tests` as the
hidden tests and what changed in `sqlparse` as the reference solution, and finds out which tests fail before and pass after.
Then it has five patches judged: the reference, none, the reference with a fault that breaks a test that passed, the reference
with the files of the hidden tests rewritten, and one that does not apply. Needs git and the network, for pip only. Nothing of sqlparse is kept.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

PROJECT = "sqlparse"
# What is broken on purpose: quotes are no longer taken off names.
FAULT = ("sqlparse/utils.py", "    if val[0] in ('\"', \"'\", '`') and val[0] == val[-1]:", "    if val[0] in ('\"',) and val[0] == val[-1]:")
ISSUE = "Parsing heavily nested SQL, such as a few thousand brackets, dies of a RecursionError. It should be an SQLParseError."


def run(*command, **more):
    """What a command prints; it must not fail."""
    return subprocess.run([str(word) for word in command], check=True, text=True, stdout=subprocess.PIPE, **more).stdout


def source(python, version, place):
    """The archive of a release, and its files."""
    place.mkdir()
    run(python, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", PROJECT, f"{PROJECT}=={version}", "-d", place)
    archive = next(place.iterdir())
    run("tar", "xf", archive, "-C", place)
    return archive, next(path for path in place.iterdir() if path.is_dir())


def difference(before, after, folder):
    """What changed in a folder, as a patch."""
    command = ["git", "diff", "--no-index", "--no-color", f"{before}/{folder}", f"{after}/{folder}"]
    text = subprocess.run(command, text=True, stdout=subprocess.PIPE, check=False).stdout
    return text.replace(f"a{before}/", "a/").replace(f"b{after}/", "b/").replace(f"a{after}/", "a/").replace(f"b{before}/", "b/")


def passing(python, files):
    """The tests that pass in a folder."""
    printed = subprocess.run([python, "-m", "pytest", "-rA", "-q", "-p", "no:cacheprovider", "tests"], cwd=files, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout
    return set(re.findall(r"^PASSED (.+)$", printed, re.MULTILINE))


def asked(description):
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--evaluate", default="target/release/evaluate")
    parser.add_argument("--before", default="0.4.4")
    parser.add_argument("--after", default="0.5.0")
    parser.add_argument("--sandbox", default="local")
    parser.add_argument("--place", help="where the virtual environment is made; bubblewrap does not see what is below /tmp")
    return parser.parse_args()


def laid_down(arguments, directory):
    """A virtual environment with pytest; the archive before the fix, and the files before and after it."""
    venv.create(directory / "venv", with_pip=True)
    python = directory / "venv/bin/python"
    run(python, "-m", "pip", "install", "-q", "pytest")
    archive, before = source(python, arguments.before, directory / "before")
    _, after = source(python, arguments.after, directory / "after")
    return python, archive, before, after


def spoiled(files, directory):
    """A copy of files with the fault in it."""
    path, right, wrong = FAULT
    run("cp", "-r", files, directory)
    text = (directory / path).read_text()
    assert right in text, f"{path} has no line that can be broken"
    (directory / path).write_text(text.replace(right, wrong))
    return directory


def meddled(files, directory, tests):
    """A copy of files in which the files of the hidden tests say something else."""
    run("cp", "-r", files, directory)
    for path in re.findall(r"^--- a/(tests/\S+)$", tests, re.MULTILINE):
        (directory / path).write_text("def test_mine():\n    pass\n")
    return directory


def main():
    arguments = asked("evaluate grade on a real bug.")
    program = Path(arguments.evaluate).resolve()
    with tempfile.TemporaryDirectory(dir=arguments.place) as directory:
        directory = Path(directory).resolve()
        python, archive, before, after = laid_down(arguments, directory)
        tests, gold = difference(before, after, "tests"), difference(before, after, PROJECT)

        # The hidden tests on the old code, and on the new.
        was = directory / "was"
        run("cp", "-r", before, was)
        run("git", "apply", "-", cwd=was, input=tests)
        old, new = passing(python, was), passing(python, after)
        fail_to_pass, pass_to_pass = sorted(new - old), sorted(new & old)
        print(f"{PROJECT} {arguments.before} to {arguments.after}: {len(fail_to_pass)} tests fail and should pass, {len(pass_to_pass)} pass and should still")
        for test in fail_to_pass:
            print(f"  {test}")

        row = {"format": "entropo-task/1", "id": f"{PROJECT}-{arguments.after}", "problem": ISSUE, "repository": str(archive), "patch": gold,
               "test": "python -m pytest -rA -q -p no:cacheprovider tests", "log": "pytest", "test_patch": tests,
               "FAIL_TO_PASS": fail_to_pass, "PASS_TO_PASS": pass_to_pass}
        dataset = directory / "tasks.jsonl"
        dataset.write_text(json.dumps(row) + "\n")

        broken = difference(before, spoiled(after, directory / "spoiled"), PROJECT)

        def grade(name, patch):
            """The report on a patch."""
            predictions = directory / f"{name}.jsonl"
            predictions.write_text(json.dumps({"instance_id": row["id"], "model_name_or_path": name, "model_patch": patch}) + "\n")
            what = {"gold": ["--gold"], "empty": ["--empty"]}.get(name, ["--predictions", predictions])
            command = [program, "grade", "--dataset", dataset, "--output", directory / "reports", "--sandbox", arguments.sandbox,
                       "--readable", directory / "venv", "--readable", sys.base_prefix, *what]
            environment = os.environ | {"PATH": f"{directory / 'venv/bin'}:{os.environ['PATH']}"}
            printed = subprocess.run([str(word) for word in command], text=True, env=environment, stdout=subprocess.PIPE, check=False)
            print(f"\n--- {name} (exit status {printed.returncode})\n{printed.stdout.strip().replace(str(directory), '')}")
            final = json.loads((directory / f"reports/{name}.evaluation.json").read_text())
            report = directory / f"reports/logs/run_evaluation/evaluation/{name}/{row['id']}/report.json"
            return final, json.loads(report.read_text())[row["id"]] if report.exists() else None

        final, report = grade("gold", None)
        assert report["resolved"] and final["resolved_ids"] == [row["id"]], report
        final, report = grade("empty", None)
        assert not report["resolved"] and report["tests_status"]["FAIL_TO_PASS"]["failure"] == fail_to_pass, report
        assert not report["tests_status"]["PASS_TO_PASS"]["failure"], report
        final, report = grade("broken", broken)
        lost = report["tests_status"]["PASS_TO_PASS"]["failure"]
        assert not report["resolved"] and lost and not report["tests_status"]["FAIL_TO_PASS"]["failure"], report
        print("broken: " + ", ".join(lost))
        own = difference(before, meddled(before, directory / "meddled", tests), "tests")
        assert own
        final, report = grade("meddler", gold + own)
        assert report["resolved"] and final["resolved_ids"] == [row["id"]], report
        final, report = grade("misfit", gold.replace("import", "imprt"))
        assert report is None and final["error_ids"] == [row["id"]], final
    print("\nall as it should be")


if __name__ == "__main__":
    main()
