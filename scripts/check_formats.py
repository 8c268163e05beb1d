"""The files that the exporters write, shown to the programs that they are for.

  pip install trl datasets swebench mini-swe-agent
  python scripts/check_formats.py [--exported DIRECTORY] [--r2e-gym CHECKOUT] [--llama-factory CHECKOUT]
                                  [--swe-agent CHECKOUT]

Without a checkout of one of these, and without swebench or mini-swe-agent, what needs them is skipped and said to be.
TRL's trainers make one step each with a random model of a few thousand weights, on the CPU. A checkout of SWE-agent wants
ruamel.yaml, one of LLaMA-Factory peft and omegaconf.
"""

import argparse
import importlib
import importlib.util
import json
import os
import sys
import tempfile
import types
from pathlib import Path

TEMPLATE = """
{%- if tools %}{{ '<|im_start|>tools\n' }}{% for tool in tools %}{{ tool | tojson }}{% endfor %}{{ '<|im_end|>\n' }}{% endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\n' + message.content }}
{%- for call in message.tool_calls or [] %}{{ '<tool_call>' + (call.function | tojson) + '</tool_call>' }}{% endfor %}
{{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""


def rows(path):
    """The rows of a file of lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def byte_tokenizer():
    """A tokenizer with a token for each byte, so that nothing has to be downloaded."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|pad|>",
                                   additional_special_tokens=["<|im_start|>"])
    fast.chat_template = TEMPLATE
    return fast


def expected_text(row, tokenizer):
    """What the template makes of a row that no column of records has touched."""
    tools = json.loads(row["tools"]) if "tools" in row else None
    said = lambda messages: tokenizer.apply_chat_template(messages, tools=tools, tokenize=False)
    if "messages" in row:
        return {"text": said(row["messages"])}
    return {key: said(row["prompt"] + row[key]) for key in ("completion", "chosen", "rejected") if key in row}


def check_trl_data(directory, tokenizer):
    """datasets loads the rows without a change, and TRL makes of them what the template makes of the rows themselves."""
    import datasets
    from trl.data_utils import is_conversational, maybe_apply_chat_template, maybe_extract_prompt

    for name in ("trl_demonstrations", "trl_pairs", "trl_labelled"):
        path = directory / f"{name}.jsonl"
        written = rows(path)
        loaded = datasets.load_dataset("json", data_files=str(path), split="train")
        assert len(loaded) == len(written)
        for row, there in zip(written, loaded):
            there = {key: value for key, value in there.items() if value is not None}
            assert there == row, f"{name}: datasets reads\n{there}\nof\n{row}"
            assert is_conversational(there)
            tools = json.loads(there["tools"]) if "tools" in there else None
            columns = {key: value for key, value in there.items() if key not in ("id", "group", "tools")}
            text = maybe_apply_chat_template(maybe_extract_prompt(columns), tokenizer, tools=tools)
            for key, expected in expected_text(row, tokenizer).items():
                found = text[key] if key == "text" else text["prompt"] + text[key]
                assert found == expected, f"{name}, {key}: TRL makes\n{found}\nnot\n{expected}"
        # a pair that repeats its prompt, which extract_prompt takes apart again
        for row in written if name == "trl_pairs" else []:
            whole = {key: row["prompt"] + row[key] for key in ("chosen", "rejected")}
            assert maybe_extract_prompt(whole)["prompt"][:len(row["prompt"])] == row["prompt"]
        print(f"TRL: {name}: {len(written)} rows, columns {', '.join(loaded.column_names)}")


def check_trl_trainers(directory, tokenizer):
    """One step of each trainer."""
    import datasets
    from transformers import LlamaConfig, LlamaForCausalLM
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer
    try:
        from trl import KTOConfig, KTOTrainer
    except ImportError:
        from trl.experimental.kto import KTOConfig, KTOTrainer

    def model():
        return LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16,
                                            num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
                                            pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id))

    trainers = (("trl_demonstrations", SFTTrainer, SFTConfig), ("trl_pairs", DPOTrainer, DPOConfig),
                ("trl_labelled", KTOTrainer, KTOConfig))
    for name, trainer, config in trainers:
        data = datasets.load_dataset("json", data_files=str(directory / f"{name}.jsonl"), split="train")
        with tempfile.TemporaryDirectory() as out:
            settings = config(output_dir=out, max_steps=1, per_device_train_batch_size=2, report_to=[], use_cpu=True,
                              save_strategy="no", disable_tqdm=True, bf16=False, logging_steps=1)
            reference = {} if trainer is SFTTrainer else {"ref_model": model()}
            run = trainer(model=model(), args=settings, train_dataset=data, processing_class=tokenizer, **reference)
            loss = run.train().training_loss
            assert 0 < loss < 100, loss
            print(f"TRL: {trainer.__name__} on {name}: loss {loss:.3f}")


def check_swe_bench(directory):
    """The harness reads the predictions, and its report on them is ours."""
    from swebench.harness.reporting import make_run_report
    from swebench.harness.utils import get_predictions_from_file

    predictions = get_predictions_from_file(str(directory / "predictions.jsonl"), "none", "test")
    assert predictions == rows(directory / "predictions.jsonl")
    ours = json.loads((directory / "run_report.json").read_text())
    ids = ours["submitted_ids"] + ours["incomplete_ids"]
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for one in predictions:
                if not one["model_patch"]:
                    continue
                name = one["model_name_or_path"].replace("/", "__")
                log = Path("logs/run_evaluation/run") / name / one["instance_id"]
                log.mkdir(parents=True)
                resolved = one["instance_id"] in ours["resolved_ids"]
                (log / "report.json").write_text(json.dumps({one["instance_id"]: {"resolved": resolved}}))
            by_id = {one["instance_id"]: one for one in predictions}
            theirs = json.loads(Path(make_run_report(by_id, [{"instance_id": id} for id in ids], "run")).read_text())
        finally:
            os.chdir(here)
    different = {key: (value, theirs.get(key)) for key, value in ours.items() if theirs.get(key) != value}
    assert not different, different
    left = sorted(set(theirs) - set(ours))
    assert all(not theirs[key] for key in left), left
    print(f"SWE-bench: {len(predictions)} predictions; reports agree (of theirs alone, all empty: {', '.join(left)})")


def check_mini(directory):
    """mini-swe-agent's inspector goes through the file step by step."""
    import asyncio

    from minisweagent.run.utilities.inspector import TrajectoryInspector

    async def steps():
        app = TrajectoryInspector([directory / "mini.traj.json"])
        async with app.run_test() as pilot:
            for _ in range(app.n_steps):
                await pilot.press("l")
            assert app.i_step == app.n_steps - 1
            return app.n_steps

    print(f"mini-swe-agent: its inspector shows {asyncio.run(steps())} steps")


