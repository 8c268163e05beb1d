//! What the server, or the model behind it, does wrong, and when.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use entropo_agent::turn_seed;
use serde_json::{Value, json};

use crate::server::{Act, Asked, delta, end, events, head, json_body, pieces, send};

/// One way to break a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    Truncated,
    NoText,
    HalfJson,
    ErrorInside,
    Unauthorised,
    Limited,
    LimitedForADay,
    Broken,
    ResetBefore,
    ResetWithin,
    Endless,
    Silent,
    TooLarge,
    SameIds,
    WrongArguments,
    ArgumentsNoJson,
    UnknownTool,
    NoTools,
    ToolPanics,
    ToolNeverReturns,
    ChildNeverReturns,
    LastOfTwoNeverReturns,
}

impl Fault {
    pub(crate) const ALL: [Self; 22] = [
        Self::Truncated,
        Self::NoText,
        Self::HalfJson,
        Self::ErrorInside,
        Self::Unauthorised,
        Self::Limited,
        Self::LimitedForADay,
        Self::Broken,
        Self::ResetBefore,
        Self::ResetWithin,
        Self::Endless,
        Self::Silent,
        Self::TooLarge,
        Self::SameIds,
        Self::WrongArguments,
        Self::ArgumentsNoJson,
        Self::UnknownTool,
        Self::NoTools,
        Self::ToolPanics,
        Self::ToolNeverReturns,
        Self::ChildNeverReturns,
        Self::LastOfTwoNeverReturns,
    ];
}

/// Which request is broken how: what a rollout meets depends on its number, its turn and the attempt, not on others.
#[derive(Default)]
pub(crate) struct Plan {
    attempts: Mutex<HashMap<(u64, usize), usize>>,
    made: Mutex<BTreeMap<Fault, usize>>,
}

impl Plan {
    /// The answer to a request.
    pub(crate) fn acts(&self, asked: &Asked) -> Vec<Act> {
        let messages = asked.body["messages"].as_array().unwrap();
        let rollout: u64 = messages[1]["content"].as_str().unwrap().strip_prefix("task ").unwrap().parse().unwrap();
        let turn = messages.iter().filter(|message| message["role"] == "assistant").count();
        let streams = asked.body["stream"] == true;
        let attempt = {
            let mut attempts = self.attempts.lock().unwrap();
            let attempt = attempts.entry((rollout, turn)).or_default();
            *attempt += 1;
            *attempt
        };
        let random = turn_seed(turn_seed(rollout, turn), attempt);
        if random % 10 < 3 {
            let fault = Fault::ALL[(random / 10) as usize % Fault::ALL.len()];
            *self.made.lock().unwrap().entry(fault).or_default() += 1;
            return broken(fault, streams);
        }
        let steps = 2 + rollout as usize % 4;
        if turn < steps {
            replying(streams, &[("x", "note", json!({"text": format!("{turn}")}).to_string())])
        } else {
            replying(streams, &[("x", "finish", "{}".to_owned())])
        }
    }

    /// How often each fault was made.
    pub(crate) fn made(&self) -> BTreeMap<Fault, usize> {
        self.made.lock().unwrap().clone()
    }
}

fn broken(fault: Fault, streams: bool) -> Vec<Act> {
    let text = if streams { "text/event-stream" } else { "application/json" };
    let hm = pieces(&[delta(json!({"content": "Hm"}))]);
    let started = |more: Act| vec![head(200, text, ""), send(if streams { &hm } else { "{\"choices\": [" }), more];
    let refused = |status: u16, more: &str| vec![head(status, "text/plain", more), send("No.")];
    let calling = |calls: &[(&str, &str, &str)]| {
        let calls: Vec<_> = calls.iter().map(|(id, name, arguments)| (*id, *name, (*arguments).to_owned())).collect();
        replying(streams, &calls)
    };
    let note = "{\"text\": \"x\"}";
    match fault {
        Fault::Truncated if streams => started(send(&pieces(&[call(0, "x", "note", note)]))),
        Fault::Truncated => vec![head(200, text, "content-length: 999\r\n"), send("{\"choices\": [")],
        Fault::NoText => started(Act::Send(b"data: {\"choices\": \xff\xfe\n\n".to_vec())),
        Fault::HalfJson if streams => started(send("data: {\"choices\": [{\"delta\":\n\n")),
        Fault::HalfJson => started(send("{\"message\":")),
        Fault::ErrorInside => {
            let error = json!({"error": {"message": "Overloaded", "code": 503}});
            if streams { started(send(&pieces(&[error]))) } else { json_body(200, &error) }
        }
        Fault::Unauthorised => refused(401, ""),
        Fault::Limited => refused(429, "retry-after: 0\r\n"),
        Fault::LimitedForADay => refused(429, "retry-after: 86400\r\n"),
        Fault::Broken => refused(500, ""),
        Fault::ResetBefore => vec![Act::Reset],
        Fault::ResetWithin => started(Act::Reset),
        Fault::Endless => started(Act::Repeat(if streams { hm.repeat(100) } else { " ".repeat(4096) }.into_bytes())),
        Fault::Silent => started(Act::Hang),
        Fault::TooLarge => calling(&[("x", "note", &json!({"text": "x".repeat(1 << 20)}).to_string())]),
        Fault::SameIds => calling(&[("x", "note", note), ("x", "note", "{\"text\": \"y\"}")]),
        Fault::WrongArguments => calling(&[("x", "note", "{\"text\": [1], \"times\": -1}")]),
        Fault::ArgumentsNoJson => calling(&[("x", "note", "{\"text\": ")]),
        Fault::UnknownTool => calling(&[("x", "ntoe", note)]),
        Fault::NoTools => calling(&[]),
        Fault::ToolPanics => calling(&[("x", "panic", "{}")]),
        Fault::ToolNeverReturns => calling(&[("x", "wait", "{}")]),
        Fault::ChildNeverReturns => calling(&[("x", "sleep", "{}")]),
        Fault::LastOfTwoNeverReturns => calling(&[("x", "note", note), ("y", "wait", "{}")]),
    }
}

/// A complete reply.
fn replying(streams: bool, calls: &[(&str, &str, String)]) -> Vec<Act> {
    let reason = if calls.is_empty() { "stop" } else { "tool_calls" };
    if streams {
        let calls = calls.iter().enumerate();
        let mut told = vec![delta(json!({"content": "Well."}))];
        told.extend(calls.map(|(index, (id, name, arguments))| call(index, id, name, arguments)));
        told.push(end(reason));
        return events(&(pieces(&told) + "data: [DONE]\n\n"));
    }
    let calls = calls.iter().map(|(id, name, arguments)| {
        json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
    });
    let message = json!({"role": "assistant", "content": "Well.", "tool_calls": calls.collect::<Vec<_>>()});
    json_body(200, &json!({"choices": [{"index": 0, "message": message, "finish_reason": reason}]}))
}

fn call(index: usize, id: &str, name: &str, arguments: &str) -> Value {
    let call = json!({"index": index, "id": id, "function": {"name": name, "arguments": arguments}});
    delta(json!({"tool_calls": [call]}))
}
