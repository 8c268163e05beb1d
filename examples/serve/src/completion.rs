//! Replies in OpenAI's shapes, whole and in pieces.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use entropo::agent::tool::coerce;
use entropo::agent::{ChatModel, StopReason};
use entropo::core::ToolCall;
use entropo::train::LocalModel;
use entropo::train::generate::{Ending, SampledToken, TokenStream};
use futures::stream::{self, SelectAll, Stream, StreamExt};
use serde_json::{Value, json};
use tokio::sync::mpsc::{Sender, channel};

use crate::choice::{Choice, End, Told};
use crate::error::ServeError;
use crate::server::Server;

/// How long a stream is silent at most, so that nobody takes a long prompt for a dead connection.
const SILENCE: Duration = Duration::from_secs(5);
/// Pieces that wait for a slow client.
const PIECES: usize = 64;

/// A completion under way.
#[derive(Debug)]
pub struct Job {
    /// What all its objects have in common.
    pub terms: Terms,
    /// The tokens of every choice.
    pub streams: Vec<TokenStream>,
}

/// What a completion was asked to be.
#[derive(Debug)]
pub struct Terms {
    /// Names it and no other.
    pub id: u64,
    /// When it began, in seconds since 1970.
    pub created: u64,
    /// The prompt's ids.
    pub prompt: Vec<u32>,
    /// Strings that end a choice.
    pub stops: Vec<String>,
    /// The tools that were offered.
    pub tools: Vec<Value>,
    /// Whether log-probabilities are told.
    pub logprobs: bool,
    /// Whether token ids are told.
    pub token_ids: bool,
}

/// The tokens of a completion, counted.
#[derive(Default)]
struct Usage {
    completion: usize,
    /// Tokens of the prompt that were known before: those of the choice that found the fewest, for the others of this
    /// request found what that one computed.
    cached: Option<usize>,
}

/// The whole reply, when all choices have ended.
pub async fn complete(server: &Server, job: Job) -> Result<Value, ServeError> {
    let Job { terms, streams } = job;
    let (mut choices, mut usage) = (Vec::new(), Usage::default());
    for (index, tokens) in streams.into_iter().enumerate() {
        let mut choice = Choice::new(server.model(), &terms, tokens);
        let (mut content, mut tokens) = (String::new(), Vec::new());
        let end = loop {
            let told = choice.next().await?;
            content += &told.text;
            tokens.extend(told.tokens);
            if let Some(end) = told.end {
                break end;
            }
        };
        usage.add(&tokens, Some(end.ending));
        let mut message = json!({"role": "assistant", "content": content});
        if !end.tool_calls.is_empty() {
            if content.is_empty() {
                put(&mut message, "content", Value::Null);
            }
            put(&mut message, "tool_calls", terms.tool_calls(index, &end.tool_calls, false));
        }
        let mut object = json!({"index": index, "message": message, "finish_reason": finish_reason(&end)});
        terms.describe(server.model(), &tokens, &mut object);
        choices.push(object);
    }
    let mut reply = terms.object(server.model(), "chat.completion", choices);
    put(&mut reply, "usage", usage.object(&terms));
    if terms.token_ids {
        put(&mut reply, "prompt_token_ids", terms.prompt.into());
    }
    Ok(reply)
}

/// The reply in pieces, each as soon as it can be told; with `usage`, the last one counts the tokens. A client that hangs
/// up ends it.
pub fn stream(server: Arc<Server>, job: Job, usage: bool) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (sender, mut receiver) = channel(PIECES);
    tokio::spawn(async move {
        let pieces = Pieces { model: server.model(), terms: &job.terms, usage, sender: &sender };
        tokio::select! {
            () = sender.closed() => {} // with the job its sequences end
            outcome = pieces.write(job.streams) => {
                let last = outcome.err().map_or_else(|| "[DONE]".to_owned(), |error| error.body().to_string());
                let _ = sender.send(Event::default().data(last)).await; // nobody listens: nobody needs it
            }
        }
    });
    let events = stream::poll_fn(move |context| receiver.poll_recv(context));
    Sse::new(events.map(Ok)).keep_alive(KeepAlive::new().interval(SILENCE))
}

/// Writes a completion piece by piece.
struct Pieces<'a> {
    model: &'a LocalModel,
    terms: &'a Terms,
    usage: bool,
    sender: &'a Sender<Event>,
}

