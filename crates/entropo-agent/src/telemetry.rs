//! What an agent traces.
//!
//! Each rollout is a `tracing` span, each model call and each tool call a span in it, named and described as OpenTelemetry's
//! semantic conventions for generative AI want it (`gen_ai.operation.name`, `gen_ai.request.model`,
//! `gen_ai.usage.input_tokens`, `gen_ai.tool.name` and so on). A subscriber like `tracing-opentelemetry` sends them wherever
//! other spans go; see `examples/otel.rs`. A client of a model server adds a span `request` below the model call, with the
//! server's address and name for the reply and the number of attempts. Without a subscriber they cost next to nothing.
//!
//! What was said stays out of them unless [`Agent::trace_contents`](crate::Agent::trace_contents) puts it in: prompts, replies
//! and answers of tools may hold what a log must not.

use entropo_core::{RolloutId, ToolCall, ToolResult, Trajectory};
use tracing::field::{Empty, display};
use tracing::{Span, info_span};

use crate::model::{ChatRequest, ChatResponse, ModelError, StopReason};

/// The span of a rollout.
pub(crate) fn invoke_agent(model: &str, rollout: &RolloutId) -> Span {
    info_span!(
        "invoke_agent",
        otel.kind = "internal",
        otel.status_code = Empty,
        gen_ai.operation.name = "invoke_agent",
        gen_ai.agent.name = "entropo",
        gen_ai.conversation.id = %rollout,
        gen_ai.request.model = model,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        entropo.exit = Empty,
        error.r#type = Empty,
    )
}

pub(crate) fn invoked(span: &Span, trajectory: &Trajectory) {
    span.record("gen_ai.usage.input_tokens", int(trajectory.usage.prompt_tokens));
    span.record("gen_ai.usage.output_tokens", int(trajectory.usage.completion_tokens));
    span.record("entropo.exit", format!("{:?}", trajectory.exit));
    if trajectory.error.is_some() {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", format!("{:?}", trajectory.exit));
    }
}

/// The span of a model call.
pub(crate) fn chat(model: &str, request: &ChatRequest<'_>, contents: bool) -> Span {
    let span = info_span!(
        "chat",
        otel.name = format!("chat {model}"),
        otel.kind = "internal",
        otel.status_code = Empty,
        gen_ai.operation.name = "chat",
        gen_ai.request.model = model,
        gen_ai.request.temperature = f64::from(request.sampling.temperature),
        gen_ai.request.top_p = f64::from(request.sampling.top_p),
        gen_ai.request.max_tokens = int(request.sampling.max_tokens),
        gen_ai.request.seed = request.seed.cast_signed(),
        gen_ai.response.finish_reasons = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.input.messages = Empty,
        gen_ai.output.messages = Empty,
        error.r#type = Empty,
    );
    if contents && !span.is_disabled() {
        span.record("gen_ai.input.messages", display(json(&request.messages)));
    }
    span
}

pub(crate) fn chatted(span: &Span, reply: Result<&ChatResponse, &ModelError>, contents: bool) {
    match reply {
        Ok(response) => {
            let reason = match response.stop {
                StopReason::MaxTokens | StopReason::Context => "length",
                StopReason::Filtered => "content_filter",
                StopReason::EndOfTurn if response.message.tool_calls.is_empty() => "stop",
                StopReason::EndOfTurn => "tool_call",
            };
            span.record("gen_ai.response.finish_reasons", reason);
            span.record("gen_ai.usage.input_tokens", int(response.usage.prompt_tokens));
            span.record("gen_ai.usage.output_tokens", int(response.usage.completion_tokens));
            if contents && !span.is_disabled() {
                span.record("gen_ai.output.messages", display(json(&response.message)));
            }
        }
        Err(error) => {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", error.kind());
        }
    }
}

/// The span of a tool call.
pub(crate) fn execute_tool(call: &ToolCall, contents: bool) -> Span {
    let span = info_span!(
        "execute_tool",
        otel.name = format!("execute_tool {}", call.name),
        otel.kind = "internal",
        otel.status_code = Empty,
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.name = call.name,
        gen_ai.tool.call.id = call.id,
        gen_ai.tool.r#type = "function",
        gen_ai.tool.call.arguments = Empty,
        gen_ai.tool.call.result = Empty,
        error.r#type = Empty,
    );
    if contents && !span.is_disabled() {
        span.record("gen_ai.tool.call.arguments", display(&call.arguments));
    }
    span
}

pub(crate) fn executed(span: &Span, result: &ToolResult, contents: bool) {
    if result.status.is_bad() {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", format!("{:?}", result.status));
    }
    if contents && !span.is_disabled() {
        span.record("gen_ai.tool.call.result", display(&result.content));
    }
}

/// A count as OpenTelemetry has it: its integers have signs, and what has none becomes a text there.
fn int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
