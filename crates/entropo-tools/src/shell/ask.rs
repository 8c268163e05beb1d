//! What an agent can ask of a [`Terminal`](super::Terminal).

use std::time::Duration;

use entropo_agent::ToolError;
use schemars::JsonSchema;
use serde::Deserialize;

use super::no_nul;

/// What [`Terminal`](super::Terminal) does. One of `command`, `input` and `signal`; none of them waits.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "")]
pub struct TerminalArgs {
    /// A command for the shell.
    #[serde(default)]
    pub command: Option<String>,
    /// Runs the command as a job, and answers at once.
    #[serde(default)]
    pub background: bool,
    /// Text for what runs, with \n where Enter is pressed.
    #[serde(default)]
    pub input: Option<String>,
    /// Sent to what runs.
    #[serde(default)]
    pub signal: Option<TerminalSignal>,
    /// The job that is meant, in place of the shell.
    #[serde(default)]
    pub job: Option<u32>,
    /// Seconds to wait at most.
    #[serde(default)]
    pub wait: Option<f64>,
}

/// A signal of [`TerminalArgs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(description = "")]
pub enum TerminalSignal {
    /// As Ctrl-C.
    Interrupt,
    /// Ends it, whatever it does. A shell that is killed is replaced by a new one.
    Kill,
}

/// What is asked, and how long it may take.
pub(super) struct Ask {
    pub(super) what: What,
    pub(super) wait: Duration,
}

pub(super) enum What {
    Command(String),
    Input(String),
    Signal(TerminalSignal),
    Wait,
}

impl TerminalArgs {
    pub(super) fn what(&self) -> Result<What, ToolError> {
        let what = match (&self.command, &self.input, self.signal) {
            (Some(command), None, None) if command.trim().is_empty() => {
                return Err(ToolError::new("command must not be empty."));
            }
            (Some(command), None, None) => What::Command(no_nul("command", command)?.to_owned()),
            (None, Some(input), None) => What::Input(input.clone()),
            (None, None, Some(signal)) => What::Signal(signal),
            (None, None, None) => What::Wait,
            _ => return Err(ToolError::new("Give only one of command, input and signal.")),
        };
        if self.background && !matches!((&what, self.job), (What::Command(_), None)) {
            return Err(ToolError::new("background is for a command, without job."));
        }
        Ok(what)
    }
}
