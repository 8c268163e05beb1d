//! The ways in which a server is asked.

use std::sync::Arc;
use std::time::Instant;

#[cfg(feature = "anthropic")]
use entropo_agent::model::anthropic::Anthropic;
use entropo_agent::model::openai::OpenAi;
use entropo_agent::model::{Reply, ToolCalling};
use entropo_agent::{
    Agent, CancellationToken, ChatModel, ChatRequest, Delta, Episode, Limits, ModelError, Sampling, StopReason,
};
use entropo_core::{Message, RolloutId, TokenTrace, Trajectory};

use crate::Arguments;
use crate::repository::Repository;

/// One thing that works, or does not.
pub(crate) struct Row {
    /// What it is.
    pub(crate) name: &'static str,
    /// Whether it works.
    pub(crate) works: bool,
    /// What was seen.
    pub(crate) detail: String,
}

type Seen = Result<(bool, String), Box<dyn std::error::Error + Send + Sync>>;

/// Asks in every way.
pub(crate) async fn all(client: &OpenAi, arguments: &Arguments) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut note = |name, seen: Seen| {
        let (works, detail) = seen.unwrap_or_else(|error| (false, error.to_string()));
        rows.push(Row { name, works, detail });
    };
    note("a reply in one piece", whole(client).await);
    note("the same as a stream", streamed(client).await);
    note("counts of tokens", usage(client).await);
    note("a seed is kept", seeded(client).await);
    note("a reply that is cut says so", cut(client).await);
    note("tool calls as data", native(client).await);
    note("an agent with calls as data", agent(client.clone(), arguments).await);
    let text = client.clone().tool_calling(ToolCalling::Text(arguments.dialect()));
    note("an agent with calls as text", agent(text, arguments).await);
    #[cfg(feature = "anthropic")]
    note("an agent by the Messages API", messages_api(arguments).await);
    note("tokens, streamed", tokens(client.clone().tokens(), arguments).await);
    note("tokens, in one piece", tokens(client.clone().tokens().whole(), arguments).await);
    note("tokens as llama.cpp has them", tokens(client.clone().llama_cpp_tokens(), arguments).await);
    note("a request can be cancelled", cancelled(client).await);
    note("a reply may be very long", long_reply(client).await);
    if arguments.overlong > 0 {
        note("a prompt that is too long", overlong(client, arguments.overlong).await);
    }
    rows
}

/// What is asked if nothing else is said: the likeliest reply, and a short one.
fn sampling() -> Sampling {
    Sampling { temperature: 0.0, max_tokens: 200, ..Sampling::default() }
}

async fn ask(client: &OpenAi, sampling: &Sampling, seed: u64) -> Result<Reply, ModelError> {
    ask_about(client, &Repository::task(), sampling, seed, &CancellationToken::new(), &mut |_| ()).await
}

