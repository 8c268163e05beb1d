"""Writes a checkpoint with the shape of a published model and random weights, as transformers saves it.

  python scripts/make_checkpoint.py /tmp/checkpoints/qwen2.5-0.5b
  python scripts/make_checkpoint.py /tmp/checkpoints/30b-layer --layers 1 \\
      --config crates/entropo-train/tests/configs/Qwen3-Coder-30B-A3B-Instruct.json

The same seed gives the same bytes. Tokenizer and chat template are copied from a small fixture; its vocabulary is
smaller than the embedding, so a generated id may have no text.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

FIXTURE = Path(__file__).resolve().parent.parent / "tests/fixtures/models/qwen2/checkpoint"
TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json"]

PUBLISHED = Path(__file__).resolve().parent.parent / "crates/entropo-train/tests/configs"


def shape(file, layers):
    """The configuration in a `config.json`, cut to its first `layers` layers."""
    values = json.loads(file.read_text())
    if layers is not None:
        values["num_hidden_layers"] = layers
        values["num_nextn_predict_layers"] = 0
        if "layer_types" in values:
            values["layer_types"] = values["layer_types"][:layers]
    for key in ("torch_dtype", "dtype"):
        values.pop(key, None)
    return AutoConfig.for_model(values.pop("model_type"), **values)


def random_model(config, dtype, seed):
    """Weights and biases normal with a deviation of 0.02; norms stay as they are made."""
    torch.manual_seed(seed)
    torch.set_default_dtype(dtype)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if not parameter_name.endswith("norm.weight"):
                parameter.normal_(0.0, 0.02)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="a directory that does not exist yet")
    parser.add_argument("--config", type=Path, default=PUBLISHED / "Qwen2.5-0.5B-Instruct.json", help="a config.json")
    parser.add_argument("--layers", type=int, help="only the first ones")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="bfloat16")
    parser.add_argument("--tokenizer", type=Path, default=FIXTURE, help="directory of tokenizer and chat template")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shard-size", default="50GB", help="largest file, as transformers writes sizes")
    arguments = parser.parse_args()
    if arguments.out.exists():
        parser.error(f"{arguments.out} exists")

    config = shape(arguments.config, arguments.layers)
    model = random_model(config, getattr(torch, arguments.dtype), arguments.seed)
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=config.eos_token_id)

    # The directory gets its name only when it is whole.
    unfinished = arguments.out.with_name(arguments.out.name + ".unfinished")
    unfinished.mkdir(parents=True)
    model.save_pretrained(unfinished, max_shard_size=arguments.shard_size)
    for name in TOKENIZER_FILES:
        if (arguments.tokenizer / name).exists():
            shutil.copy(arguments.tokenizer / name, unfinished)
    unfinished.rename(arguments.out)
    print(f"{arguments.out}: {model.num_parameters():,} parameters in {arguments.dtype}")


if __name__ == "__main__":
    main()
