"""Writes the repair lab's policy as a GGUF file, which llama.cpp reads.

    pip install gguf safetensors numpy
    python scripts/gguf_of_policy.py policy.gguf [CONTEXT]

llama.cpp's own converter refuses it: it loads the tokenizer as Qwen2's, which adds a token that the model has no place
for, and it knows tokenizers by a hash of what they do. This splits texts like Qwen2's, too: that tells names with an
underscore apart, which the policy learnt whole, so it acts a little worse. llama.cpp keeps conversations to the
context that the file states; a longer one than the policy's own makes room for them, not sense of them.
"""

import json
import re
import sys
from pathlib import Path

import gguf
from safetensors.numpy import load_file

POLICY = Path(__file__).resolve().parent.parent / "examples/repair-lab/checkpoint"


def write(path, context=None):
    config = json.loads((POLICY / "config.json").read_text())
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_name("repair-lab")
    writer.add_context_length(context or config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    add_tokenizer(writer, config)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, config["num_hidden_layers"])
    for name, tensor in load_file(POLICY / "model.safetensors").items():
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), tensor.astype("float32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer, config):
    tokenizer = json.loads((POLICY / "tokenizer.json").read_text())
    tokens = [f"[unused{index}]" for index in range(config["vocab_size"])]
    kinds = [gguf.TokenType.UNUSED] * len(tokens)
    for token, index in tokenizer["model"]["vocab"].items():
        tokens[index], kinds[index] = token, gguf.TokenType.NORMAL
    for token in tokenizer["added_tokens"]:
        tokens[token["id"]] = token["content"]
        kinds[token["id"]] = gguf.TokenType.CONTROL if token["special"] else gguf.TokenType.USER_DEFINED
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)
    # Marks for training that only transformers knows.
    template = (POLICY / "chat_template.jinja").read_text()
    writer.add_chat_template(re.sub(r"{%-? *(end)?generation *-?%}", "", template))


if __name__ == "__main__":
    write(sys.argv[1], *map(int, sys.argv[2:3]))
