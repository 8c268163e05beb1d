"""transformers' `generate` on the CPU, measured as every peer is (see README.md beside this file)."""

import argparse
import importlib.metadata
import json
import os
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import torch
from transformers import AutoModelForCausalLM, StoppingCriteria, StoppingCriteriaList


class Clock(StoppingCriteria):
    """Never stops; notes when each new token (of all rows) was there."""

    def __init__(self, rows):
        self.times = []
        self.never = torch.zeros(rows, dtype=torch.bool)

    def __call__(self, input_ids, scores, **kwargs):
        self.times.append(time.perf_counter())
        return self.never


def prompt(row, tokens):
    return [(at * 7_919 + row * 104_729 + 17) % 100_000 for at in range(tokens)]


def resident(field):
    """A size in /proc/self/status, in bytes: VmHWM (peak) or VmRSS (now)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def generate(model, prompts, new_tokens):
    """Seconds to the first new token, seconds from there to the last, and the first row's tokens."""
    clock = Clock(len(prompts))
    start = time.perf_counter()
    ids = model.generate(
        prompts,
        attention_mask=torch.ones_like(prompts),
        do_sample=False,
        use_cache=True,
        max_new_tokens=new_tokens,
        stopping_criteria=StoppingCriteriaList([clock]),
    )
    assert len(clock.times) == new_tokens, f"{len(clock.times)} steps instead of {new_tokens}"
    return clock.times[0] - start, clock.times[-1] - clock.times[0], ids[0, prompts.shape[1] :].tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--prompt-tokens", type=int, default=512)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3, help="runs, of which the best counts, after a short one")
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", 2)))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    baseline = resident("VmRSS")
    start = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(arguments.checkpoint, dtype=getattr(torch, arguments.dtype)).eval()
    load_s = time.perf_counter() - start
    # Nothing ends a sequence early; every peer does the same number of steps.
    model.generation_config.eos_token_id = None
    peak_loading = resident("VmHWM")
    Path("/proc/self/clear_refs").write_text("5")

    prompts = torch.tensor([prompt(row, arguments.prompt_tokens) for row in range(arguments.batch)])
    generate(model, prompts[:, :32], 4)
    runs = [generate(model, prompts, arguments.new_tokens) for _ in range(arguments.repeats)]
    prefill = min(run[0] for run in runs)
    decode = min(run[1] for run in runs)
    peak_generating = resident("VmHWM")
    print(
        json.dumps(
            {
                "peer": "transformers",
                "version": f"{importlib.metadata.version('transformers')}, torch {torch.__version__}",
                "dtype": arguments.dtype,
                "batch": arguments.batch,
                "prompt_tokens": arguments.prompt_tokens,
                "new_tokens": arguments.new_tokens,
                "threads": torch.get_num_threads(),
                "attention": model.config._attn_implementation,
                "prefill_tokens_per_s": arguments.batch * arguments.prompt_tokens / prefill,
                "decode_tokens_per_s": arguments.batch * (arguments.new_tokens - 1) / decode,
                "peak_rss_bytes": max(peak_loading, peak_generating),
                "peak_rss_generating_bytes": peak_generating,
                "baseline_rss_bytes": baseline,
                "load_s": load_s,
                "tokens": runs[0][2],
            }
        )
    )


if __name__ == "__main__":
    main()
