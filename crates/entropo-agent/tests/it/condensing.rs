//! Contexts that are kept short, and that what was read in their place is known.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use entropo_agent::condense::{Condensed, Context};
use entropo_agent::{
    CancellationToken, ChatModel, ChatRequest, ChatResponse, Condenser, Conversation, DropObservations, Event, Limits,
    ModelError, Observer, ReplayModel, SampledTokens, Summarise,
};
use entropo_core::condensation::check_pairs;
use entropo_core::{AssistantMessage, ExitReason, Message, Replacement, RolloutId, Trajectory, Usage};
use proptest::prelude::*;
use serde_json::json;

use crate::support::{acting, call, say, scripted, toolbox};

/// Notes so many letters in each turn, then finishes; a token is a byte. Remembers what it read.
struct Reader {
    notes: Vec<usize>,
    context: usize,
    /// Bytes of a token, as it tells them in its usage.
    bytes_per_token: usize,
    read: Arc<Mutex<Vec<Vec<Message>>>>,
}

impl Reader {
    fn new(notes: Vec<usize>, context: usize) -> Self {
        Self { notes, context, bytes_per_token: 1, read: Arc::default() }
    }
}

fn bytes(messages: &[Message]) -> Vec<u32> {
    let words = |message: &Message| match message {
        Message::Assistant(message) => format!("<{}{}>", message.content, message.tool_calls.len()),
        message => format!("<{}>", message.content()),
    };
    messages.iter().flat_map(|message| words(message).into_bytes()).map(u32::from).collect()
}

#[async_trait]
impl ChatModel for Reader {
    fn name(&self) -> &str {
        "reader"
    }

    async fn chat(&self, request: ChatRequest<'_>) -> Result<ChatResponse, ModelError> {
        check_pairs(request.messages).unwrap();
        let before = request.trace.segments().last().map(|segment| segment.ids.clone());
        // What it wrote itself is one token; a context that it has tokens of is continued.
        let seen = request.trace.segments().last().map_or(0, |segment| segment.messages);
        let mut prompt = before.unwrap_or_default();
        prompt.extend(bytes(&request.messages[seen..]));
        if prompt.len() > self.context {
            return Err(ModelError::ContextFull { prompt: prompt.len(), context: self.context });
        }
        self.read.lock().unwrap().push(request.messages.to_vec());
        let message = match self.notes.get(request.turn) {
            Some(letters) => say("", &[("note", json!({"text": "x", "times": letters}))]),
            None => call("finish"),
        };
        let prompt_tokens = prompt.len() / self.bytes_per_token;
        let usage = Usage { prompt_tokens, completion_tokens: 1, ..Usage::default() };
        let tokens = SampledTokens { prompt, completion: vec![7], logprobs: vec![-1.0] };
        Ok(ChatResponse { message, usage, tokens: Some(tokens), ..ChatResponse::default() })
    }
}

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Observer for Told {
    fn event(&self, _: &RolloutId, event: Event<'_>) {
        if let Event::Condensed { .. } | Event::NotCondensed { .. } = event {
            self.0.lock().unwrap().push(serde_json::to_string(&event).unwrap());
        }
    }
}

/// A rollout, what the model read in each turn, and what was told of condensing.
async fn roll(reader: Reader, condenser: Option<Arc<dyn Condenser>>) -> (Trajectory, Vec<Vec<Message>>, Vec<String>) {
    let (read, told) = (Arc::clone(&reader.read), Told::default());
    let mut agent = acting(reader).limits(Limits { max_repeats: None, ..Limits::default() });
    if let Some(condenser) = condenser {
        agent = agent.condenser(condenser);
    }
    let messages = vec![Message::system("Work."), Message::user("The task.")];
    let episode = Box::new(Conversation::new(messages, toolbox()));
    let trajectory = agent.run(RolloutId::new("t", 0), 1, episode, &CancellationToken::new(), &told).await;
    let read = read.lock().unwrap().clone();
    (trajectory, read, told.0.into_inner().unwrap())
}