def package(name, path):
    """A package whose own `__init__` is not run, for what it pulls in is not needed."""
    module = types.ModuleType(name)
    module.__path__ = [str(path)]
    sys.modules[name] = module


def check_r2e(directory, checkout):
    """R2E-Gym's own class takes every line and writes it again without a change of what it knows."""
    source = checkout / "src/r2egym"
    package("r2egym", source)
    package("r2egym.agenthub", source / "agenthub")
    # what grades and what parses patches needs packages of its own
    for name, items in (("r2egym.commit_models.diff_classes", ["ParsedCommit"]),
                        ("r2egym.commit_models.parse_diff", ["CommitParser"]),
                        ("r2egym.agenthub.trajectory.swebench_utils", ["swebench_report", "swebench_parse", "PASS_TO_PASS"])):
        module = types.ModuleType(name)
        for item in items:
            setattr(module, item, type(item, (), {}))
        sys.modules[name] = module
    package("r2egym.commit_models", source / "commit_models")
    module = importlib.import_module("r2egym.agenthub.trajectory.trajectory")
    steps = 0
    for row in rows(directory / "r2e.jsonl"):
        run = module.Trajectory.load_from_model_dump_json(json.dumps(row))
        again = json.loads(run.model_dump_json())
        assert again == {key: row[key] for key in again}, again
        assert run.pass_1 == (row["reward"] == 1) and run.num_steps == len(row["trajectory_steps"])
        actions = [step.parsed_action for step in run.trajectory_steps]
        assert actions[-1].function_name == "finish" and actions[0].parameters["command"]
        steps += run.num_steps
    print(f"R2E-Gym: its Trajectory takes the lines; {steps} actions parsed")


