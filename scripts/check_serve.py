"""Checks examples/serve with the clients that people use: the openai package and mini-swe-agent.

    cargo build --release -p serve
    pip install openai mini-swe-agent
    python scripts/check_serve.py target/release/serve

The model is the repair lab's policy, small enough for any machine and good at one thing: repairing little shell
repositories with tools. Every check is told; the exit status is 0 if all passed.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import litellm
import openai

ROOT = Path(__file__).resolve().parent.parent
POLICY = ROOT / "examples/repair-lab/checkpoint"
SYSTEM = "You repair sh code. Find the bug, edit it, run `sh test.sh`, then finish."
KEY = "a-secret"

# A task of the lab: see examples/repair-lab/src/task.
TASK = json.loads((ROOT / "scripts/lab_task.json").read_text())


def tool(name, **arguments):
    properties = {argument: {"type": kind} for argument, kind in arguments.items()}
    parameters = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": parameters}}


TOOLS = [
    tool("shell", command="string"),
    tool("editor", command="string", path="string", old_str="string", new_str="string"),
    tool("search", query="string"),
    tool("finish"),
]


@contextmanager
def server(program):
    """The address of a server that runs as long as the block."""
    arguments = [program, "--model", POLICY, "--port", "0", "--name", "repair-lab"]
    environment = os.environ | {"ENTROPO_API_KEY": KEY}
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        first = process.stdout.readline()
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield re.search(r"http://\S+/v1", first).group()
    finally:
        process.terminate()
        process.wait()


def check(name, passed, detail=""):
    print(f"{'ok  ' if passed else 'FAIL'} {name}{f': {detail}' if detail else ''}", flush=True)
    check.failed += not passed


check.failed = 0


def refused(kind, action):
    try:
        action()
    except kind as error:
        return error
    return None


def check_openai(client):
    models = [model.id for model in client.models.list()]
    check("models.list", models == ["repair-lab"], models)

    ask = dict(model="repair-lab", seed=1, max_tokens=200, messages=[
        {"role": "system", "content": SYSTEM}, {"role": "user", "content": TASK["issue"]}])
    whole = client.chat.completions.create(**ask)
    choice = whole.choices[0]
    check("whole reply", bool(choice.message.content) and choice.finish_reason == "stop", choice.message.content)
    usage = client.chat.completions.create(**ask).usage
    cached = usage.prompt_tokens_details.cached_tokens
    check("the prompt is read once", cached == usage.prompt_tokens - 1, f"{cached} of {usage.prompt_tokens} tokens")

    stream = client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True})
    pieces = list(stream)
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    check("streamed reply", text == choice.message.content, f"{len(pieces)} pieces")
    check("usage of a stream", pieces[-1].usage.completion_tokens == whole.usage.completion_tokens)

    told = client.chat.completions.create(**ask, logprobs=True, top_logprobs=3, extra_body={"return_token_ids": True})
    content = told.choices[0].logprobs.content
    ids = told.choices[0].model_extra["token_ids"]
    check("logprobs and token ids", len(content) == len(ids) == told.usage.completion_tokens
          and all(len(token.top_logprobs) == 3 and token.logprob <= 0 for token in content)
          and len(told.model_extra["prompt_token_ids"]) == told.usage.prompt_tokens, f"{len(ids)} tokens")

    several = client.chat.completions.create(**ask, n=4, temperature=1.5)
    check("several choices", [choice.index for choice in several.choices] == [0, 1, 2, 3],
          f"{len({choice.message.content for choice in several.choices})} different")
    stopped = client.chat.completions.create(**ask, stop=["</function>"]).choices[0]
    check("stop strings", "</function>" not in stopped.message.content and stopped.finish_reason == "stop")


def check_errors(address, client):
    ask = dict(model="repair-lab", messages=[{"role": "user", "content": "x"}])
    create = client.chat.completions.create
    stranger = openai.OpenAI(base_url=address, api_key="wrong")
    check("a wrong key", refused(openai.AuthenticationError, stranger.models.list))
    check("an unknown model", refused(openai.NotFoundError, lambda: create(**ask | {"model": "gpt-5"})))
    error = refused(openai.BadRequestError, lambda: create(**ask, temperature=-1))
    check("a bad parameter", error and error.param == "temperature", error and error.body["message"])
    long = [{"role": "user", "content": "a b c d " * 1000}]
    error = refused(openai.BadRequestError, lambda: create(model="repair-lab", messages=long))
    check("a prompt beyond the context", error and error.code == "context_length_exceeded",
          error and error.body["message"])

    try:  # what mini-swe-agent stops at instead of trying again
        litellm.completion(model="openai/repair-lab", messages=long, api_base=address, api_key=KEY)
    except litellm.exceptions.ContextWindowExceededError as error:
        check("litellm knows that, too", True)
    except openai.APIError as error:
        check("litellm knows that, too", False, error)


def carry_out(root, name, arguments):
    """What entropo's tools answer, near enough for the policy."""
    if name == "finish":
        return "Done."
    if name == "shell":
        done = subprocess.run(["sh", "-c", arguments["command"]], cwd=root, capture_output=True, text=True, timeout=10)
        status = [f"[exit status {done.returncode}]"] if done.returncode else []
        return "\n".join((done.stdout + done.stderr).splitlines() + status) or "[no output]"
    if name == "search":
        done = subprocess.run(["grep", "-rn", arguments["query"], "."], cwd=root, capture_output=True, text=True)
        return done.stdout.replace("./", "").rstrip() or f'No match for "{arguments["query"]}".'
    path = root / arguments["path"]
    text = path.read_text()
    if arguments["command"] == "view":
        return "\n".join(f"{number}\t{line}" for number, line in enumerate(text.splitlines(), 1))
    if text.count(arguments["old_str"]) != 1:
        return f"old_str not found in {arguments['path']}."
    path.write_text(text.replace(arguments["old_str"], arguments["new_str"]))
    return f"Edited {arguments['path']}."


