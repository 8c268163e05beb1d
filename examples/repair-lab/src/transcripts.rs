//! What the teacher does, recorded: the data that the policy is first trained on.

use std::sync::Arc;

use entropo::agent::{Agent, CancellationToken, Environment, EnvironmentError, Limits};
use entropo::core::{Message, RolloutId, ToolSpec, Trajectory};
use entropo::train::data::{Sequence, SequenceError};
use entropo::train::text::{ChatFormat, Conversation, EncodeError, SpecialText};

use crate::environment::Lab;
use crate::task::LabTask;
use crate::teacher::Teacher;

/// The limits of every agent in the lab.
pub fn limits() -> Limits {
    Limits { max_steps: 14, max_format_errors: 3, max_seconds: Some(120), max_repeats: None, ..Limits::default() }
}

/// One teacher's attempt at `task`, with the tools it was given.
pub async fn transcribe(task: &Arc<LabTask>, seed: u64) -> Result<(Trajectory, Vec<ToolSpec>), EnvironmentError> {
    let lab = Lab::new(std::slice::from_ref(task))?;
    let id = RolloutId::new(&task.id, 0);
    let episode = lab.open(&Lab::task(task), &id, seed).await?;
    let specs = episode.toolbox().specs().to_vec();
    let agent = Agent::new(Arc::new(Teacher::new(task, seed))).limits(limits());
    Ok((agent.run(id, seed, episode, &CancellationToken::new(), &()).await, specs))
}

/// Why a transcript cannot be trained on.
#[derive(Debug, thiserror::Error)]
pub enum TranscriptError {
    /// It cannot be tokenised.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// It holds nothing to learn.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
}

/// Every piece of text in a transcript that the template does not write itself.
pub fn texts(trajectory: &Trajectory) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for message in &trajectory.messages {
        texts.push(message.content().to_owned());
        let Message::Assistant(assistant) = message else { continue };
        for call in &assistant.tool_calls {
            texts.push(call.name.clone());
            for (name, value) in call.arguments.as_object().into_iter().flatten() {
                texts.push(name.clone());
                texts.extend(value.as_str().map(str::to_owned));
            }
        }
    }
    texts
}

/// A transcript's tokens. Where `everything`, all of them are to be learned, not only the teacher's actions: reading
/// along teaches names and copying faster than the actions alone.
pub fn encode(
    trajectory: &Trajectory,
    tools: &[ToolSpec],
    format: &ChatFormat,
    everything: bool,
) -> Result<Sequence, TranscriptError> {
    let encoded = format.encode(&Conversation::new(&trajectory.messages, tools), SpecialText::Escape)?;
    let mask = if everything { vec![true; encoded.mask.len()] } else { encoded.mask };
    Ok(Sequence::new(trajectory.id.to_string(), encoded.ids, mask)?)
}
