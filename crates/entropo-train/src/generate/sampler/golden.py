"""Writes golden.json: what transformers' logits processors leave of rows of logits. Run with transformers 5.23."""

import json
import pathlib

import torch
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

SETTINGS = [  # repetition penalty, temperature, top_k, top_p, min_p
    (1.0, 1.0, None, 1.0, 0.0),
    (1.0, 0.6, None, 1.0, 0.0),
    (1.3, 1.0, None, 1.0, 0.0),
    (1.0, 1.0, 5, 1.0, 0.0),
    (1.0, 1.0, None, 0.8, 0.0),
    (1.0, 1.0, None, 1.0, 0.1),
    (1.0, 0.7, 20, 0.8, 0.0),
    (1.05, 0.7, 20, 0.8, 0.0),
    (1.0, 1.5, 12, 0.95, 0.2),
    (0.8, 2.0, None, 0.6, 0.3),
    (2.0, 0.3, 30, 0.9, 0.05),
    (1.1, 1.0, 1, 0.5, 1.0),
]

cases = []
for seed, (penalty, temperature, top_k, top_p, min_p) in enumerate(SETTINGS):
    torch.manual_seed(seed)
    logits = torch.round(torch.randn(200) * 3 * 4096) / 4096
    logits[17] = logits[23] = logits[100]
    if seed == 3:  # the fifth largest twice
        logits[logits.argmin()] = logits.topk(5).values[-1]
    seen = torch.cat([torch.randint(0, 200, (12,)), logits.topk(3).indices[1:]])
    processors = LogitsProcessorList()  # the order of GenerationMixin._get_logits_processor
    if penalty != 1.0:
        processors.append(RepetitionPenaltyLogitsProcessor(penalty))
    if temperature != 1.0:
        processors.append(TemperatureLogitsWarper(temperature))
    if top_k is not None:
        processors.append(TopKLogitsWarper(top_k))
    if top_p < 1.0:
        processors.append(TopPLogitsWarper(top_p))
    if min_p > 0.0:
        processors.append(MinPLogitsWarper(min_p))
    left = processors(seen[None], logits[None].clone())[0].double().softmax(-1)
    cases.append(
        dict(
            repetition_penalty=penalty,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            seen=seen.tolist(),
            logits=logits.tolist(),
            probabilities=[[token, p] for token, p in enumerate(left.tolist()) if p > 0],
            entropy=torch.distributions.Categorical(logits=logits.double()).entropy().item(),
        )
    )
file = pathlib.Path(__file__).with_name("golden.json")
file.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