impl Pieces<'_> {
    async fn write(&self, streams: Vec<TokenStream>) -> Result<(), ServeError> {
        for index in 0..streams.len() {
            let role = json!({"role": "assistant", "content": ""});
            self.send(vec![choice_piece(index, role, None)], index == 0).await;
        }
        let mut usage = Usage::default();
        let mut choices: SelectAll<_> = streams
            .into_iter()
            .enumerate()
            .map(|(index, tokens)| pieces_of(index, Choice::new(self.model, self.terms, tokens)).boxed())
            .collect();
        while let Some((index, told)) = choices.next().await {
            let Told { text, tokens, end } = told?;
            usage.add(&tokens, end.as_ref().map(|end| end.ending));
            let described = (self.terms.logprobs || self.terms.token_ids) && !tokens.is_empty();
            if described || !text.is_empty() {
                let mut piece = choice_piece(index, json!({"content": text}), None);
                self.terms.describe(self.model, &tokens, &mut piece);
                self.send(vec![piece], false).await;
            }
            if let Some(end) = end {
                if !end.tool_calls.is_empty() {
                    let delta = json!({"tool_calls": self.terms.tool_calls(index, &end.tool_calls, true)});
                    self.send(vec![choice_piece(index, delta, None)], false).await;
                }
                self.send(vec![choice_piece(index, json!({}), Some(finish_reason(&end)))], false).await;
            }
        }
        if self.usage {
            let mut last = self.terms.object(self.model, "chat.completion.chunk", Vec::new());
            put(&mut last, "usage", usage.object(self.terms));
            self.send_object(&last).await;
        }
        Ok(())
    }

    async fn send(&self, choices: Vec<Value>, first: bool) {
        let mut object = self.terms.object(self.model, "chat.completion.chunk", choices);
        if self.usage {
            put(&mut object, "usage", Value::Null);
        }
        if first && self.terms.token_ids {
            put(&mut object, "prompt_token_ids", self.terms.prompt.as_slice().into());
        }
        self.send_object(&object).await;
    }

    async fn send_object(&self, object: &Value) {
        let _ = self.sender.send(Event::default().data(object.to_string())).await; // `stream` notices who hangs up
    }
}

/// What a choice tells until it ends or fails, beside its index.
fn pieces_of(index: usize, choice: Choice<'_>) -> impl Stream<Item = (usize, Result<Told, ServeError>)> {
    stream::unfold(Some(choice), move |choice| async move {
        let mut choice = choice?;
        let told = choice.next().await;
        let goes_on = told.as_ref().is_ok_and(|told| told.end.is_none());
        Some(((index, told), goes_on.then_some(choice)))
    })
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(entries) = object.as_object_mut() {
        entries.insert(name.to_owned(), value);
    }
}

fn choice_piece(index: usize, delta: Value, finish_reason: Option<&str>) -> Value {
    json!({"index": index, "delta": delta, "finish_reason": finish_reason})
}

fn finish_reason(end: &End) -> &'static str {
    match end.ending.stop {
        _ if !end.tool_calls.is_empty() => "tool_calls",
        StopReason::EndOfTurn => "stop",
        _ => "length",
    }
}

impl Terms {
    fn object(&self, model: &LocalModel, kind: &str, choices: Vec<Value>) -> Value {
        let id = format!("chatcmpl-{:x}", self.id);
        json!({"id": id, "object": kind, "created": self.created, "model": model.name(), "choices": choices})
    }

    /// Adds to a choice what was asked for beside text.
    fn describe(&self, model: &LocalModel, tokens: &[SampledToken], choice: &mut Value) {
        let content = || tokens.iter().map(|token| token_object(model, token)).collect::<Value>();
        let logprobs = self.logprobs.then(|| json!({"content": content(), "refusal": null}));
        put(choice, "logprobs", logprobs.into());
        if self.token_ids {
            put(choice, "token_ids", tokens.iter().map(|token| token.id).collect());
        }
    }

    /// The calls of a choice; in a piece each says its place.
    fn tool_calls(&self, choice: usize, calls: &[ToolCall], places: bool) -> Value {
        let object = |(place, call): (usize, &ToolCall)| {
            let arguments = coerce(&call.arguments, self.parameters(&call.name)).to_string();
            let mut object = json!({
                "id": format!("call_{:x}_{choice}_{place}", self.id),
                "type": "function",
                "function": {"name": call.name, "arguments": arguments},
            });
            if places {
                put(&mut object, "index", place.into());
            }
            object
        };
        calls.iter().enumerate().map(object).collect()
    }

    /// The schema of a tool's arguments; null for a tool that was not offered.
    fn parameters(&self, tool: &str) -> &Value {
        let functions = self.tools.iter().filter_map(|tool| tool.get("function"));
        let mut named = functions.filter(|function| function.get("name").is_some_and(|name| name == tool));
        named.next().and_then(|function| function.get("parameters")).unwrap_or(&Value::Null)
    }
}

fn token_object(model: &LocalModel, token: &SampledToken) -> Value {
    let object = |id: u32, logprob: f32| {
        let text = model.format().tokenizer().decode(&[id], false).unwrap_or_default();
        // Part of a character has no text by which its bytes could be told.
        let bytes = (!text.contains(char::REPLACEMENT_CHARACTER)).then(|| text.as_bytes().to_vec());
        json!({"token": text, "logprob": logprob, "bytes": bytes})
    };
    let mut told = object(token.id, token.logprob);
    put(&mut told, "top_logprobs", token.top.iter().map(|&(id, logprob)| object(id, logprob)).collect());
    told
}

impl Usage {
    fn add(&mut self, tokens: &[SampledToken], ending: Option<Ending>) {
        self.completion += tokens.len();
        if let Some(ending) = ending {
            self.cached = Some(self.cached.map_or(ending.reused, |cached| cached.min(ending.reused)));
        }
    }

    fn object(&self, terms: &Terms) -> Value {
        let prompt = terms.prompt.len();
        json!({
            "prompt_tokens": prompt,
            "completion_tokens": self.completion,
            "total_tokens": prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached.unwrap_or(0)},
        })
    }
}
