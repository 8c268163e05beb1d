//! The tool with which an agent runs commands.
//!
//! It shows what a terminal would, and a line in brackets only where there is something to know beyond it. The path of
//! the sandbox's root, which differs from copy to copy, is shown as `.`, so that a command prints the same in each.

use std::sync::Arc;
use std::time::Duration;

use entropo_agent::{Tool, ToolError, ToolOutput};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::sandbox::{Command, ExecResult, Output, OutputLimit, Sandbox, Spill, Status};

/// Runs shell commands in a sandbox.
pub struct Shell {
    sandbox: Arc<dyn Sandbox>,
    timeout: Duration,
    output: OutputLimit,
}

/// What [`Shell`] runs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "")]
pub struct ShellArgs {
    /// The command, for sh.
    pub command: String,
}

impl Shell {
    /// A shell in `sandbox`, with the limits a [`Command`] has by itself.
    pub fn new(sandbox: Arc<dyn Sandbox>) -> Self {
        Self { sandbox, timeout: Command::DEFAULT_TIMEOUT, output: OutputLimit::default() }
    }

    /// Limits how long a command may run.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Limits how much of a command's output is shown.
    #[must_use]
    pub fn output(mut self, limit: OutputLimit) -> Self {
        self.output = limit;
        self
    }

    fn show(&self, result: &ExecResult) -> String {
        let root = self.sandbox.root().to_string_lossy();
        let mut shown = assembled(&result.output).replace(root.as_ref(), ".");
        shown.truncate(shown.trim_end_matches('\n').len());
        let ending = match result.status {
            Status::Exited(0) if shown.is_empty() => "[no output]".to_owned(),
            Status::Exited(0) => return shown,
            Status::Exited(code) => format!("[exit status {code}]"),
            Status::Signalled(signal) => format!("[killed by signal {signal}]"),
            Status::TimedOut => format!("[killed: timed out after {} s]", self.timeout.as_secs_f64()),
            Status::Idle => "[killed: printed nothing for too long]".to_owned(),
            Status::DiskFull => "[killed: the disk is almost full]".to_owned(),
            Status::Cancelled => "[killed: cancelled]".to_owned(),
        };
        end_line(&mut shown);
        shown.push_str(&ending);
        shown
    }
}

impl Tool for Shell {
    const NAME: &'static str = "shell";
    type Args = ShellArgs;

    fn description(&self) -> String {
        format!(
            "Run a command with sh in the workspace. Each call is a new shell without input, for at most {} s.",
            self.timeout.as_secs_f64()
        )
    }

    async fn call(&self, arguments: ShellArgs, cancel: &CancellationToken) -> Result<ToolOutput, ToolError> {
        if arguments.command.trim().is_empty() {
            return Err(ToolError::new("command must not be empty."));
        }
        if arguments.command.contains('\0') {
            return Err(ToolError::new("command must not contain a NUL character."));
        }
        let command = Command::script(arguments.command).timeout(self.timeout).output(self.output);
        let result = self.sandbox.exec(command, cancel).await.map_err(ToolError::new)?;
        Ok(ToolOutput::text(self.show(&result)))
    }
}

/// The output with a line in place of what was left out.
fn assembled(output: &Output) -> String {
    let mut text = output.head.clone();
    if output.is_truncated() {
        end_line(&mut text);
        text.push_str(&format!(
            "[… {} bytes left out{}]\n",
            output.left_out,
            output.full_output.as_ref().map_or(String::new(), where_to_read)
        ));
        text.push_str(&output.tail);
    }
    text
}

/// How a later command can read what was left out.
fn where_to_read(spill: &Spill) -> String {
    let name = spill.path.file_name().unwrap_or_default().to_string_lossy();
    let what = if spill.complete { "full output" } else { "first part" };
    format!("; {what} in the file $TMPDIR/{name}")
}

fn end_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}
