//! Asking somebody whether a call may be carried out.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use entropo_core::ToolCall;
use serde_json::Value;

use super::Moment;

/// Somebody, or something, that decides about a call: a person at a terminal or a page, a second model, a policy server.
#[async_trait]
pub trait Approver: Send + Sync {
    /// Decides. It may take its time up to the patience that the agent was given; it is dropped then, and when the run
    /// ends.
    async fn answer(&self, question: &Question<'_>) -> Answer;
}

/// What an [`Approver`] is asked.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Question<'a> {
    /// Where the run stands.
    pub moment: Moment<'a>,
    /// The call.
    pub call: &'a ToolCall,
    /// Why it is asked, in the words of the hook.
    pub why: &'a str,
}

/// What an [`Approver`] decides.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// The call is carried out.
    Allow,
    /// It is carried out with these arguments.
    Rewrite(Value),
    /// It is not carried out; the model reads this.
    Refuse(String),
    /// The run ends as [`ExitReason::Stopped`](entropo_core::ExitReason::Stopped), for this reason.
    Stop(String),
}

/// Who is asked, and for how long.
#[derive(Clone, Default)]
pub(crate) struct Approval(Option<(Arc<dyn Approver>, Duration)>);

impl Approval {
    pub(crate) fn by(approver: Arc<dyn Approver>, patience: Duration) -> Self {
        Self(Some((approver, patience)))
    }

    /// Always an answer, within the patience.
    pub(crate) async fn answer(&self, question: &Question<'_>) -> Answer {
        let because = |what: &str| Answer::Refuse(format!("Not allowed: {}. {what} Do it another way.", question.why));
        match &self.0 {
            None => because("Nobody is there to approve it."),
            Some((approver, patience)) => tokio::time::timeout(*patience, approver.answer(question))
                .await
                .unwrap_or_else(|_| because("Nobody approved it in time.")),
        }
    }
}
