"""Opens with transformers and peft what entropo saved, and compares the logits.

  python scripts/check_with_transformers.py DIR...
  python scripts/check_with_transformers.py --self-test

What a directory is, its content tells: `adapter_config.json` makes it a PEFT adapter, `config.json` a checkpoint.
Beside those files lies what entropo computed, in `expected.safetensors`, `expected.json` or both:

  input_ids   [tokens] or [sequences, tokens], no padding
  logits      [tokens, vocabulary] or [sequences, tokens, vocabulary], float32 (of an adapter: with it switched on)
  base        expected.json of an adapter: its base checkpoint, absolute or relative to the directory
  merged      expected.json of an adapter, optional: the checkpoint entropo merged it into
  messages, rendered   expected.json, optional: a conversation and the text entropo's template made of it

A checkpoint passes when transformers finds no missing, unexpected or mismatched key, would itself save the same names
and shapes, reaches the same logits in float32, and opens tokenizer, template and generation config. An adapter passes
when peft finds exactly the tensors it wants, reaches the same logits, and merges to the same weights.
Exit code: 0 when every directory passed.
"""

import argparse
import copy
import json
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, Qwen2Config, Qwen2ForCausalLM
from transformers.utils import logging

logging.disable_progress_bar()
# What they warn of, this program finds itself and fails over.
warnings.filterwarnings("ignore")

ROOT = Path(__file__).resolve().parent.parent
CONVERSATION = [
    {"role": "user", "content": "Which file holds the parser?"},
    {"role": "assistant", "content": "src/parser.rs"},
]


class Failed(Exception):
    """Why a directory did not pass."""


def expected(directory):
    """What entropo computed: `expected.json`, with the tensors of `expected.safetensors` over it."""
    found = {}
    if (directory / "expected.json").exists():
        found |= json.loads((directory / "expected.json").read_text())
    if (directory / "expected.safetensors").exists():
        found |= load_file(directory / "expected.safetensors")
    for name, kind in [("input_ids", torch.int64), ("logits", torch.float32)]:
        if name not in found:
            raise Failed(f"expected.json and expected.safetensors have no {name}")
        found[name] = torch.as_tensor(found[name]).to(kind)
    if found["input_ids"].dim() == 1:
        found["input_ids"] = found["input_ids"][None]
        found["logits"] = found["logits"].reshape(1, -1, found["logits"].shape[-1])
    return found


def tensor_shapes(directory, pattern="*.safetensors"):
    """Name and shape of every tensor in the directory's weight files."""
    shapes = {}
    for file in sorted(directory.glob(pattern)):
        if file.name != "expected.safetensors":
            with safe_open(file, "pt") as tensors:
                shapes |= {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}
    return shapes


def shapes_of(tensors):
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def same_shapes(saved, wanted, who):
    """Fails unless both have the same tensors with the same shapes."""
    missing, unexpected = sorted(wanted.keys() - saved.keys()), sorted(saved.keys() - wanted.keys())
    other = sorted(name for name in saved.keys() & wanted.keys() if saved[name] != wanted[name])
    if missing or unexpected or other:
        raise Failed(f"{who} would save other tensors: missing {missing}, unexpected {unexpected}, other shape {other}")


def open_model(directory):
    """The checkpoint in float32; fails on any key that transformers misses, does not know or cannot fit."""
    model, info = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    problems = {kind: sorted(map(str, keys)) for kind, keys in info.items() if keys}
    if problems:
        raise Failed(f"loading: {problems}")
    return model.eval()


def difference(ours, theirs, tolerance, what):
    """The largest absolute difference; fails over the tolerance, on NaN and on another shape."""
    if ours.shape != theirs.shape:
        raise Failed(f"{what}: shape {tuple(ours.shape)}, transformers has {tuple(theirs.shape)}")
    largest = (ours.double() - theirs.double()).abs().max().item()
    if not largest <= tolerance:
        raise Failed(f"{what}: max abs diff {largest:.3g} over {tolerance:g}")
    return largest


@torch.no_grad()
def logits_difference(model, wanted, tolerance):
    return difference(wanted["logits"], model(input_ids=wanted["input_ids"]).logits.float(), tolerance, "logits")


def check_text(directory, wanted):
    """Tokenizer and template, in words."""
    tokenizer = AutoTokenizer.from_pretrained(directory)
    text = "fn main() { println!(\"\u00e9\u4e16\"); }"
    if not tokenizer.encode(text):
        raise Failed("the tokenizer makes no ids of a text")
    if tokenizer.chat_template is None:
        if "rendered" in wanted:
            raise Failed("no chat template, but expected.json has a rendered text")
        return "tokenizer; no template"
    rendered = tokenizer.apply_chat_template(wanted.get("messages", CONVERSATION), tokenize=False)
    if "rendered" in wanted and rendered != wanted["rendered"]:
        raise Failed(f"the template renders {rendered!r}, expected {wanted['rendered']!r}")
    if CONVERSATION[1]["content"] not in rendered and "messages" not in wanted:
        raise Failed(f"the template leaves the conversation out: {rendered!r}")
    return "tokenizer, template" + (", text equal" if "rendered" in wanted else "")