async fn ask_about(
    client: &OpenAi,
    messages: &[Message],
    sampling: &Sampling,
    seed: u64,
    cancel: &CancellationToken,
    tell: &mut (dyn FnMut(Delta<'_>) + Send),
) -> Result<Reply, ModelError> {
    let trace = TokenTrace::default();
    client.reply(ChatRequest { messages, tools: &[], trace: &trace, sampling, turn: 0, seed, cancel }, tell).await
}

/// What was said, with calls that the server has found in it although there are no tools.
fn said(reply: &Reply) -> String {
    let message = &reply.response.message;
    let calls = message.tool_calls.iter().map(|call| format!("{} {}", call.name, call.arguments));
    std::iter::once(message.content.clone()).chain(calls).collect::<Vec<_>>().join(" ").trim().to_owned()
}

async fn whole(client: &OpenAi) -> Seen {
    let reply = ask(&client.clone().whole(), &sampling(), 1).await?;
    let text = said(&reply);
    Ok((!text.is_empty(), format!("{text:?}, {:?}, by {:?}", reply.response.stop, reply.served_model)))
}

async fn streamed(client: &OpenAi) -> Seen {
    let (whole, mut pieces) = (ask(&client.clone().whole(), &sampling(), 1).await, 0);
    let cancel = CancellationToken::new();
    let mut count = |_: Delta<'_>| pieces += 1;
    let streamed = ask_about(client, &Repository::task(), &sampling(), 1, &cancel, &mut count).await?;
    let same = said(&streamed) == said(&whole?);
    Ok((same && pieces > 0, format!("{pieces} pieces, {}", if same { "the same text" } else { "another text" })))
}

async fn usage(client: &OpenAi) -> Seen {
    let whole = ask(&client.clone().whole(), &sampling(), 1).await?.response.usage;
    let streamed = ask(client, &sampling(), 1).await?.response.usage;
    let counts = |usage: &entropo_core::Usage| (usage.prompt_tokens, usage.completion_tokens);
    let same = counts(&whole) == counts(&streamed) && whole.prompt_tokens > 0 && whole.completion_tokens > 0;
    let (prompt, completion) = counts(&streamed);
    let cached = streamed.cached_tokens;
    Ok((same, format!("{prompt} of the prompt ({cached} from a cache), {completion} of the reply")))
}

async fn seeded(client: &OpenAi) -> Seen {
    let warm = Sampling { temperature: 1.5, ..sampling() };
    let mut texts = Vec::new();
    for seed in [1, 1, 2, 3, 4] {
        texts.push(said(&ask(client, &warm, seed).await?));
    }
    let same = matches!(&texts[..], [first, second, ..] if first == second);
    texts.sort();
    texts.dedup();
    let different = texts.len();
    let told = if same { "the same reply twice" } else { "another reply to the same seed" };
    Ok((same && different > 1, format!("{told}, {different} different to 4 seeds")))
}

async fn cut(client: &OpenAi) -> Seen {
    let response = ask(client, &Sampling { max_tokens: 3, ..sampling() }, 1).await?.response;
    Ok((response.stop == StopReason::MaxTokens, format!("{:?}", response.stop)))
}

async fn native(client: &OpenAi) -> Seen {
    let (repository, trace, cancel) = (Repository::new()?, TokenTrace::default(), CancellationToken::new());
    let (messages, tools, sampling) = (Repository::task(), repository.toolbox().specs(), sampling());
    let request = ChatRequest {
        messages: &messages,
        tools,
        trace: &trace,
        sampling: &sampling,
        turn: 0,
        seed: 1,
        cancel: &cancel,
    };
    let reply = client.reply(request, &mut |_| ()).await?;
    let calls = &reply.response.message.tool_calls;
    Ok((!calls.is_empty(), format!("{:?} {}", said(&reply), reply.response.format_error.unwrap_or_default())))
}

/// Some servers speak Anthropic's protocol too, at the same address.
#[cfg(feature = "anthropic")]
async fn messages_api(arguments: &Arguments) -> Seen {
    agent(Anthropic::new(arguments.connection(), &arguments.model)?, arguments).await
}

async fn run(
    client: impl ChatModel + 'static,
    arguments: &Arguments,
) -> Result<Trajectory, entropo_agent::tool::ToolboxError> {
    let limits = Limits { max_steps: arguments.steps, ..Limits::default() };
    let agent = Agent::new(Arc::new(client)).limits(limits).sampling(Sampling { temperature: 0.7, ..sampling() });
    let episode = Box::new(Repository::new()?);
    Ok(agent.run(RolloutId::new("probe", 0), 1, episode, &CancellationToken::new(), &()).await)
}

async fn agent(client: impl ChatModel + 'static, arguments: &Arguments) -> Seen {
    let trajectory = run(client, arguments).await?;
    let usage = &trajectory.usage;
    let works = trajectory.error.is_none() && usage.tool_calls > usage.bad_calls;
    let repaired = trajectory.outcome.reward == Some(1.0);
    let last = trajectory.messages.iter().rev().find(|message| matches!(message, Message::Assistant(_)));
    let last = last.filter(|_| usage.tool_calls == 0).map(|last| format!(" after {:?}", last.content()));
    Ok((
        works,
        format!(
            "{} replies, {} calls, {} of them bad, ended by {:?}{}{}{}",
            usage.model_calls,
            usage.tool_calls,
            usage.bad_calls,
            trajectory.exit,
            if repaired { ", repaired" } else { "" },
            last.unwrap_or_default(),
            trajectory.error.map(|error| format!(": {error}")).unwrap_or_default()
        ),
    ))
}

async fn tokens(client: OpenAi, arguments: &Arguments) -> Seen {
    let trajectory = run(client, arguments).await?;
    let segments = trajectory.trace.segments();
    let sampled: usize = segments.iter().flat_map(|segment| segment.action_mask()).filter(|is| *is).count();
    let logprobs: usize = segments.iter().map(|segment| segment.logprobs.len()).sum();
    let told = trajectory.usage.completion_tokens;
    let works = trajectory.error.is_none() && sampled > 0 && sampled == told;
    let error = trajectory.error.map(|error| format!(": {error}")).unwrap_or_default();
    Ok((works, format!("{sampled} of {told} tokens, {logprobs} log-probabilities, {} contexts{error}", segments.len())))
}

/// Cancels at the first piece, and sees whether the server is free for somebody else.
async fn cancelled(client: &OpenAi) -> Seen {
    // The hotter, the longer a model goes on.
    let long = Sampling { temperature: 2.0, max_tokens: 100_000, ..Sampling::default() };
    let (cancel, started) = (CancellationToken::new(), Instant::now());
    let mut stop = |_: Delta<'_>| cancel.cancel();
    let reply = ask_about(client, &Repository::task(), &long, 1, &cancel, &mut stop).await;
    let first = started.elapsed();
    let next = Instant::now();
    ask(client, &sampling(), 1).await?;
    let took = format!("after {} ms; the next reply took {} ms", first.as_millis(), next.elapsed().as_millis());
    match reply {
        Err(ModelError::Cancelled) => Ok((true, took)),
        Err(error) => Err(error.into()),
        // It was complete with its first piece.
        Ok(_) => Ok((cancel.is_cancelled(), format!("it was complete before; {took}"))),
    }
}

/// A reply may be as long as the context; that it does not fit behind the prompt is no reason to refuse.
async fn long_reply(client: &OpenAi) -> Seen {
    let reply = ask(client, &Sampling { max_tokens: 1_000_000, ..sampling() }, 1).await?;
    Ok((true, format!("{:?} after {} attempts", reply.response.stop, reply.attempts)))
}

async fn overlong(client: &OpenAi, words: usize) -> Seen {
    let messages = [Message::user("a b c d e f g h ".repeat(words.div_ceil(8)))];
    let cancel = CancellationToken::new();
    match ask_about(client, &messages, &sampling(), 1, &cancel, &mut |_| ()).await {
        Err(error @ ModelError::ContextFull { .. }) => Ok((true, error.to_string())),
        Err(error) => Err(error.into()),
        Ok(reply) => Ok((false, format!("it answers to {} tokens", reply.response.usage.prompt_tokens))),
    }
}
