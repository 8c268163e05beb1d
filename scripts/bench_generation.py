"""Generation side by side: entropo, candle and transformers on one checkpoint, interleaved in one run.

  python scripts/make_checkpoint.py /tmp/checkpoints/qwen2.5-0.5b
  (cd benches/peers && cargo build --release)
  cargo build --release -p entropo-train --bench peers
  python scripts/bench_generation.py --checkpoint /tmp/checkpoints/qwen2.5-0.5b \\
      --entropo 'target/release/deps/peers-<hash>' \\
      --candle benches/peers/target/release/candle \\
      --bandwidth benches/peers/target/release/bandwidth \\
      --out docs/bench-generation.md --raw docs/bench-generation.jsonl

A peer is a command: called with `--checkpoint --dtype --batch --prompt-tokens --new-tokens --repeats`, it runs one case
in a fresh process and prints one JSON line (benches/peers/README.md). Every round runs every peer once; the order
turns round from one round to the next, so that no peer always follows a hot or a cold machine.
"""

import argparse
import json
import os
import shlex
import statistics
import struct
import subprocess
import sys
import tomllib
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TRANSFORMERS = shlex.join([sys.executable, str(ROOT / "benches/peers/transformers_generate.py")])
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# Of issue 3: entropo's decode against each peer's, and the largest share of transformers' memory.
DECODE_TARGET = {"transformers": 2.0, "candle": 1.3}
MEMORY_TARGET = {"transformers": 0.6}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--entropo", help="its command; left out: the peers alone")
    parser.add_argument("--candle", help="its command; left out: without it")
    parser.add_argument("--transformers", default=TRANSFORMERS, help="its command; empty: without it")
    parser.add_argument("--bandwidth", help="command that measures memory bandwidth; left out: no ceiling")
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument(
        "--also", action="append", default=[], metavar="PEER:DTYPE", help="one more dtype for one peer (candle:float16)"
    )
    parser.add_argument("--batches", default="1,16")
    parser.add_argument("--prompt-tokens", type=int, default=512)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=1, help="runs in one process, of which the best counts")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds for one case")
    parser.add_argument("--out", type=Path, help="markdown file (default: standard output)")
    parser.add_argument("--raw", type=Path, help="file that every case's JSON line is appended to")
    return parser.parse_args()


def allocator_settings(peer):
    """What .cargo/config.toml gives programs run by cargo, for candle alone, whose prefill gains by it; as a program is
    usually started for the others."""
    if peer != "candle":
        return {}
    return tomllib.loads((ROOT / ".cargo/config.toml").read_text()).get("env", {})


def last_json_line(command, environment, timeout):
    """What the command printed, or a RuntimeError that says why it printed nothing."""
    try:
        done = subprocess.run(command, env=environment, timeout=timeout, capture_output=True, text=True)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise RuntimeError(str(problem)) from problem
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise RuntimeError(f"exit code {done.returncode}: {tail}")
    return json.loads(lines[-1])


def measure(options, peers, environment):
    """All cases, {(dtype, batch): {peer: [case of every round]}}, and {(dtype, batch, peer): why it failed}."""
    cases, failures = {}, {}
    common, also = options.dtypes.split(","), [extra.split(":") for extra in options.also]
    plan = {dtype: dict(peers) for dtype in common}
    for peer, dtype in also:
        if peer in peers:
            plan.setdefault(dtype, {})[peer] = peers[peer]
    for round_number in range(options.rounds):
        for dtype, commands in plan.items():
            for batch in map(int, options.batches.split(",")):
                order = list(commands.items())
                for peer, command in order if round_number % 2 == 0 else reversed(order):
                    if (dtype, batch, peer) in failures:
                        continue
                    flags = dict(
                        checkpoint=options.checkpoint,
                        dtype=dtype,
                        batch=batch,
                        prompt_tokens=options.prompt_tokens,
                        new_tokens=options.new_tokens,
                        repeats=options.repeats,
                    )
                    call = shlex.split(command)
                    for name, value in flags.items():
                        call += ["--" + name.replace("_", "-"), str(value)]
                    load_average = os.getloadavg()[0]
                    try:
                        case = last_json_line(call, environment | allocator_settings(peer), options.timeout)
                    except RuntimeError as problem:
                        failures[dtype, batch, peer] = str(problem)
                        print(f"{peer} {dtype} batch {batch}: {problem}", file=sys.stderr)
                        continue
                    case |= {"peer": peer, "round": round_number, "load_average_before": load_average}
                    cases.setdefault((dtype, batch), {}).setdefault(peer, []).append(case)
                    print(
                        f"round {round_number} {peer} {dtype} batch {batch}:"
                        f" prefill {case['prefill_tokens_per_s']:.1f},"
                        f" decode {case['decode_tokens_per_s']:.2f} tokens/s,"
                        f" {case['peak_rss_bytes'] / 2**20:.0f} MiB",
                        file=sys.stderr,
                    )
                    if options.raw:
                        with options.raw.open("a") as raw:
                            raw.write(json.dumps(case) + "\n")
    return cases, failures


