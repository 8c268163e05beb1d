//! What a chat template wrote.

use std::ops::Range;

/// A rendered conversation, with what is known about its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// What the assistant wrote, in ascending bytes.
    pub assistant_spans: Vec<Range<usize>>,
    /// Where to cut the text before tokenising, in ascending bytes: inside look-alikes in content, so that they stay
    /// text.
    pub cuts: Vec<usize>,
}

impl Rendered {
    /// The text from byte `start` on.
    pub(super) fn tail(&self, start: usize) -> Self {
        let spans = self.assistant_spans.iter().filter(|span| span.end > start);
        Self {
            text: self.text.get(start..).unwrap_or_default().to_owned(),
            assistant_spans: spans.map(|span| span.start.saturating_sub(start)..span.end - start).collect(),
            cuts: self.cuts.iter().filter(|&&cut| cut > start).map(|cut| cut - start).collect(),
        }
    }

    /// Cuts the text at the ends of everything that the assistant wrote too.
    pub(super) fn cut_at_spans(&mut self) {
        let (length, spans) = (self.text.len(), &self.assistant_spans);
        let ends = spans.iter().flat_map(|span| [span.start, span.end]).filter(|&end| 0 < end && end < length);
        self.cuts.extend(ends);
        self.cuts.sort_unstable();
        self.cuts.dedup();
    }
}