def check_checkpoint(directory, tolerance):
    wanted = expected(directory)
    model = open_model(directory)
    largest = logits_difference(model, wanted, tolerance)
    with tempfile.TemporaryDirectory() as again:
        model.save_pretrained(again)
        shapes = tensor_shapes(directory)
        same_shapes(shapes, tensor_shapes(Path(again)), "transformers")
    notes = [f"{len(shapes)} tensors", check_text(directory, wanted)]
    if (directory / "generation_config.json").exists():
        GenerationConfig.from_pretrained(directory)
        notes.append("generation config")
    return largest, "; ".join(notes)


def check_adapter(directory, tolerance):
    wanted = expected(directory)
    if "base" not in wanted:
        raise Failed("expected.json has no base")
    base = open_model((directory / wanted["base"]).resolve())
    model = PeftModel.from_pretrained(copy.deepcopy(base), directory).eval()
    shapes = tensor_shapes(directory, "adapter_model.safetensors")
    same_shapes(shapes, shapes_of(get_peft_model_state_dict(model)), "peft")
    largest = logits_difference(model, wanted, tolerance)
    notes = [f"{len(shapes)} tensors"]
    with torch.no_grad():
        off = (base(input_ids=wanted["input_ids"]).logits - wanted["logits"]).abs().max().item()
    notes.append(f"adapter moves logits by {off:.2g}")
    if off <= tolerance:
        raise Failed(f"the adapter moves no logit by more than {tolerance:g}: nothing was checked")
    if "merged" in wanted:
        merged = model.merge_and_unload()
        ours = open_model((directory / wanted["merged"]).resolve())
        mine, theirs = ours.state_dict(), merged.state_dict()
        same_shapes(shapes_of(mine), shapes_of(theirs), "merge_and_unload")
        apart = max(difference(mine[name], theirs[name], tolerance, f"merged {name}") for name in mine)
        notes.append(f"merged: weights {apart:.2g}, logits {logits_difference(ours, wanted, tolerance):.2g}")
    return largest, "; ".join(notes)


def check(directory, tolerance):
    """(kind, passed, largest difference of logits or None, words)"""
    kind = "?"
    try:
        if (directory / "adapter_config.json").exists():
            kind = "adapter"
            return kind, True, *check_adapter(directory, tolerance)
        if (directory / "config.json").exists():
            kind = "checkpoint"
            return kind, True, *check_checkpoint(directory, tolerance)
        raise Failed("neither adapter_config.json nor config.json")
    except Failed as why:
        return kind, False, None, str(why)
    except Exception as problem:  # What transformers and peft raise on a bad directory has no common class.
        return kind, False, None, f"{type(problem).__name__}: {problem}"


def table(results):
    lines = ["| directory | kind | result | logits, max abs diff | |", "| --- | --- | --- | --- | --- |"]
    for name, (kind, passed, largest, words) in results:
        shown = "-" if largest is None else f"{largest:.2e}"
        result = "pass" if passed else "FAIL"
        lines.append(f"| {name} | {kind} | {result} | {shown} | {' '.join(words.split())[:300]} |")
    return "\n".join(lines)


# The self-test: directories made by transformers and peft must pass; each of these, spoilt in one way, must not.


def save_checkpoint(model, directory, **options):
    model.save_pretrained(directory, **options)
    for name in ["tokenizer.json", "tokenizer_config.json"]:
        shutil.copy(ROOT / "tests/fixtures/models/qwen2/checkpoint" / name, directory)


@torch.no_grad()
def save_expected(model, directory, **rest):
    ids = torch.arange(24).reshape(2, 12) * 7 % model.config.vocab_size
    logits = model(input_ids=ids).logits.contiguous()
    save_file({"input_ids": ids, "logits": logits}, directory / "expected.safetensors")
    if rest:
        (directory / "expected.json").write_text(json.dumps(rest))