def weight_elements(checkpoint):
    """Elements that one decoding step reads: every weight, but of an untied input embedding only a row."""
    elements = {}
    for shard in sorted(checkpoint.glob("*.safetensors")):
        with shard.open("rb") as file:
            header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        for name, tensor in header.items():
            if name != "__metadata__":
                count = 1
                for dimension in tensor["shape"]:
                    count *= dimension
                elements[name] = count
    untied = "lm_head.weight" in elements
    return sum(count for name, count in elements.items() if not (untied and name.endswith("embed_tokens.weight")))


def cache_elements(checkpoint, tokens):
    """Elements of keys and values that one sequence's step reads at that many tokens."""
    config = json.loads((checkpoint / "config.json").read_text())
    heads = config["num_attention_heads"]
    head = config.get("head_dim") or config["hidden_size"] // heads
    return 2 * config["num_hidden_layers"] * config.get("num_key_value_heads", heads) * head * tokens


def best(runs, key):
    return (min if key.startswith("peak") else max)(run[key] for run in runs)


def figure(runs, key, digits):
    """Best and median of all rounds."""
    scale = 2**20 if key.startswith("peak") else 1
    middle = statistics.median(run[key] for run in runs)
    return f"{best(runs, key) / scale:.{digits}f} ({middle / scale:.{digits}f})"


def against(ours, theirs, key, target, digits=2):
    """entropo / peer, in the best of all rounds and (in brackets) the median, and whether it reached the target."""
    ratio = best(ours, key) / best(theirs, key)
    middle = statistics.median(run[key] for run in ours) / statistics.median(run[key] for run in theirs)
    verdict = ""
    if target is not None:
        reached = ratio <= target if key.startswith("peak") else ratio >= target
        verdict = f", target {target:g}: {'reached' if reached else 'missed'}"
    return f"{ratio:.{digits}f}x ({middle:.{digits}f}x){verdict}"


def row(*cells):
    return "| " + " | ".join(cells) + " |"


