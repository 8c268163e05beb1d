"""DPO updates in PyTorch, the peer of `cargo bench -p entropo-train --bench dpo_step`.

    python scripts/bench_dpo.py make DIRECTORY     a random Qwen2 checkpoint and a batch, for both sides
    python scripts/bench_dpo.py loop DIRECTORY     updates in a plain loop
    python scripts/bench_dpo.py trl DIRECTORY      the same updates by TRL's DPOTrainer
    python scripts/bench_dpo.py product            GFLOP/s of a matrix product

The last line printed is one JSON object. Tokens are those of the batch, each once an update, whatever is shared.
"""
import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("mode", choices=["make", "loop", "trl", "product"])
parser.add_argument("directory", type=Path, nargs="?")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--steps", type=int, default=6, help="updates that are timed")
parser.add_argument("--warmup", type=int, default=2, help="updates before them")
parser.add_argument("--pairs", type=int, default=2)
parser.add_argument("--tokens", type=int, default=512, help="of each sequence")
parser.add_argument("--prompt", type=int, default=128, help="tokens of a pair's common prompt")
parser.add_argument("--beta", type=float, default=0.1)
parser.add_argument("--learning-rate", type=float, default=1e-5)
options = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(options.threads)

import torch  # noqa: E402  (the number of threads is read when it is imported)

torch.set_num_threads(options.threads)


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def make():
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(7)
    config = Qwen2Config(
        vocab_size=4096, hidden_size=256, intermediate_size=1024, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=2048, tie_word_embeddings=False, bos_token_id=None,
        eos_token_id=1, pad_token_id=0)
    Qwen2ForCausalLM(config).save_pretrained(options.directory)
    ids = torch.randint(2, 4096, (2 * options.pairs, options.tokens))  # all chosen, then all rejected
    ids[options.pairs:, : options.prompt] = ids[: options.pairs, : options.prompt]
    batch = {"ids": ids.tolist(), "prompt": options.prompt}
    (options.directory / "batch.json").write_text(json.dumps(batch))
    return {}


def models():
    from transformers import Qwen2ForCausalLM

    load = lambda: Qwen2ForCausalLM.from_pretrained(options.directory, dtype=torch.float32, attn_implementation="sdpa")
    batch = json.loads((options.directory / "batch.json").read_text())
    return load().train(), load().eval().requires_grad_(False), torch.tensor(batch["ids"]), batch["prompt"]


def loop():
    policy, reference, ids, prompt = models()
    optimizer = torch.optim.AdamW(policy.parameters(), lr=options.learning_rate, weight_decay=0.0)
    pairs = len(ids) // 2

    def sums(model):
        logits = model(input_ids=ids, use_cache=False).logits[:, prompt - 1:-1]
        return torch.log_softmax(logits, -1).gather(-1, ids[:, prompt:, None]).squeeze(-1).sum(-1)

    seconds, used, losses = [], [], []
    for _ in range(options.warmup + options.steps):
        start, before = time.perf_counter(), cpu_seconds()
        with torch.no_grad():
            expected = sums(reference)
        rewards = options.beta * (sums(policy) - expected)
        loss = -torch.nn.functional.logsigmoid(rewards[:pairs] - rewards[pairs:]).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
        used.append(cpu_seconds() - before)
    return report(ids, seconds, used, losses)


def trl():
    from datasets import Dataset
    from tokenizers import Tokenizer, models as tokenizer_models
    from transformers import PreTrainedTokenizerFast, TrainerCallback
    from trl import DPOConfig, DPOTrainer

    policy, reference, ids, prompt = models()
    pairs = len(ids) // 2
    words = {f"w{index}": index for index in range(4096)}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(tokenizer_models.WordLevel(words, unk_token="w0")), pad_token="w0", eos_token="w1")
    mask = torch.ones_like(ids)
    mask[:, :prompt] = 0
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "completion_mask": mask}
    seconds, used, losses = [], [], []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_, **__):
            self.start = time.perf_counter(), cpu_seconds()

        def on_step_end(self, *_, **__):
            seconds.append(time.perf_counter() - self.start[0])
            used.append(cpu_seconds() - self.start[1])

    class Trainer(DPOTrainer):
        def _compute_loss(self, *args, **kwargs):
            loss = super()._compute_loss(*args, **kwargs)
            losses.append(loss.item())
            return loss

    steps = options.warmup + options.steps
    with tempfile.TemporaryDirectory() as output:
        config = DPOConfig(
            output_dir=output, report_to="none", use_cpu=True, bf16=False, gradient_checkpointing=False,
            max_steps=steps, logging_steps=steps, save_strategy="no", per_device_train_batch_size=pairs,
            learning_rate=options.learning_rate, lr_scheduler_type="constant", beta=options.beta, max_grad_norm=1.0,
            weight_decay=0.0, disable_tqdm=True, max_length=None)
        # Its own rows are never read: the collator gives the batch.
        row = {"prompt": ["w2"] * pairs, "chosen": ["w3"] * pairs, "rejected": ["w4"] * pairs}
        Trainer(model=policy, ref_model=reference, args=config, train_dataset=Dataset.from_dict(row),
                processing_class=tokenizer, callbacks=[Clock()],
                data_collator=lambda _: {name: tensor.clone() for name, tensor in batch.items()}).train()
    return report(ids, seconds, used, losses)


def report(ids, seconds, used, losses):
    timed = seconds[options.warmup:]
    return {
        "seconds": statistics.median(timed),
        "tokens_per_s": ids.numel() / statistics.median(timed),
        "cpu_s": statistics.median(used[options.warmup:]),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "losses": losses,
    }


def product():
    rates = {}
    for rows, inner, columns in [(1024, 1024, 1024), (2048, 256, 1024), (2048, 1024, 256)]:
        left, right = torch.rand(rows, inner), torch.rand(columns, inner)
        best = float("inf")
        for _ in range(10):
            start = time.perf_counter()
            left @ right.T
            best = min(best, time.perf_counter() - start)
        rates[f"{rows}x{inner}x{columns}"] = 2e-9 * rows * inner * columns / best
    return rates


print(json.dumps({"make": make, "loop": loop, "trl": trl, "product": product}[options.mode]()))
