"""TensorBoard's own readers against metrics.jsonl: every scalar of every step, once, and equal as float32.

  cargo test -p entropo-train --test it monitor::sample    # leaves a run that crashed and went on
  pip install tensorboard
  python scripts/check_tensorboard.py target/tmp/monitored-run

Reads the event files with the event accumulator, and with the server behind the page unless `--no-server` is given. Any
run directory will do.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import numpy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def logged(run):
    """Scalars of metrics.jsonl as {name: [(step, float32)]}."""
    scalars = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        assert record["format"] == "entropo-metrics/1", record["format"]
        for name, value in record["scalars"].items():
            # The strings "NaN", "Infinity" and "-Infinity" are what float() reads too.
            scalars.setdefault(name, []).append((record["step"], numpy.float32(float(value))))
    return scalars


def accumulated(run):
    """What the event accumulator reads; 0 asks for every event."""
    events = EventAccumulator(str(run), size_guidance={"scalars": 0})
    events.Reload()
    return {name: [(event.step, numpy.float32(event.value)) for event in events.Scalars(name)]
            for name in events.Tags()["scalars"]}


def served(run):
    """What the page would show, asked for over HTTP; the server keeps a sample of long curves unless told otherwise."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(run), "--host", "127.0.0.1", "--port", "0",
               "--samples_per_plugin", "scalars=1000000"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for line in server.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        else:
            sys.exit("tensorboard ended before it served")

        def ask(path, **query):
            url = f"{found.group()}/data/plugin/scalars/{path}?{urllib.parse.urlencode(query)}"
            with urllib.request.urlopen(url) as answer:
                # What is not finite comes as the strings that float() reads, or as Python's own words for it.
                return json.load(answer)

        for _ in range(60):
            if tags := ask("tags"):
                break
            time.sleep(0.5)
        else:
            sys.exit("tensorboard serves no run")
        time.sleep(1)  # the first files may be there before the last ones
        (name, metrics), = ask("tags").items()
        return {metric: [(step, numpy.float32(float(value)))
                         for _, step, value in ask("scalars", run=name, tag=metric)]
                for metric in metrics}
    finally:
        server.terminate()
        server.wait()


def compare(expected, found, reader):
    assert expected.keys() == found.keys(), (reader, expected.keys() ^ found.keys())
    values = 0
    for name in expected:
        ours, theirs = expected[name], found[name]
        assert [step for step, _ in ours] == [step for step, _ in theirs], (reader, name)
        for (step, one), (_, other) in zip(ours, theirs):
            assert one == other or (math.isnan(one) and math.isnan(other)), (reader, name, step, one, other)
        values += len(ours)
    print(f"{reader}: {len(expected)} metrics, {values} values, all equal")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--no-server", action="store_true")
    arguments = parser.parse_args()
    expected = logged(arguments.run)
    compare(expected, accumulated(arguments.run), "event accumulator")
    if not arguments.no_server:
        compare(expected, served(arguments.run), "server")


if __name__ == "__main__":
    main()