def same_tokens(runs, reference):
    """How many tokens the first sequence shares with the reference's, from the start."""
    ours, theirs = runs[0].get("tokens"), reference
    if not ours or not theirs:
        return "-"
    same = next((at for at, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    return f"{same} of {len(theirs)}"


def ceiling_lines(options, bandwidth):
    if bandwidth is None:
        return []
    weights = weight_elements(options.checkpoint)
    middle = options.prompt_tokens + options.new_tokens // 2
    lines = [
        "## The ceiling",
        "",
        f"Memory was read at {bandwidth['bytes_per_s'] / 1e9:.1f} GB/s by {bandwidth['threads']} threads (best sweep of"
        " benches/peers/src/bin/bandwidth.rs, before and after the rounds). A step reads every weight once for the"
        " whole batch, and each sequence's keys and values; what a peer also writes, or reads twice, counts against"
        " it.",
        "",
        row("dtype", "batch", "weights MB", "keys and values MB", "ceiling, decode tokens/s"),
        row(*["---"] * 5),
    ]
    for dtype in options.dtypes.split(","):
        for batch in map(int, options.batches.split(",")):
            size = weights * BYTES[dtype]
            cache = batch * cache_elements(options.checkpoint, middle) * BYTES[dtype]
            lines.append(
                row(
                    dtype,
                    str(batch),
                    f"{size / 1e6:.0f}",
                    f"{cache / 1e6:.0f}",
                    f"{ceiling(options, bandwidth, dtype, batch):.1f}",
                )
            )
    return lines + ["", "With many sequences arithmetic binds before memory does: there it is only an upper bound.", ""]


def ceiling(options, bandwidth, dtype, batch):
    """Decode tokens/s if a step did nothing but read the weights and the cache."""
    middle = options.prompt_tokens + options.new_tokens // 2
    elements = weight_elements(options.checkpoint) + batch * cache_elements(options.checkpoint, middle)
    return batch * bandwidth["bytes_per_s"] / (elements * BYTES[dtype])


def report(options, cases, failures, bandwidth):
    model = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    loads = [run["load_average_before"] for peers in cases.values() for runs in peers.values() for run in runs]
    versions = {
        peer: runs[0].get("version", "") for peers in cases.values() for peer, runs in peers.items()
    }
    lines = [
        "# Generation, side by side",
        "",
        f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, {model.split(':')[1].strip()}, {os.cpu_count()} cores,"
        f" {options.threads} threads; {options.checkpoint.name}; {options.prompt_tokens} prompt tokens a sequence,"
        f" {options.new_tokens} new tokens, greedy, nothing ends early; {options.rounds} rounds, order alternating,"
        f" {options.repeats} run(s) in a process.",
        f"Load average before the cases: {min(loads):.1f} to {max(loads):.1f} (the benchmark alone leads to about"
        f" {options.threads}).",
        "Versions: " + "; ".join(f"{peer} {version}" for peer, version in versions.items()) + ".",
        "",
        "Best of all rounds, the median in brackets. Tokens/s count all sequences. Prefill: from the call to the first"
        " new token; decode: from there to the last. Peak memory is the process's high-water mark (VmHWM): program,"
        " libraries, mapped pages of the checkpoint and loading included; *generating* is the same since the model was"
        " loaded. *Same tokens*: how far the first sequence agrees with transformers in float32.",
        "",
        row(
            "dtype", "batch", "peer", "prefill tokens/s", "decode tokens/s",
            *(["of the ceiling"] if bandwidth else []), "peak MiB", "peak generating MiB", "same tokens",
        ),
        row(*["---"] * (9 if bandwidth else 8)),
    ]  # fmt: skip
    for (dtype, batch), peers in cases.items():
        reference = cases.get(("float32", batch), {}).get("transformers", [{}])[0].get("tokens")
        for peer, runs in peers.items():
            share = best(runs, "decode_tokens_per_s") / ceiling(options, bandwidth, dtype, batch) if bandwidth else 0
            lines.append(
                row(
                    dtype, str(batch), peer,
                    figure(runs, "prefill_tokens_per_s", 0),
                    figure(runs, "decode_tokens_per_s", 1),
                    *([f"{share:.0%}"] if bandwidth else []),
                    figure(runs, "peak_rss_bytes", 0),
                    figure(runs, "peak_rss_generating_bytes", 0) if "peak_rss_generating_bytes" in runs[0] else "-",
                    same_tokens(runs, reference),
                )
            )  # fmt: skip
    lines.append("")
    if any("entropo" in peers for peers in cases.values()):
        lines += ["## entropo / peer", ""]
        lines += [row("entropo", "batch", "peer", "decode", "prefill", "peak memory"), row(*["---"] * 6)]
        # A peer's other dtype of the same width counts too: it may be its faster one.
        for (dtype, batch), ours in cases.items():
            for (their_dtype, their_batch), peers in cases.items():
                if "entropo" not in ours or (their_batch, BYTES[their_dtype]) != (batch, BYTES[dtype]):
                    continue
                for peer in sorted(peers.keys() - {"entropo"}):
                    pair = ours["entropo"], peers[peer]
                    lines.append(
                        row(
                            dtype, str(batch), f"{peer} {their_dtype}",
                            against(*pair, "decode_tokens_per_s", DECODE_TARGET.get(peer)),
                            against(*pair, "prefill_tokens_per_s", None),
                            against(*pair, "peak_rss_bytes", MEMORY_TARGET.get(peer)),
                        )
                    )  # fmt: skip
        lines.append("")
    lines += ceiling_lines(options, bandwidth)
    if failures:
        lines += ["## Did not run", ""]
        for (dtype, batch, peer), why in failures.items():
            lines.append(f"- {peer}, {dtype}, batch {batch}: `{why.splitlines()[-1]}`")
        lines.append("")
    return "\n".join(lines)


def main():
    options = arguments()
    named = {"entropo": options.entropo, "candle": options.candle, "transformers": options.transformers}
    peers = {name: command for name, command in named.items() if command}
    threads = str(options.threads)
    environment = dict(os.environ)
    for name in ["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"]:
        environment[name] = threads

    def bandwidth():
        if not options.bandwidth:
            return None
        return last_json_line(shlex.split(options.bandwidth) + ["--threads", threads], environment, options.timeout)

    before = bandwidth()
    cases, failures = measure(options, peers, environment)
    after = bandwidth()
    faster = max((found for found in (before, after) if found), key=lambda found: found["bytes_per_s"], default=None)
    if not cases:
        sys.exit("no case ran")
    text = report(options, cases, failures, faster)
    if options.out:
        options.out.write_text(text)
    else:
        print(text)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
