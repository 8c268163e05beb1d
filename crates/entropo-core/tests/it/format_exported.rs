//! What the writers write, byte for byte. `scripts/check_formats.py` shows the same files to the programs that they are for.
//!
//! `UPDATE_EXPORTED=1 cargo test -p entropo-core exported` writes them anew.

use std::fs;

use entropo_core::format::export::{self, ExportError};
use entropo_core::format::r2e::R2eRun;
use entropo_core::format::swe_bench::{Prediction, RunReport, Verdict};
use entropo_core::format::{
    Format, Record, RecordKind, Row, Side, Writer, dialogue_of_trajectory, dialogues_of_pair, mini_swe_agent, parse,
    swe_agent,
};
use entropo_core::{
    AssistantMessage, ExitReason, Message, RolloutId, ToolCall, ToolMessage, ToolSpec, Trajectory, Usage,
};
use serde_json::{Value, json};

use crate::fixture;

fn tools() -> Vec<ToolSpec> {
    let tool = |name: &str, description: &str, arguments: Value| ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        parameters: json!({"type": "object", "properties": arguments}),
    };
    vec![
        tool("bash", "Run a command.", json!({"command": {"type": "string"}})),
        tool("finish", "End.", json!({"result": {"type": "string", "enum": ["submit"]}})),
    ]
}

/// A rollout that runs `commands`, one after the other, and finishes.
fn rollout(number: usize, commands: &[&str], reward: f64) -> Trajectory {
    let mut rollout = Trajectory::empty(RolloutId::new("lab__stats-7", number), "org/tiny-coder", 0, ExitReason::Agent);
    rollout.messages = vec![Message::system("You repair programs."), Message::user("The median of nothing fails.")];
    let steps = commands.iter().map(|command| ("bash", "command", *command)).chain([("finish", "result", "submit")]);
    for (index, (name, key, command)) in steps.enumerate() {
        let id = format!("call_{index}");
        let call = ToolCall { id: id.clone(), name: name.into(), arguments: json!({key: command}) };
        let content = if index == 0 { "Let me look: <α> & \"quotes\"".to_owned() } else { String::new() };
        rollout.messages.push(Message::Assistant(AssistantMessage { content, tool_calls: vec![call], raw: None }));
        let content = format!("ran {command}\n");
        rollout.messages.push(Message::Tool(ToolMessage { call_id: id, name: name.into(), content }));
    }
    rollout.usage = Usage { model_calls: commands.len() + 1, tool_calls: commands.len() + 1, ..Usage::default() };
    rollout.outcome.patch = format!("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+{number}\n");
    rollout.outcome.reward = Some(reward);
    rollout
}

fn solved() -> Trajectory {
    rollout(0, &["cat stats.py", "sed -i 's/a/b/' stats.py"], 1.0)
}

fn failed() -> Trajectory {
    rollout(1, &["ls"], 0.0)
}

/// A row of one exchange.
fn plain(record: impl FnOnce(Side, Side) -> Record, tools: &[ToolSpec]) -> Row {
    let side = |answer: &str| {
        let mut rollout = solved();
        rollout.messages = vec![Message::user("2 + 2?"), Message::assistant(answer)];
        match dialogue_of_trajectory(&rollout, tools).unwrap().record {
            Record::Labelled { side, .. } => side,
            other => panic!("{other:?}"),
        }
    };
    Row { id: Some("plain".into()), group: None, record: record(side("4"), side("5")) }
}

/// Rows of each kind, with tools and without.
fn rows(kind: RecordKind) -> Vec<Row> {
    let label = |rollout: &Trajectory| dialogue_of_trajectory(rollout, &tools()).unwrap();
    match kind {
        RecordKind::Demonstration => {
            vec![label(&solved()).into_demonstration().unwrap(), plain(|side, _| Record::Demonstration(side), &[])]
        }
        RecordKind::Preference => vec![
            dialogues_of_pair(&solved(), &failed(), &tools()).unwrap(),
            plain(|chosen, rejected| Record::Preference { chosen, rejected }, &tools()),
        ],
        RecordKind::Labelled => vec![
            label(&solved()),
            label(&failed()),
            plain(|side, _| Record::Labelled { side, desirable: true }, &tools()),
            plain(|_, side| Record::Labelled { side, desirable: false }, &tools()),
        ],
    }
}

