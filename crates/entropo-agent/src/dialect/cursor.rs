//! What the dialects have in common: text, then calls one after another to the end.

use entropo_core::{AssistantMessage, ToolCall};

use super::FormatError;

/// Longer finds are cut when they are quoted.
const QUOTE_CHARS: usize = 30;

/// A place in what a model wrote.
pub(super) struct Cursor<'a> {
    raw: &'a str,
    rest: &'a str,
    /// How a call is written, for errors.
    form: &'static str,
}

impl<'a> Cursor<'a> {
    /// The beginning of `raw`.
    pub(super) fn new(raw: &'a str, form: &'static str) -> Self {
        Self { raw, rest: raw, form }
    }

    /// What is yet to be read.
    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    /// The text before the first call, which `call` reads from its `opening` on, and the calls. None of the `inner` tags
    /// may stand in the text.
    pub(super) fn message(
        mut self,
        opening: &str,
        inner: &[&str],
        call: impl Fn(&mut Self) -> Result<ToolCall, FormatError>,
    ) -> Result<AssistantMessage, FormatError> {
        let content = self.take_until(opening).unwrap_or(self.raw);
        if let Some(tag) = inner.iter().find(|tag| content.contains(**tag)) {
            return Err(self.error(format!("There is a {tag} outside {opening}")));
        }
        let mut tool_calls = Vec::new();
        while content.len() < self.raw.len() && (tool_calls.is_empty() || !self.rest.trim().is_empty()) {
            tool_calls.push(call(&mut self)?);
        }
        Ok(AssistantMessage { content: content.trim().to_owned(), tool_calls, raw: Some(self.raw.to_owned()) })
    }

    /// Everything before the next `tag`, which comes next then.
    pub(super) fn take_until(&mut self, tag: &str) -> Option<&'a str> {
        self.skip(self.rest.find(tag)?)
    }

    /// The next `bytes`, if there are so many and they end between characters.
    pub(super) fn skip(&mut self, bytes: usize) -> Option<&'a str> {
        let (skipped, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(skipped)
    }

    /// Goes past `tag` if it comes next, white space aside.
    pub(super) fn accept(&mut self, tag: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(tag);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Goes past `tag`, which must come next, white space aside.
    pub(super) fn expect(&mut self, tag: &str) -> Result<(), FormatError> {
        if self.accept(tag) { Ok(()) } else { Err(self.expected(tag)) }
    }

    /// That something else is here than `what`.
    pub(super) fn expected(&self, what: &str) -> FormatError {
        let rest = self.rest.trim_start();
        let found = match rest.lines().next() {
            None => "the end of the reply".to_owned(),
            Some(text) => format!("{:?}", text.chars().take(QUOTE_CHARS).collect::<String>()),
        };
        self.error(format!("Line {}: {what} is expected, found {found}", self.line()))
    }

    /// An error that ends in how a call is written.
    pub(super) fn error(&self, reason: impl AsRef<str>) -> FormatError {
        FormatError::new(format!("{}; write a call as {}", reason.as_ref(), self.form))
    }

    /// The line of what comes next, white space aside, counted from 1.
    pub(super) fn line(&self) -> usize {
        let before = self.raw.len().checked_sub(self.rest.trim_start().len()).and_then(|at| self.raw.get(..at));
        before.map_or(1, |before| 1 + before.matches('\n').count())
    }
}

/// A message's text, and below it its calls as `call` writes them.
pub(super) fn render(message: &AssistantMessage, call: impl Fn(&ToolCall) -> String) -> String {
    let calls = message.tool_calls.iter().map(call);
    let content = Some(message.content.trim().to_owned()).filter(|content| !content.is_empty());
    content.into_iter().chain(calls).collect::<Vec<_>>().join("\n")
}
