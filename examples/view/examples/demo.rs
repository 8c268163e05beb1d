//! Rollouts to show: three scripted attempts at one bug, with real tools on real files.
//!
//! `cargo run -p view --example demo -- FOLDER` writes `rollouts.jsonl`, `selection.json` and `tokenizer.json` there. What
//! the agent writes is a script, and its log-probabilities are made up; all else, the observations, patches and the selection,
//! is what the tools and the selector gave.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use entropo_agent::{
    Agent, CancellationToken, ChatRequest, ChatResponse, Environment, EnvironmentError, Episode, SampledTokens,
    ScriptedModel, Selector, rollout_seed,
};
use entropo_core::{AssistantMessage, RolloutId, Task, ToolCall, Trajectory};
use entropo_tools::{CodingEpisode, LocalSandbox, Workspace, coding_tools};
use serde_json::{Value, json};
use tokenizers::Tokenizer;

type Failure = Box<dyn Error + Send + Sync>;

const ISSUE: &str = "`median.sh` prints the wrong number when it is given an even number of values: it should print the mean of \
                     the middle two.";
const PROGRAM: &str = "#!/bin/sh\n# Prints the median of its arguments.\nprintf '%s\\n' \"$@\" | sort -n | awk '\n  { value[NR] = \
                       $1 }\n  END { print value[int((NR + 1) / 2)] }\n'\n";
const TEST: &str = "#!/bin/sh\nstatus=0\ncheck() { found=$(./median.sh $2); [ \"$found\" = \"$1\" ] && echo \"ok: $2\" || \
                    { echo \"FAILED: $2 gave $found, not $1\"; status=1; }; }\ncheck 2 \"3 1 2\"\ncheck 2.5 \"1 2 3 4\"\ncheck \
                    7 \"7\"\ncheck -1 \"-3 1 -2 0\"\nexit $status\n";

const TOKENIZER: &[u8] = include_bytes!("../../repair-lab/checkpoint/tokenizer.json");

struct Repository;

#[async_trait]
impl Environment for Repository {
    async fn open(&self, task: &Task, _: &RolloutId, _: u64) -> Result<Box<dyn Episode>, EnvironmentError> {
        let open = async {
            let files = [("median.sh", PROGRAM, true), ("test.sh", TEST, true)];
            let workspace = Workspace::from_files(files).await?;
            let sandbox = Arc::new(LocalSandbox::new(workspace.root())?);
            let tools = coding_tools(sandbox, workspace.root())?;
            Ok::<_, Failure>(CodingEpisode::new(workspace, &task.problem)?.tools(tools))
        };
        match open.await {
            Ok(episode) => Ok(Box::new(episode)),
            Err(source) => Err(EnvironmentError { task: task.id.clone(), source }),
        }
    }
}

/// What is written in each turn of an attempt.
fn script(attempt: usize) -> Vec<(&'static str, &'static str, Value)> {
    let edit = |new: &str| json!({"command": "str_replace", "path": "median.sh", "old_str": "print value[int((NR + 1) / 2)]", "new_str": new});
    let look = ("I read the program and its tests first.", "shell", json!({"command": "cat median.sh test.sh"}));
    let test = ("Now the tests.", "shell", json!({"command": "./test.sh"}));
    let finish = |words| (words, "finish", json!({}));
    match attempt {
        0 => vec![
            look,
            (
                "With an even number the middle lies between two values.",
                "editor",
                edit("print (value[int((NR + 1) / 2)] + value[int(NR / 2) + 1]) / 2"),
            ),
            test,
            finish("Both middle values are averaged, which is the same value twice when their number is odd."),
        ],
        1 => vec![
            ("The index is off by one.", "editor", edit("print value[int(NR / 2) + 1]")),
            test,
            finish("The upper of the middle two is printed now."),
        ],
        _ => vec![
            look,
            ("", "shell", json!({"command": "for n in 1 2 3 4 5 6; do echo \"$n: $(./median.sh $(seq $n))\"; done"})),
            (
                "An even number needs a case of its own.",
                "editor",
                edit("print NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2"),
            ),
            test,
            finish("Done."),
        ],
    }
}

/// An attempt's script as a model that has tokens.
fn model(attempt: usize) -> Result<ScriptedModel, Failure> {
    let tokenizer = Tokenizer::from_bytes(TOKENIZER)?;
    let ids = move |text: &str| -> Vec<u32> {
        tokenizer.encode_fast(text, false).map(|found| found.get_ids().to_vec()).unwrap_or_default()
    };
    Ok(ScriptedModel::from_fn("script", move |request: &ChatRequest<'_>| {
        let Some((words, tool, arguments)) = script(attempt).into_iter().nth(request.turn) else {
            return ChatResponse::default();
        };
        let call = ToolCall { id: format!("call-{}", request.turn), name: tool.to_owned(), arguments };
        let prompt = request.messages.iter().flat_map(|message| {
            let calls = message.as_assistant().map(|said| said.tool_calls.iter().map(told).collect::<String>());
            ids(&format!("{}{}\n", message.content(), calls.unwrap_or_default()))
        });
        let (prompt, completion) = (prompt.collect(), ids(&format!("{words}{}\n", told(&call))));
        let logprobs =
            (0_u32..).zip(&completion).map(|(place, id)| -(((id * 37 + place * 11) % 101) as f32 / 60.0).powi(4));
        let tokens = SampledTokens { prompt, logprobs: logprobs.collect(), completion };
        let message = AssistantMessage { content: words.to_owned(), tool_calls: vec![call], raw: None };
        ChatResponse { message, tokens: Some(tokens), ..ChatResponse::default() }
    }))
}

fn told(call: &ToolCall) -> String {
    format!("\n{} {}", call.name, call.arguments)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let folder: PathBuf = std::env::args_os().nth(1).ok_or("name a folder to write to")?.into();
    let task = Task::new("median", ISSUE);
    let mut rollouts = Vec::new();
    for number in 0..3 {
        let id = RolloutId::new("median", number);
        let seed = rollout_seed(0, &id);
        let agent = Agent::new(Arc::new(model(number)?));
        let episode = Repository.open(&task, &id, seed).await?;
        let mut rollout = agent.run(id, seed, episode, &CancellationToken::new(), &()).await;
        judge(&mut rollout);
        rollouts.push(rollout);
    }
    let selection = Selector::hybrid().select(&rollouts.iter().collect::<Vec<_>>())?;
    let lines: Result<Vec<String>, _> = rollouts.iter().map(serde_json::to_string).collect();
    std::fs::write(folder.join("rollouts.jsonl"), lines?.join("\n") + "\n")?;
    std::fs::write(folder.join("selection.json"), serde_json::to_string(&selection)?)?;
    std::fs::write(folder.join("tokenizer.json"), TOKENIZER)?;
    Ok(())
}

/// Judges by the tests that the agent ran itself; they are the only ones here.
fn judge(rollout: &mut Trajectory) {
    let log = rollout.messages.iter().rev().find(|message| message.content().contains("ok: "));
    let passed = log.map(|log| log.content().matches("ok: ").count()).unwrap_or_default();
    rollout.outcome.scores.insert("regression".to_owned(), passed as f64);
    rollout.outcome.reward = Some(f64::from(u8::from(passed == 4)));
}