fn check(trajectory: &Trajectory, read: &[Vec<Message>], told: &[String]) {
    assert_eq!(told.len(), trajectory.condensations.len(), "{told:?}");
    assert_eq!(trajectory.trace.segments().len(), 1 + trajectory.condensations.len(), "a segment is one context");
    assert_eq!(read.len(), trajectory.steps());
    for (turn, read) in read.iter().enumerate() {
        assert_eq!(trajectory.context(turn).as_deref(), Some(read.as_slice()), "turn {turn}");
        assert_eq!(read[1].content(), "The task.");
    }
    let segments = trajectory.trace.segments();
    let spoken: Vec<usize> = segments.iter().flat_map(|s| s.actions.iter().map(|action| action.turn)).collect();
    assert_eq!(spoken, (0..trajectory.steps()).collect::<Vec<_>>(), "every turn is in one segment");
    for segment in segments {
        let first = segment.actions[0];
        assert_eq!(segment.ids[..first.start], bytes(&read[first.turn]), "and begins with what the model read");
    }
}

#[tokio::test]
async fn old_answers_are_left_out_and_training_sees_what_the_model_saw() {
    let (trajectory, read, told) =
        roll(Reader::new(vec![600; 12], 8000), Some(Arc::new(DropObservations::above(4000).keep(2)))).await;
    assert_eq!(trajectory.exit, ExitReason::Agent);
    assert!((1..6).contains(&told.len()), "seldom, for each breaks a prefix cache: {told:?}");
    check(&trajectory, &read, &told);
    let last: Vec<_> = read[12].iter().filter(|message| message.role() == "tool").map(Message::content).collect();
    assert_eq!(last[0], "[Left out to save room: 600 characters.]");
    assert!(last[10].len() == 600 && last[11].len() == 600);
    assert_eq!(trajectory.messages.iter().filter(|message| message.content().len() == 600).count(), 12, "all are kept");
    // The same rollout again, from what was stored.
    let stored: Trajectory = serde_json::from_str(&serde_json::to_string(&trajectory).unwrap()).unwrap();
    let replay = acting(ReplayModel::new(stored)).condenser(Arc::new(DropObservations::above(4000).keep(2)));
    let replay = replay.limits(Limits { max_repeats: None, ..Limits::default() });
    let messages = vec![Message::system("Work."), Message::user("The task.")];
    let episode = Box::new(Conversation::new(messages, toolbox()));
    let again = replay.run(RolloutId::new("t", 0), 1, episode, &CancellationToken::new(), &()).await;
    assert_eq!(again, trajectory);
}

#[tokio::test]
async fn a_full_context_is_condensed_and_asked_again() {
    let (without, ..) = roll(Reader::new(vec![600; 12], 4000), None).await;
    assert_eq!(without.exit, ExitReason::Context);
    let (trajectory, read, told) =
        roll(Reader::new(vec![600; 12], 4000), Some(Arc::new(DropObservations::above(1 << 20).keep(1)))).await;
    assert_eq!(trajectory.exit, ExitReason::Agent);
    check(&trajectory, &read, &told);
    // Whatever a token of the model is: shorter is shorter.
    let dense = Reader { bytes_per_token: 8, ..Reader::new(vec![300; 12], 3000) };
    let (trajectory, ..) = roll(dense, Some(Arc::new(DropObservations::above(1 << 20).keep(1)))).await;
    assert_eq!(trajectory.exit, ExitReason::Agent, "{:?}", trajectory.error);
    let hopeless = roll(Reader::new(vec![5000], 4000), Some(Arc::new(DropObservations::above(3000)))).await;
    assert_eq!(hopeless.0.exit, ExitReason::Context, "the last answer is never left out");
    assert!(hopeless.0.error.unwrap().contains("shorten the conversation"));
}

