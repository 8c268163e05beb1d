//! The text of one choice while it is written.

use entropo::agent::Dialect;
use entropo::core::ToolCall;

/// Decides what of a reply can be told already.
///
/// Text that may turn out to be a stop string or a tool call is held back until that is decided: a client never sees
/// half of either, and what was told is never taken back.
#[derive(Debug, Default)]
pub struct Reply {
    raw: String,
    /// Bytes of `raw` that were told.
    told: usize,
    stops: Vec<String>,
    /// What opens a tool call, if one may be made.
    call: Option<&'static str>,
}

/// What is left to tell at the end.
#[derive(Debug, Default, PartialEq)]
pub struct Finished {
    /// Text.
    pub rest: String,
    /// The calls.
    pub tool_calls: Vec<ToolCall>,
}

impl Reply {
    /// An empty reply that ends at one of `stops`, and in which `call` opens a tool call.
    pub fn new(stops: &[String], call: Option<&'static str>) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self { raw: String::new(), told: 0, stops, call }
    }

    /// Takes what was written next; returns what can be told now.
    pub fn push(&mut self, text: &str) -> String {
        self.raw += text;
        self.tell(self.decided())
    }

    /// Ends the reply before the first stop string. Calls that cannot be read are text.
    pub fn finish(mut self, dialect: &dyn Dialect) -> Finished {
        let stop = self.stops.iter().filter_map(|stop| self.find(stop)).min();
        self.raw.truncate(stop.unwrap_or(self.raw.len()));
        let mut tool_calls = Vec::new();
        if let Some(opening) = self.call.and_then(|call| self.find(call)) {
            tool_calls = dialect.read(&self.raw).0.tool_calls;
            if !tool_calls.is_empty() {
                self.raw.truncate(self.words(opening));
            }
        }
        Finished { rest: self.tell(self.raw.len()), tool_calls }
    }

    fn tell(&mut self, until: usize) -> String {
        let told = self.raw.get(self.told..until).unwrap_or_default().to_owned();
        self.told += told.len();
        told
    }

    /// Where `marker` begins; never in what was told.
    fn find(&self, marker: &str) -> Option<usize> {
        self.raw.get(self.told..)?.find(marker).map(|at| self.told + at)
    }

    /// Up to where the text before `end` has words: white space before a call belongs to neither.
    fn words(&self, end: usize) -> usize {
        self.raw.get(self.told..end).map_or(end, |text| self.told + text.trim_end().len())
    }

    /// Up to where the text is no stop string or tool call, nor the beginning of one.
    fn decided(&self) -> usize {
        let markers = self.stops.iter().map(String::as_str).chain(self.call);
        let end = markers.filter_map(|marker| self.find(marker).or_else(|| self.begun(marker))).min();
        let end = end.unwrap_or(self.raw.len());
        if self.call.is_some() { self.words(end) } else { end }
    }

    /// Where `marker` begins if the text ends within it.
    fn begun(&self, marker: &str) -> Option<usize> {
        let untold = self.raw.get(self.told..)?;
        let begins = |length: &usize| marker.get(..*length).is_some_and(|beginning| untold.ends_with(beginning));
        (1..marker.len()).rev().find(begins).map(|length| self.raw.len() - length)
    }
}

#[cfg(test)]
mod tests {
    use entropo::agent::dialect::{Hermes, Xml};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const XML: &str = "<tool_call>\n<function=f>\n<parameter=x>\n1\n</parameter>\n</function>\n</tool_call>";
    const HERMES: &str = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": \"1\"}}\n</tool_call>";

    fn stops(stops: &[&str]) -> Vec<String> {
        stops.iter().map(|&stop| stop.to_owned()).collect()
    }

    #[test]
    fn a_call_is_no_text() {
        for (dialect, written) in [(&Xml as &dyn Dialect, XML), (&Hermes, HERMES)] {
            let mut reply = Reply::new(&[], Some(dialect.opening()));
            let told = ["I look", ".\n", "<", "tool_", &written[6..]].map(|piece| reply.push(piece));
            assert_eq!(told, ["I look", ".", "", "", ""]);
            let Finished { rest, tool_calls } = reply.finish(dialect);
            assert_eq!((rest.as_str(), tool_calls.len()), ("", 1));
            assert_eq!((tool_calls[0].name.as_str(), &tool_calls[0].arguments), ("f", &json!({"x": "1"})));
        }
    }

    #[test]
    fn half_a_call_is_text_at_the_end() {
        let mut reply = Reply::new(&[], Some("<tool_call>"));
        assert_eq!(reply.push("Look.\n<tool_call>\n<function="), "Look.");
        let finished = reply.finish(&Xml);
        assert_eq!(finished, Finished { rest: "\n<tool_call>\n<function=".to_owned(), tool_calls: Vec::new() });
    }

    #[test]
    fn without_tools_a_call_is_text() {
        let mut reply = Reply::new(&[], None);
        assert_eq!(reply.push(XML), XML);
        assert_eq!(reply.finish(&Xml), Finished::default());
    }

    #[test]
    fn a_reply_ends_before_the_first_stop_string() {
        let mut reply = Reply::new(&stops(&["", "END", "\n\n"]), None);
        assert_eq!(reply.push("a\nE"), "a\n");
        assert_eq!(reply.push("N\n"), "EN");
        assert_eq!(reply.push("\nEND"), "");
        assert_eq!(reply.finish(&Xml).rest, "");
    }

    fn pieces() -> impl Strategy<Value = Vec<String>> {
        let marker = prop::sample::select(vec![
            "<tool_call>",
            "<tool_",
            "call>",
            "<",
            "END",
            "E",
            "ND",
            "é",
            "a",
            " ",
            "\n",
            XML,
            HERMES,
        ]);
        prop::collection::vec(prop_oneof![4 => marker.prop_map(str::to_owned), 1 => ".{0,4}"], 0..12)
    }

    proptest! {
        #[test]
        fn what_is_told_does_not_depend_on_the_pieces(pieces in pieces(), tools: bool, stop: bool) {
            let stops = if stop { stops(&["END", "é<"]) } else { Vec::new() };
            let new = || Reply::new(&stops, tools.then_some("<tool_call>"));
            let raw = pieces.concat();
            let (mut whole, mut parts, mut told) = (new(), new(), String::new());
            let expected = whole.push(&raw) + &whole.finish(&Xml).rest;
            for piece in &pieces {
                told += &parts.push(piece);
            }
            let Finished { rest, tool_calls } = parts.finish(&Xml);
            prop_assert_eq!(&(told.clone() + &rest), &expected);
            prop_assert!(raw.starts_with(&expected));
            for stop in &stops {
                prop_assert!(!expected.contains(stop.as_str()));
            }
            prop_assert!(tool_calls.is_empty() || !expected.contains("<tool_call>"));
            prop_assert!(!tools || !told.contains("<tool_call>"));
        }

        #[test]
        fn nothing_is_held_back_without_reason(pieces in pieces()) {
            let mut reply = Reply::new(&stops(&["END"]), None);
            let (mut raw, mut told) = (String::new(), String::new());
            for piece in &pieces {
                raw += piece;
                told += &reply.push(piece);
                let due = raw.find("END").unwrap_or(raw.trim_end_matches("EN").trim_end_matches('E').len());
                prop_assert!(told.len() >= due, "{raw:?} {told:?}");
            }
        }
    }
}
