//! What can happen to a run, as data.
//!
//! A [`Run`](super::Run) is what its facts make of it, one after the other. A journal that holds them is the run itself: it
//! can be taken up again, or a copy of it from any point on.

use entropo_core::{ExitReason, Replacement, ToolResult, Usage};
use serde::{Deserialize, Serialize};

use crate::model::ChatResponse;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fact {
    /// The model replied.
    Replied {
        /// The reply. The prompt's tokens are those after the first `continued`.
        response: ChatResponse,
        /// How many tokens of the last context begin the prompt, so that a journal grows with the conversation and not with
        /// its square.
        #[serde(default)]
        continued: usize,
    },
    /// A call is being carried out.
    Started {
        /// Its id.
        call_id: String,
    },
    /// A call was answered.
    Returned {
        /// The answer.
        result: ToolResult,
    },
    /// The model reads a shorter context from now on.
    Condensed {
        /// What stands in for what.
        replacements: Vec<Replacement>,
        /// What it took to make them.
        usage: Usage,
    },
    /// Somebody said something to the agent; it goes on, if it was done.
    Said {
        /// The words.
        content: String,
    },
    /// The process that drove the run is gone. What it had started may have been carried out in part.
    Interrupted,
    /// The run ended for a reason outside of it.
    Ended {
        /// Why.
        exit: ExitReason,
        /// What went wrong, if something did.
        error: Option<String>,
    },
}