def check_swe_agent(directory, checkout):
    """SWE-agent's inspector goes through the file, and its scripts make a prediction and a demonstration of it."""
    import asyncio

    package("sweagent", checkout / "sweagent")
    for name in ("run", "utils"):
        package(f"sweagent.{name}", checkout / "sweagent" / name)
    inspector = importlib.import_module("sweagent.run.inspector_cli")
    demonstrations = importlib.import_module("sweagent.run.run_traj_to_demo")
    predictions = importlib.import_module("sweagent.run.extract_pred")
    written = json.loads((directory / "swe_agent.traj").read_text())
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder).resolve() / "org" / "lab__stats-7"
        run.mkdir(parents=True)
        path = run / "lab__stats-7.traj"
        path.write_text(json.dumps(written))

        async def steps():
            app = inspector.TrajectoryInspectorApp(run.parent)
            async with app.run_test() as pilot:
                viewer = app.query_one(inspector.TrajectoryViewer)
                for _ in range(viewer.n_steps):
                    await pilot.press("l")
                assert viewer.i_step == viewer.n_steps - 1, viewer.i_step
                return viewer.n_steps

        shown = asyncio.run(steps())
        assert shown == len(written["trajectory"])
        demonstrations.convert_traj_to_action_demo(path, run / "demo.yaml")
        assert "cat stats.py" in (run / "demo.yaml").read_text()
        predictions.run_from_cli([str(path)])
        made = json.loads(path.with_suffix(".pred").read_text())
    assert made == {"model_name_or_path": "org", "model_patch": written["info"]["submission"], "instance_id": run.name}
    print(f"SWE-agent: its inspector shows {shown} steps; its scripts make a prediction and a demonstration")


def check_llama_factory(directory, checkout):
    """LLaMA-Factory's converter takes every row with the entries of our dataset_info.json, and skips none."""
    source = checkout / "src/llamafactory"
    package("llamafactory", source)
    for name in ("data", "extras"):
        package(f"llamafactory.{name}", source / name)
    converter = importlib.import_module("llamafactory.data.converter")
    parser = importlib.import_module("llamafactory.data.parser")
    info = json.loads((directory / "dataset_info.json").read_text())
    for attributes in parser.get_dataset_list(list(info), str(directory)):
        convert = converter.SharegptDatasetConverter(attributes, None)
        name = attributes.dataset_name
        written = rows(directory / name)
        for row in written:
            read = convert(row)
            assert read["_prompt"] and read["_response"] and read["_tools"] == row["tools"], (name, read)
            said = [message["content"] for message in read["_response"]]
            if "chosen" in row:
                assert said == [row["chosen"]["value"], row["rejected"]["value"]]
            elif "kto_tag" in row:
                last = row["conversations"][-1]["value"]
                assert said == ([last, ""] if row["kto_tag"] else ["", last])
        print(f"LLaMA-Factory: {name}: {len(written)} rows")


def main():
    root = Path(__file__).resolve().parent.parent
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--exported", type=Path, default=root / "crates/entropo-core/tests/data/exported")
    arguments.add_argument("--r2e-gym", type=Path)
    arguments.add_argument("--llama-factory", type=Path)
    arguments.add_argument("--swe-agent", type=Path)
    arguments = arguments.parse_args()
    directory = arguments.exported.resolve()

    tokenizer = byte_tokenizer()
    check_trl_data(directory, tokenizer)
    check_trl_trainers(directory, tokenizer)
    for name, check in (("swebench", check_swe_bench), ("minisweagent", check_mini)):
        if importlib.util.find_spec(name):
            check(directory)
        else:
            print(f"skipped: {name} is not installed")
    for name, check, checkout in (("R2E-Gym", check_r2e, arguments.r2e_gym),
                                  ("SWE-agent", check_swe_agent, arguments.swe_agent),
                                  ("LLaMA-Factory", check_llama_factory, arguments.llama_factory)):
        if checkout:
            check(directory, checkout.resolve())
        else:
            print(f"skipped: no checkout of {name}")


if __name__ == "__main__":
    main()