def make_good(home):
    """A float32 checkpoint, a sharded bfloat16 one, and an adapter with its merged model."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=496,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    base = Qwen2ForCausalLM(config).eval()
    turns = [f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in CONVERSATION]
    save_checkpoint(base, home / "float32")
    save_expected(base, home / "float32", messages=CONVERSATION, rendered="".join(turns))

    untied = copy.deepcopy(config)
    untied.tie_word_embeddings = False
    rounded = Qwen2ForCausalLM(untied).eval()
    for parameter in rounded.parameters():
        parameter.data = parameter.data.bfloat16().float()
    save_checkpoint(copy.deepcopy(rounded).bfloat16(), home / "bfloat16-sharded", max_shard_size="50KB")
    save_expected(rounded, home / "bfloat16-sharded")

    lora = LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    adapted = get_peft_model(copy.deepcopy(base), lora).eval()
    adapted.save_pretrained(home / "adapter")
    save_expected(adapted, home / "adapter", base="../float32", merged="../merged")
    merged = adapted.merge_and_unload()
    save_checkpoint(merged, home / "merged")
    save_expected(merged, home / "merged")
    return ["float32", "bfloat16-sharded", "adapter", "merged"]


def edit_tensors(file, change):
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})


def edit_json(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def add_to(name, amount):
    def change(tensors):
        tensors[name].view(-1)[0] += amount

    return change


def renamed(old, new):
    return lambda tensors: tensors.update({new: tensors.pop(old)})


FIRST = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"
EMBEDDING = "model.embed_tokens.weight"


def in_tensors(file, change):
    return lambda directory: edit_tensors(directory / file, change)


def in_json(file, change):
    return lambda directory: edit_json(directory / file, change)


def without(pattern):
    return lambda directory: [file.unlink() for file in sorted(directory.glob(pattern))]


def weights(change):
    return in_tensors("model.safetensors", change)


def adapter(change):
    return in_tensors("adapter_model.safetensors", change)


# The good directory, what is spoilt in its copy, how, and what the reason given must mention.
SPOILT = [
    ("float32", "logits off by 2e-4", in_tensors("expected.safetensors", add_to("logits", 2e-4)), "logits"),
    ("float32", "a logit NaN", in_tensors("expected.safetensors", add_to("logits", float("nan"))), "nan"),
    ("float32", "no logits", without("expected.safetensors"), "have no"),
    ("float32", "a weight changed", weights(add_to("model.norm.weight", 0.1)), "logits"),
    ("float32", "a tensor missing", weights(lambda t: t.pop("model.norm.weight")), "missing_keys"),
    ("float32", "a tensor too many", weights(lambda t: t.update(extra=torch.ones(2))), "unexpected_keys"),
    ("float32", "a tied head saved", weights(lambda t: t.update({"lm_head.weight": t[EMBEDDING] + 0})), "lm_head"),
    ("float32", "another shape", weights(lambda t: t.update({"model.norm.weight": torch.ones(47)})), "mismatch"),
    ("float32", "no tokenizer", without("tokenizer*"), "tokenizer"),
    ("float32", "another rendered text", in_json("expected.json", lambda j: j.update(rendered="?")), "renders"),
    ("float32", "no config", without("config.json"), "neither"),
    ("bfloat16-sharded", "a shard missing", without("model-00001*"), "model-00001"),
    ("adapter", "a tensor changed", adapter(add_to(FIRST, 0.1)), "logits"),
    ("adapter", "a tensor missing", adapter(lambda t: t.pop(FIRST)), "missing ['"),
    ("adapter", "a tensor renamed", adapter(renamed(FIRST, FIRST.replace(".0.", ".7."))), "unexpected ['"),
    ("adapter", "another alpha", in_json("adapter_config.json", lambda j: j.update(lora_alpha=8)), "logits"),
    ("adapter", "another merged model", in_json("expected.json", lambda j: j.update(merged="../float32")), "merged"),
    ("adapter", "no base", in_json("expected.json", lambda j: j.pop("base")), "base"),
]


def self_test(tolerance):
    results, wrong = [], []
    with tempfile.TemporaryDirectory() as home:
        home = Path(home)
        for name in make_good(home):
            results.append((name, check(home / name, tolerance)))
            if not results[-1][1][1]:
                wrong.append(name)
        for original, what, spoil, reason in SPOILT:
            directory = home / "spoilt"
            shutil.copytree(home / original, directory)
            spoil(directory)
            results.append((f"{original}, {what}", check(directory, tolerance)))
            _kind, passed, _largest, words = results[-1][1]
            if passed or reason not in words:
                wrong.append(results[-1][0])
            shutil.rmtree(directory)
    print(table(results))
    print(f"\nself-test: {f'wrong about {wrong}' if wrong else 'all as it should be'}")
    return not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", nargs="*", type=Path, metavar="DIR")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="largest absolute difference (default 1e-4)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--self-test", action="store_true", help="check good and spoilt directories")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.self_test:
        sys.exit(0 if self_test(arguments.tolerance) else 1)
    if not arguments.directories:
        parser.error("no directory")
    results = [(str(directory), check(directory, arguments.tolerance)) for directory in arguments.directories]
    print(table(results))
    sys.exit(0 if all(result[1] for _, result in results) else 1)


if __name__ == "__main__":
    main()
