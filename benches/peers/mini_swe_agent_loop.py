"""Fifty steps of mini-swe-agent against a server of OpenAI's protocol (see crates/entropo-agent/benches/loop_overhead).

`python mini_swe_agent_loop.py instant|local URL` prints one JSON line: steps, seconds, processor time of this process and
of the commands that it ran. `instant` runs no command, `local` runs them in its LocalEnvironment.
"""

import json
import os
import resource
import sys
import tempfile
import time

os.environ["MSWEA_SILENT_STARTUP"] = "1"
os.environ["MSWEA_GLOBAL_CONFIG_DIR"] = tempfile.mkdtemp()
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

from minisweagent.agents.default import DefaultAgent
from minisweagent.environments.local import LocalEnvironment
from minisweagent.models.litellm_model import LitellmModel

RUNS = 6
STEPS = 50


class InstantEnvironment(LocalEnvironment):
    """Answers as the shell would, without one."""

    def execute(self, action, cwd="", *, timeout=None):
        command = action.get("command", "")
        said = command.removeprefix("echo ") if command.startswith("echo ") else ""
        output = {"output": said, "returncode": 0, "exception_info": ""}
        self._check_finished(output)
        return output


def run(environment, url):
    model = LitellmModel(
        # A model whose price is known: one whose is not costs a traceback a step.
        model_name="openai/gpt-4o-mini",
        model_kwargs={"api_base": url, "api_key": "none", "temperature": 1.0, "max_tokens": 1024},
    )
    agent = DefaultAgent(
        model,
        environment(),
        system_template="You are a helpful assistant that can interact with a computer.",
        instance_template="Please solve this issue: {{task}}",
        cost_limit=0.0,
    )
    end = agent.run("the total of an order is wrong when it has a discount.")
    assert (end["exit_status"], agent.n_calls) == ("Submitted", STEPS), (end, agent.n_calls)


def children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main():
    mode, url = sys.argv[1:]
    environment = {"instant": InstantEnvironment, "local": LocalEnvironment}[mode]
    run(environment, url)
    wall, cpu, others = time.perf_counter(), time.process_time(), children()
    for _ in range(RUNS):
        run(environment, url)
    wall, cpu, others = time.perf_counter() - wall, time.process_time() - cpu, children() - others
    print(json.dumps({"steps": RUNS * STEPS, "wall_s": wall, "cpu_s": cpu, "children_cpu_s": others}))


if __name__ == "__main__":
    main()