#[tokio::test]
async fn a_summary_stands_in_for_what_happened() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    let writer = entropo_agent::ScriptedModel::from_fn("writer", move |request| {
        check_pairs(request.messages).unwrap();
        assert!(!request.tools.is_empty(), "some servers refuse calls in a conversation without tools");
        kept.lock().unwrap().push(request.messages.to_vec());
        let message = AssistantMessage { content: " It noted. ".to_owned(), ..AssistantMessage::default() };
        let usage = Usage { prompt_tokens: 11, completion_tokens: 3, ..Usage::default() };
        ChatResponse { message, usage, ..ChatResponse::default() }
    });
    let condenser = Summarise::above(4000, Arc::new(writer)).keep(2);
    let (trajectory, read, told) = roll(Reader::new(vec![600; 12], 8000), Some(Arc::new(condenser))).await;
    check(&trajectory, &read, &told);
    assert_eq!(trajectory.exit, ExitReason::Agent);
    let asked = asked.lock().unwrap();
    assert!(asked.len() >= 2 && asked.len() == told.len(), "{}", told.len());
    assert!(
        asked[1][2].content().starts_with("[What happened so far, in summary]\nIt noted."),
        "summaries build on summaries"
    );
    let last = &read[12];
    assert_eq!((last[1].content(), last[2].role()), ("The task.", "user"));
    assert_eq!(trajectory.usage.model_calls, 13 + asked.len(), "summaries are paid for");
}

/// Says what it holds.
struct Fixed(Result<Vec<Replacement>, ()>);

#[async_trait]
impl Condenser for Fixed {
    async fn condense(&self, context: &Context<'_>) -> Result<Option<Condensed>, ModelError> {
        if context.messages().len() < 4 || context.condensation().is_some() {
            return Ok(None);
        }
        let replacements = self.0.clone().map_err(|()| ModelError::Cancelled)?;
        Ok(Some(Condensed { replacements, ..Condensed::default() }))
    }
}

#[tokio::test]
async fn what_would_break_the_conversation_is_told_and_not_done() {
    let breaks = Replacement { start: 3, end: 4, by: Vec::new() };
    let task = Replacement { start: 0, end: 1, by: Vec::new() };
    for (fault, words) in [(Ok(vec![breaks]), "is not answered"), (Ok(vec![task]), "the task"), (Err(()), "cancelled")]
    {
        let (trajectory, _, told) = roll(Reader::new(vec![10, 10], 8000), Some(Arc::new(Fixed(fault)))).await;
        assert_eq!((trajectory.exit, trajectory.condensations.len()), (ExitReason::Agent, 0));
        assert!(told[0].contains("not_condensed") && told[0].contains(words), "{told:?}");
    }
}

#[tokio::test]
async fn without_a_condenser_nothing_is_ever_left_out() {
    let agent = scripted(vec![call("finish")]);
    let episode = Box::new(Conversation::new(vec![Message::user("x".repeat(1 << 20))], toolbox()));
    let trajectory = agent.run(RolloutId::new("t", 0), 1, episode, &CancellationToken::new(), &()).await;
    assert!(trajectory.condensations.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_the_sizes_the_contexts_are_valid_and_known(
        notes in prop::collection::vec(1usize..1500, 0..12),
        above in 500usize..6000,
        keep in 0usize..4,
        context in 3000usize..9000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let condenser = Arc::new(DropObservations::above(above).keep(keep));
        let (trajectory, read, told) = runtime.block_on(roll(Reader::new(notes, context), Some(condenser)));
        let forced_in_vain = trajectory.exit == ExitReason::Context;
        prop_assert!(forced_in_vain || trajectory.exit == ExitReason::Agent);
        if !forced_in_vain {
            check_condensations(&trajectory, &read);
            prop_assert!(told.len() >= trajectory.trace.segments().len() - 1);
        }
    }
}

fn check_condensations(trajectory: &Trajectory, read: &[Vec<Message>]) {
    for (turn, read) in read.iter().enumerate() {
        assert_eq!(trajectory.context(turn).as_deref(), Some(read.as_slice()), "turn {turn}");
    }
}
