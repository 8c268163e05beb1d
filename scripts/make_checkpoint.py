"""Writes a checkpoint with the shape of a published model and random weights, as transformers saves it.

  python scripts/make_checkpoint.py /tmp/checkpoints/qwen2.5-0.5b --model qwen2.5-0.5b

The same seed gives the same bytes. Tokenizer and chat template are copied from a small fixture; its vocabulary is
smaller than the embedding, so a generated id may have no text.
"""

import argparse
import os
import shutil
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

FIXTURE = Path(__file__).resolve().parent.parent / "tests/fixtures/models/qwen2/checkpoint"
TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json"]

# As published with Qwen2.5-0.5B-Instruct.
MODELS = {
    "qwen2.5-0.5b": dict(
        vocab_size=151936,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        max_position_embeddings=32768,
        max_window_layers=21,
        rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        tie_word_embeddings=True,
        use_sliding_window=False,
        bos_token_id=151643,
        eos_token_id=151645,
    ),
}


def random_model(name, seed):
    """Weights and biases normal with a deviation of 0.02; norms stay 1."""
    torch.manual_seed(seed)
    model = Qwen2ForCausalLM(Qwen2Config(**MODELS[name]))
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if not parameter_name.endswith("norm.weight"):
                parameter.normal_(0.0, 0.02)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="a directory that does not exist yet")
    parser.add_argument("--model", choices=sorted(MODELS), default="qwen2.5-0.5b")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="bfloat16")
    parser.add_argument("--tokenizer", type=Path, default=FIXTURE, help="directory of tokenizer and chat template")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shard-size", default="50GB", help="largest file, as transformers writes sizes")
    arguments = parser.parse_args()
    if arguments.out.exists():
        parser.error(f"{arguments.out} exists")

    model = random_model(arguments.model, arguments.seed).to(getattr(torch, arguments.dtype))
    eos = MODELS[arguments.model]["eos_token_id"]
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=eos, pad_token_id=eos)

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
