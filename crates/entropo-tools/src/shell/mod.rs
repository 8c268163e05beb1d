//! The tools with which an agent runs commands: [`Shell`], where each is new, and [`Terminal`], where a shell stays.
//!
//! It shows what a terminal would, and a line in brackets only where there is something to know beyond it. The path of
//! the sandbox's root, which differs from copy to copy, is shown as `.`, so that a command prints the same in each.

mod ask;
mod keeper;
mod marker;
mod running;
mod screen;
mod session;
mod terminal;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use entropo_agent::{Tool, ToolError, ToolOutput};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::sandbox::{Command, Output, OutputLimit, Sandbox, Spill, Status};

pub use ask::{TerminalArgs, TerminalSignal};
pub use terminal::Terminal;

use screen::screen;

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

    fn ending(&self, status: Status) -> Option<String> {
        match status {
            Status::Exited(0) => None,
            Status::Exited(code) => Some(format!("[exit status {code}]")),
            status => Some(format!("[{}]", killed(status, self.timeout))),
        }
    }
}

/// How something ended that did not do so by itself.
fn killed(status: Status, timeout: Duration) -> String {
    match status {
        Status::Exited(code) => format!("ended with exit status {code}"),
        Status::Signalled(signal) => format!("killed by signal {signal}"),
        Status::TimedOut => format!("killed: timed out after {} s", timeout.as_secs_f64()),
        Status::Idle => "killed: printed nothing for too long".to_owned(),
        Status::DiskFull => "killed: the disk is almost full".to_owned(),
        Status::Cancelled => "killed: cancelled".to_owned(),
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
        let command = Command::script(no_nul("command", &arguments.command)?).timeout(self.timeout).output(self.output);
        let result = self.sandbox.exec(command, cancel).await.map_err(ToolError::new)?;
        let (output, root, ending) = (&result.output, self.sandbox.root(), self.ending(result.status));
        Ok(ToolOutput::text(Shown { output, root, ending }.to_string()))
    }
}

fn no_nul<'a>(name: &str, text: &'a str) -> Result<&'a str, ToolError> {
    if text.contains('\0') {
        Err(ToolError::new(format!("{name} must not contain a NUL character.")))
    } else {
        Ok(text)
    }
}

/// What a command printed as a terminal would show it, and a line for what is unusual.
struct Shown<'a> {
    output: &'a Output,
    /// Shown as `.`, as it differs from copy to copy.
    root: &'a Path,
    ending: Option<String>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = assembled(self.output).replace(self.root.to_string_lossy().as_ref(), ".");
        shown.truncate(shown.trim_end_matches('\n').len());
        let nothing = || shown.is_empty().then(|| "[no output]".to_owned());
        if let Some(ending) = self.ending.clone().or_else(nothing) {
            end_line(&mut shown);
            shown.push_str(&ending);
        }
        f.write_str(&shown)
    }
}

/// The output with a line in place of what was left out.
fn assembled(output: &Output) -> String {
    let mut text = screen(&output.head).into_owned();
    if output.is_truncated() {
        end_line(&mut text);
        text.push_str(&format!(
            "[… {} bytes left out{}]\n",
            output.left_out,
            output.full_output.as_ref().map_or(String::new(), where_to_read)
        ));
        text.push_str(&screen(&output.tail));
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