/// Compares what was written with the file `name`, or writes it.
fn check(name: &str, written: &str) {
    let name = format!("exported/{name}");
    if std::env::var_os("UPDATE_EXPORTED").is_some() {
        fs::write(fixture::path(&name), written).unwrap();
    }
    assert!(fixture::text(&name) == written, "{name} differs; written was\n{written}");
}

fn lines(values: impl IntoIterator<Item = Value>) -> String {
    let mut writer = Writer::lines(Vec::new());
    values.into_iter().for_each(|value| writer.write(&value).unwrap());
    String::from_utf8(writer.finish().unwrap()).unwrap()
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

#[test]
fn rows_are_exported_as_they_always_were() {
    use RecordKind::*;
    type Write = fn(&Row) -> Result<Value, ExportError>;
    let files: [(&str, Write, RecordKind); 8] = [
        ("trl_demonstrations.jsonl", export::trl, Demonstration),
        ("trl_pairs.jsonl", export::trl, Preference),
        ("trl_labelled.jsonl", export::trl, Labelled),
        ("openai_demonstrations.jsonl", export::openai, Demonstration),
        ("openai_pairs.jsonl", export::openai, Preference),
        ("llama_factory_pairs.jsonl", export::llama_factory, Preference),
        ("llama_factory_labelled.jsonl", export::llama_factory, Labelled),
        ("messages.jsonl", export::messages, Demonstration),
    ];
    let mut info = json!({});
    for (name, write, kind) in files {
        // LLaMA-Factory has rows of one answer only
        let rows =
            rows(kind).into_iter().filter(|row| !name.starts_with("llama") || row.id.as_deref() == Some("plain"));
        let written: Vec<Value> = rows
            .map(|row| {
                let written = write(&row).unwrap();
                let named = Row { id: row.id, group: row.group, ..parse(&written, Format::Auto).unwrap() };
                assert_eq!(named.record, row.record, "{name}");
                written
            })
            .collect();
        check(name, &lines(written));
        if name.starts_with("llama") {
            info[name.trim_end_matches(".jsonl")] = export::dataset_info(name, kind);
        }
    }
    // its demonstrations alternate and have no text beside calls
    let mut quiet = solved();
    for message in &mut quiet.messages {
        if let Message::Assistant(said) = message {
            said.content.clear();
        }
    }
    quiet.messages.pop();
    let row = dialogue_of_trajectory(&quiet, &tools()).unwrap().into_demonstration().unwrap();
    check("llama_factory_demonstrations.jsonl", &lines([export::llama_factory(&row).unwrap()]));
    info["llama_factory_demonstrations"] = export::dataset_info("llama_factory_demonstrations.jsonl", Demonstration);
    check("dataset_info.json", &pretty(&info));
}

#[test]
fn rollouts_are_exported_as_they_always_were() {
    let runs = [solved(), failed()].map(|rollout| R2eRun::of_trajectory(&rollout).unwrap());
    assert!(runs.iter().all(|run| run.lost.is_empty()), "{runs:?}");
    check("r2e.jsonl", &lines(runs.map(|run| serde_json::to_value(run.value).unwrap())));
    check("swe_agent.traj", &pretty(&swe_agent::write(&solved()).unwrap().value));
    check("mini.traj.json", &pretty(&mini_swe_agent::write(&solved()).unwrap().value));

    let (mut empty, mut broken) = (solved(), failed());
    (empty.id.task, empty.outcome.patch) = ("lab__stats-8".into(), String::new());
    broken.id.task = "lab__stats-9".into();
    let predictions = [solved(), empty, broken].map(|rollout| Prediction::of(&rollout));
    check("predictions.jsonl", &lines(predictions.iter().map(Prediction::to_value)));
    let verdicts = [("lab__stats-7".to_owned(), Verdict::Resolved), ("lab__stats-9".to_owned(), Verdict::Unresolved)];
    let ids = ["lab__stats-7", "lab__stats-8", "lab__stats-9", "lab__stats-10"];
    let report = RunReport::new(ids, &predictions, &verdicts.into());
    check("run_report.json", &pretty(&serde_json::to_value(report).unwrap()));
}
