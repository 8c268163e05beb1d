//! One choice of a reply: tokens that become text, and text that becomes tool calls.

use entropo::agent::Dialect;
use entropo::core::ToolCall;
use entropo::train::text::{TextStream, Tokenizer, TokenizerError};

/// What opens a tool call in the dialects that entropo reads.
const CALL_OPENINGS: [&str; 2] = ["<tool_call>", "<function="];

/// The text of one choice while it is written.
///
/// Text that may turn out to be a stop string or a tool call is held back until that is decided: a client never sees
/// half of either.
#[derive(Debug)]
pub struct Reply {
    text: TextStream,
    raw: String,
    /// Bytes of `raw` that were told.
    told: usize,
    stops: Vec<String>,
    /// Whether tool calls are looked for.
    calls: bool,
}

/// What a reply came to.
#[derive(Debug, Default, PartialEq)]
pub struct Finished {
    /// Text outside tool calls.
    pub content: String,
    /// The part of `content` that was not told before.
    pub rest: String,
    /// The calls.
    pub tool_calls: Vec<ToolCall>,
}

impl Reply {
    /// An empty reply that ends at one of `stops`; tool calls are looked for if tools were offered.
    pub fn new(stops: Vec<String>, tools_offered: bool) -> Self {
        let stops = stops.into_iter().filter(|stop| !stop.is_empty()).collect();
        Self { text: TextStream::default(), raw: String::new(), told: 0, stops, calls: tools_offered }
    }

    /// Takes a token; returns the text that can be told now.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> Result<String, TokenizerError> {
        self.raw += &self.text.push(tokenizer, id)?;
        Ok(self.tell(self.decided()))
    }

    /// Ends the reply.
    pub fn finish(mut self, tokenizer: &Tokenizer, dialect: &dyn Dialect) -> Result<Finished, TokenizerError> {
        let text = std::mem::take(&mut self.text);
        self.raw += &text.finish(tokenizer)?;
        let stop = self.stops.iter().filter_map(|stop| self.raw.find(stop)).min();
        self.raw.truncate(stop.unwrap_or(self.raw.len()));
        if self.calls && let (message, None) = dialect.read(&self.raw) && !message.tool_calls.is_empty() {
            let opening = self.opening().unwrap_or(self.raw.len());
            let rest = self.tell(opening).trim_end().to_owned();
            return Ok(Finished { content: message.content, rest, tool_calls: message.tool_calls });
        }
        let rest = self.tell(self.raw.len());
        Ok(Finished { content: self.raw, rest, tool_calls: Vec::new() })
    }

    fn tell(&mut self, until: usize) -> String {
        let told = self.raw.get(self.told..until).unwrap_or_default().to_owned();
        self.told += told.len();
        told
    }

    /// Where a tool call may begin.
    fn opening(&self) -> Option<usize> {
        CALL_OPENINGS.iter().filter(|_| self.calls).filter_map(|opening| self.raw.find(opening)).min()
    }

    /// Up to where the text is neither a stop string nor a tool call, nor the beginning of one.
    fn decided(&self) -> usize {
        let openings = CALL_OPENINGS.iter().copied().filter(|_| self.calls);
        let markers: Vec<&str> = self.stops.iter().map(String::as_str).chain(openings).collect();
        let whole = markers.iter().filter_map(|marker| self.raw.find(marker));
        let begun = markers.iter().filter_map(|marker| {
            let ends = (1..marker.len()).rev().filter_map(|length| marker.get(..length));
            ends.filter(|beginning| self.raw.ends_with(beginning)).map(|b| self.raw.len() - b.len()).next()
        });
        whole.chain(begun).min().unwrap_or(self.raw.len())
    }
}