def repository(directory):
    root = Path(directory)
    for path, text in TASK["files"].items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def attempt(client, seed):
    """One attempt at the task; its calls, and whether the visible tests pass in the end."""
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": TASK["issue"]}]
    calls = []
    with tempfile.TemporaryDirectory() as directory:
        root = repository(directory)
        while len(calls) < 12 and "finish" not in calls:
            reply = client.chat.completions.create(
                model="repair-lab", messages=messages, tools=TOOLS, seed=seed + len(calls), temperature=0.7)
            message = reply.choices[0].message
            if not message.tool_calls:
                break
            messages.append(message.model_dump(exclude_none=True))
            for call in message.tool_calls:
                calls.append(call.function.name)
                try:
                    answer = carry_out(root, call.function.name, json.loads(call.function.arguments))
                except (OSError, KeyError) as error:
                    answer = str(error)
                messages.append({"role": "tool", "tool_call_id": call.id, "content": answer})
        passed = "all passed" in carry_out(root, "shell", {"command": "sh test.sh"})
    return calls, passed


def check_tools(client):
    attempts = [attempt(client, 100 * number) for number in range(8)]
    calls = [" ".join(calls) for calls, _ in attempts]
    check("tools round trip", all("editor" in made for made in calls), calls[0])
    check("the policy repairs the repository", any(passed for _, passed in attempts),
          f"{sum(passed for _, passed in attempts)} of {len(attempts)} attempts pass the visible tests")


MINI = {
    "agent": {"system_template": SYSTEM, "instance_template": "{{task}}", "step_limit": 8, "cost_limit": 0,
              "mode": "yolo", "confirm_exit": False, "max_consecutive_format_errors": 3},
    "environment": {"environment_class": "local"},
    "model": {"model_name": "openai/repair-lab", "cost_tracking": "ignore_errors",
              "model_kwargs": {"temperature": 0, "max_tokens": 200}},
}
# mini-swe-agent knows one tool, bash; the policy knows four others. Read as text, its shell calls are commands, and the
# others are answered with what brings it to the next one.
TEXT_MODE = {"model_class": "litellm_textbased", "format_error_template": "Edited lib/chapel.sh.",
             "action_regex": r"<function=shell>\n<parameter=command>\n(.*?)\n</parameter>"}


def check_mini(address, name, model, wanted):
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryDirectory() as elsewhere:
        root = repository(directory)
        config, output = Path(elsewhere) / "mini.yaml", Path(elsewhere) / "trajectory.json"
        config.write_text(json.dumps(MINI | {"model": MINI["model"] | model}))  # JSON is YAML
        environment = os.environ | {"OPENAI_API_BASE": address, "OPENAI_API_KEY": KEY, "MSWEA_CONFIGURED": "true",
                                    "MSWEA_MODEL_RETRY_STOP_AFTER_ATTEMPT": "1"}
        mini = Path(sys.executable).parent / "mini"
        command = [mini, "-c", config, "-t", TASK["issue"], "-o", output, "--yolo", "--exit-immediately"]
        ran = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=600,
                             stdin=subprocess.DEVNULL)
        trajectory = json.loads(output.read_text()) if output.exists() else {}
    info = trajectory.get("info", {})
    messages = trajectory.get("messages", [])
    commands = [action["command"] for message in messages for action in message.get("extra", {}).get("actions", [])]
    calls = info.get("model_stats", {}).get("api_calls", 0)
    status = info.get("exit_status")
    check(name, calls > 1 and status in ("LimitsExceeded", "RepeatedFormatError", "Submitted") and commands[:1] == wanted,
          f"{calls} calls, ended by {status}, commands {commands}")
    if calls < 2 or commands[:1] != wanted:
        print(ran.stdout[-3000:], ran.stderr[-3000:])


def main():
    with server(sys.argv[1]) as address:
        client = openai.OpenAI(base_url=address, api_key=KEY, max_retries=0)
        check_openai(client)
        check_errors(address, client)
        check_tools(client)
        check_mini(address, "mini-swe-agent with tool calls", {}, [])
        check_mini(address, "mini-swe-agent with text", TEXT_MODE, ["sh test.sh"])
    print("all passed" if not check.failed else f"{check.failed} failed")
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
