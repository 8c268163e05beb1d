//! Verifiers on this machine: prompts, scores by hand, and a toy judge that learns.

mod prompts;
mod scores;
mod toy;

use std::sync::Arc;

use entropo_agent::verifier::JudgePrompt;
use entropo_core::{AssistantMessage, ExitReason, Message, RolloutId, ToolCall, ToolMessage, Trajectory};
use entropo_train::decoder::{Decoder, DecoderConfig};
use entropo_train::verifier::Judging;
use serde_json::json;

use crate::dataset::chat;
use crate::support::config_with;

/// A short prompt whose answers are one token each, with and without a blank before it, for the reference tokenizer.
fn prompt() -> JudgePrompt {
    JudgePrompt {
        system: String::new(),
        question: "?".to_owned(),
        affirmative: "action".to_owned(),
        negative: "option".to_owned(),
        least_mass: 0.0,
        ..JudgePrompt::default()
    }
}

fn judging(prompt: JudgePrompt, budget: usize) -> Arc<Judging> {
    Arc::new(Judging::new(Arc::new(chat()), prompt, budget).unwrap())
}

fn config(context: usize) -> DecoderConfig {
    config_with(json!({
        "vocab_size": 480, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": context,
    }))
}

fn decoder(seed: u64) -> Decoder {
    Decoder::new(&config(512), seed, &burn::tensor::Device::default())
}

/// An attempt with one answer a turn.
fn attempt(task: &str, number: usize, answers: &[&str], patch: &str) -> Trajectory {
    let mut trajectory = Trajectory::empty(RolloutId::new(task, number), "m", 0, ExitReason::Agent);
    trajectory.messages.push(Message::user(format!("Fix {task}.")));
    for (turn, answer) in answers.iter().enumerate() {
        let call = ToolCall { id: turn.to_string(), name: "ls".to_owned(), arguments: json!({}) };
        let said = AssistantMessage { tool_calls: vec![call], ..AssistantMessage::default() };
        trajectory.messages.push(Message::Assistant(said));
        let (call_id, name, content) = (turn.to_string(), "ls".to_owned(), (*answer).to_owned());
        trajectory.messages.push(Message::Tool(ToolMessage { call_id, name, content }));
    }
    trajectory.messages.push(Message::assistant("Done."));
    trajectory.outcome.patch = patch.to_owned();
    trajectory
}
