//! A shell that stays: directory, variables and functions last from one command to the next.
//!
//! It runs a loop that reads one line for each command, which is the command in an encoding without line ends, and prints a
//! sign with the exit status after it. Commands read from the same input as the loop, so that what is sent while one runs
//! goes to that one; what it leaves is no line of the loop's and is passed over.
//!
//! A command runs in the shell itself, and so can turn it against its tool: replace what the loop calls, close its input or
//! output, or print the sign itself. That spoils this shell and no other; when it is killed, the next command gets a new one.

use std::time::Duration;

use entropo_agent::ToolError;
use tokio_util::sync::CancellationToken;

use super::marker::Marker;
use super::running::{Progress, Running};
use crate::sandbox::{Command, OutputLimit, Sandbox, Signal};

/// A shell, and whether it is at work.
pub(super) struct Session {
    pub(super) running: Running,
    word: String,
    /// Commands begun so far, the number of the last.
    commands: u32,
    pub(super) is_busy: bool,
}

impl Session {
    /// Starts a shell: bash where there is one, else sh.
    pub(super) async fn start(sandbox: &dyn Sandbox, word: String, output: OutputLimit) -> Result<Self, ToolError> {
        let body = format!(
            "unset ENTROPO_BODY
            trap : INT
            while IFS= read -r entropo_line; do
            case $entropo_line in '{word} '*) ;; *) continue ;; esac
            entropo_line=${{entropo_line#'{word} '}}
            command eval \"$(command printf '%b' \"${{entropo_line#* }}\")\"
            command printf '\\036{word} %s %s\\n' \"${{entropo_line%% *}}\" \"$?\"
            done"
        );
        let script = "if command -v bash >/dev/null 2>&1; then exec bash --noprofile --norc -c \"$BODY\"; fi; exec sh -c \"$BODY\"";
        let command =
            Command::script(script.replace("$BODY", "${ENTROPO_BODY}")).env("ENTROPO_BODY", body).output(output);
        let running = Running::start(sandbox, &command, Some(Marker::new(&word))).await?;
        Ok(Self { running, word, commands: 0, is_busy: false })
    }

    /// Begins a command, which must end within this time.
    pub(super) async fn begin(&mut self, command: &str, within: Duration) -> Result<(), ToolError> {
        self.commands = self.commands.wrapping_add(1);
        self.running.expect(self.commands);
        self.running.must_end(within);
        let line = format!("{} {} {}\n", self.word, self.commands, encoded(command));
        self.running.send(&line).await?;
        self.is_busy = true;
        Ok(())
    }

    pub(super) async fn wait(&mut self, wait: Duration, idle: Duration, cancel: &CancellationToken) -> Progress {
        let progress = self.running.wait(wait, idle, cancel).await;
        self.is_busy = progress == Progress::Runs;
        progress
    }

    /// Interrupts the command that runs, as Ctrl-C does.
    pub(super) async fn interrupt(&mut self) -> Result<(), ToolError> {
        self.running.signal(Signal::SIGINT).await
    }
}

/// For `printf %b`: letters and digits as they are, all other bytes by number.
fn encoded(command: &str) -> String {
    let mut line = String::with_capacity(command.len() * 2);
    for byte in command.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() => line.push(char::from(byte)),
            byte => line.push_str(&format!("\\0{byte:03o}")),
        }
    }
    line
}
