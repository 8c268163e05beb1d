use serde::Serialize;

/// A piece of a reply that is being written. Pieces are provisional until the reply is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Delta<'a> {
    /// More of the text.
    Text(&'a str),
    /// More of the reasoning that precedes the text.
    Reasoning(&'a str),
    /// More of a tool call.
    ToolCall {
        /// Which call of the reply, counted from 0.
        index: usize,
        /// The tool's name, with the first piece of the call.
        name: Option<&'a str>,
        /// More of the arguments, as JSON text.
        arguments: &'a str,
    },
    /// The reply broke off and is asked for again: forget the pieces told so far.
    Restart,
}
