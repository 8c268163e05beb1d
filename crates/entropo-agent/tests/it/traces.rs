//! The spans of a rollout, as OpenTelemetry's conventions name them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use entropo_core::ExitReason;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::{call, note, run, scripted};

/// Keeps the fields of every span by its name and number.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Span>>>);

type Span = (&'static str, BTreeMap<String, String>);

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

impl Subscriber for Spans {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut spans = self.0.lock().unwrap();
        let mut fields = BTreeMap::new();
        span.record(&mut Fields(&mut fields));
        spans.push((span.metadata().name(), fields));
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut spans = self.0.lock().unwrap();
        values.record(&mut Fields(&mut spans[span.into_u64() as usize - 1].1));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

async fn traced(contents: bool) -> Vec<Span> {
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(spans.clone());
    let agent = scripted(vec![note("a secret"), call("fail"), call("finish")]).trace_contents(contents);
    assert_eq!(run(&agent).await.exit, ExitReason::Agent);
    spans.0.lock().unwrap().clone()
}

#[tokio::test]
async fn spans_are_named_and_described_by_convention_and_keep_contents_to_themselves() {
    let spans = traced(false).await;
    let names: Vec<_> = spans.iter().map(|(name, _)| *name).collect();
    let step = ["chat", "execute_tool"];
    assert_eq!(names, [&["invoke_agent"][..], &step, &step, &step].concat());
    let field = |span: usize, name: &str| spans[span].1.get(name).map(String::as_str);
    assert_eq!(field(0, "gen_ai.conversation.id"), Some("task#0"));
    assert_eq!(field(0, "entropo.exit"), Some("Agent"));
    assert_eq!(field(1, "gen_ai.operation.name"), Some("chat"));
    assert_eq!(field(1, "otel.name"), Some("chat scripted"));
    assert_eq!(field(1, "gen_ai.response.finish_reasons"), Some("tool_call"));
    assert_eq!(field(2, "gen_ai.tool.name"), Some("note"));
    assert_eq!(field(2, "gen_ai.tool.call.id"), Some("call_0_0"));
    assert_eq!(field(2, "otel.status_code"), None);
    assert_eq!(field(4, "otel.status_code"), Some("ERROR"));
    assert_eq!(field(4, "error.type"), Some("Failed"));
    assert!(!format!("{spans:?}").contains("a secret"));
}

#[tokio::test]
async fn contents_are_traced_if_that_is_wanted() {
    let spans = traced(true).await;
    assert_eq!(spans[2].1["gen_ai.tool.call.result"], "a secret");
    assert!(spans[1].1["gen_ai.input.messages"].contains("Work."));
    assert!(spans[1].1["gen_ai.output.messages"].contains("a secret"));
}
