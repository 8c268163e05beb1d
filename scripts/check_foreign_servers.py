"""Checks entropo's client against model servers that others wrote: llama.cpp's and `transformers serve`.

    pip install -r scripts/requirements.txt 'transformers[serving]' xllamacpp==2026.10.11549 gguf numpy
    cargo build -p entropo-agent --features openai,anthropic --example probe_server
    python scripts/check_foreign_servers.py target/debug/examples/probe_server [llama.cpp] [transformers]

xllamacpp is llama.cpp with its own HTTP server, compiled. The model is the repair lab's policy, which is small enough
for any machine. What each server is expected to be able to do stands below; every difference is told, and the exit
status is 0 if there is none. `docs/models.md` has the results.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import gguf_of_policy

POLICY = gguf_of_policy.POLICY
CONTEXT = 4096

# What does not work, with a part of what is told then. All else has to work.
EXPECTED = {
    "llama.cpp": {
        # It refuses log-probabilities of streams with tools, and does not know `return_token_ids`.
        "tokens, streamed": "logprobs is not supported with tools + stream",
        "tokens, in one piece": "0 of ",
    },
    "transformers": {
        # It refuses every field that it does not know.
        "tokens, streamed": "Unexpected fields in the request",
        "tokens, in one piece": "Unexpected fields in the request",
        "tokens as llama.cpp has them": "Unexpected fields in the request",
        "an agent by the Messages API": "HTTP 404",
        # It has no limit, and writes nonsense beyond the model's.
        "a prompt that is too long": "it answers to",
    },
}

LLAMA_CPP = """
import sys, time, xllamacpp
settings = xllamacpp.CommonParams()
settings.cpuparams.n_threads = 1  # more would wait for each other
settings.model.path, settings.port, settings.n_ctx = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
settings.n_parallel = 1
server = xllamacpp.Server(settings)
while True:
    time.sleep(60)
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def running(command, port, log):
    """A server that runs as long as the block."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    with open(log, "w") as output:
        process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=output, env=environment)
    try:
        for _ in range(600):
            if process.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).read()
                yield
                return
            except OSError:
                time.sleep(0.2)
        sys.exit(f"the server does not start:\n{Path(log).read_text()[-3000:]}")
    finally:
        process.terminate()
        process.wait()


@contextmanager
def llama_cpp(directory):
    model, port = directory / "policy.gguf", free_port()
    # The probe's descriptions of tools do not fit the policy's own context.
    gguf_of_policy.write(model, CONTEXT)
    with running([sys.executable, "-c", LLAMA_CPP, model, port, CONTEXT], port, directory / "log"):
        yield port, "policy"


@contextmanager
def transformers(directory):
    from transformers.cli.serving.utils import _RESPONSE_TEMPLATE_FALLBACKS as templates

    model, port = directory / "policy", free_port()
    shutil.copytree(POLICY, model)
    # It takes Qwen2 to write calls as JSON; the policy writes them as Qwen3.5 does.
    config = json.loads((model / "tokenizer_config.json").read_text())
    config["response_template"] = next(template for names, template in templates.items() if "qwen3_5" in names)
    (model / "tokenizer_config.json").write_text(json.dumps(config))
    # It samples only if the model says so, whatever temperature it is asked for.
    (model / "generation_config.json").write_text(json.dumps({"do_sample": True, "eos_token_id": 2, "pad_token_id": 0}))
    program = Path(sys.executable).parent / "transformers"
    command = [program, "serve", model, "--port", port, "--host", "127.0.0.1", "--device", "cpu"]
    with running(command, port, directory / "log"):
        yield port, str(model)


def logprobs_are_right(port):
    """What is wrong with llama.cpp's tokens, asked for as the client does and scored by transformers."""
    import torch
    from transformers import AutoModelForCausalLM

    def post(path, body):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), {"content-type": "application/json"})
        return json.loads(urllib.request.urlopen(request, timeout=60).read())

    model = AutoModelForCausalLM.from_pretrained(POLICY).eval()
    ask = dict(top_p=1, top_k=0, min_p=0, samplers=["temperature"], return_tokens=True, verbose=True, logprobs=True,
               top_logprobs=1, max_tokens=60, messages=[{"role": "user", "content": "`duty 700` prints 5600."}])
    worst = 0
    for seed in range(40):
        reply = post("/v1/chat/completions", ask | {"seed": seed, "temperature": 0.5 + seed / 40})
        told = [token["logprob"] for token in reply["choices"][0]["logprobs"]["content"]]
        prompt = {"content": reply["__verbose"]["prompt"], "add_special": False, "parse_special": True}
        prompt, ids = post("/tokenize", prompt)["tokens"], reply["__verbose"]["tokens"]
        if len(prompt) != reply["usage"]["prompt_tokens"] or len(ids) != len(told):
            return f"{len(prompt)} tokens in the prompt, {len(ids)} in the reply, {len(told)} log-probabilities"
        with torch.no_grad():
            scored = torch.log_softmax(model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1:-1].double(), -1)
        scored = scored.gather(1, torch.tensor(ids)[:, None])[:, 0]
        worst = max(worst, (scored - torch.tensor(told)).abs().max().item())
    print(f"log-probabilities differ from transformers' by {worst:.4f} at most")
    return "" if worst < 0.02 else "that is too much"


SERVERS = {
    "llama.cpp": (llama_cpp, "xllamacpp", logprobs_are_right),
    "transformers": (transformers, "transformers", None),
}


def check(name, probe):
    start, package, more = SERVERS[name]
    print(f"{name} ({package} {version(package)})", flush=True)
    with tempfile.TemporaryDirectory() as directory, start(Path(directory)) as (port, model):
        command = [probe, "--base-url", f"http://127.0.0.1:{port}/v1", "--model", model, "--dialect", "xml", "--brief",
                   "--overlong", "5000"]
        print(" ".join(command), flush=True)
        probed = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=600)
        print(probed.stdout, flush=True)
        wrong = more(port) if more else ""
    expected, surprises = EXPECTED[name], [wrong] if wrong else []
    for line in probed.stdout.splitlines():
        works, row, detail = line[:4].strip(), line[5:33].strip(), line[34:]
        if row in expected and (works == "yes" or expected[row] not in detail):
            surprises.append(f"expected not to work, with {expected[row]!r}: {line}")
        elif row not in expected and works != "yes":
            surprises.append(f"expected to work: {line}")
    if probed.returncode or not probed.stdout:
        surprises.append(f"the probe ended with {probed.returncode}")
    print("\n".join(surprises) or "as expected", flush=True)
    return not surprises


def main():
    probe, *names = sys.argv[1:]
    passed = [check(name, probe) for name in names or SERVERS]
    return not all(passed)


if __name__ == "__main__":
    sys.exit(main())
