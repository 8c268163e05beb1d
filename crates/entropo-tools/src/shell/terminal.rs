//! The tool with which an agent works in one shell that stays, beside jobs in the background.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use entropo_agent::{Tool, ToolError, ToolOutput};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::running::{Progress, Running};
use super::session::Session;
use super::{Shown, no_nul};
use crate::sandbox::{Command, OutputLimit, Sandbox, Signal, Status};

/// Jobs that can run at the same time.
const MAX_JOBS: usize = 16;

/// A shell whose directory, variables and functions last from call to call, and jobs in the background. Programs can be
/// given input while they run, and one that waits for input does not hold up the agent.
///
/// Its answers depend on when it is asked; where they must be the same each time, as for training, use
/// [`Shell`](super::Shell).
pub struct Terminal {
    sandbox: Arc<dyn Sandbox>,
    wait: Duration,
    idle: Duration,
    output: OutputLimit,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    session: Option<Session>,
    jobs: BTreeMap<u32, Running>,
    last_job: u32,
    sessions: u32,
}

/// What [`Terminal`] does. One of `command`, `input` and `signal`; none of them waits.
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

impl Terminal {
    /// A shell in `sandbox`, started with the first command. A call waits up to 60 s, and 10 s where nothing is printed.
    pub fn new(sandbox: Arc<dyn Sandbox>) -> Self {
        Self {
            sandbox,
            wait: Duration::from_secs(60),
            idle: Duration::from_secs(10),
            output: OutputLimit::default(),
            state: Mutex::default(),
        }
    }

    /// How long a call waits at most for what it began; also the longest that an agent can ask for.
    #[must_use]
    pub fn wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// How long a call waits where nothing is printed: as a program does that wants input.
    #[must_use]
    pub fn idle(self, idle: Duration) -> Self {
        Self { idle, ..self }
    }

    /// Limits how much of the output is shown.
    #[must_use]
    pub fn output(self, output: OutputLimit) -> Self {
        Self { output, ..self }
    }

    fn show(&self, running: &mut Running, ending: Option<String>) -> ToolOutput {
        ToolOutput::text(Shown { output: &running.take_output(), root: self.sandbox.root(), ending }.to_string())
    }

    async fn in_shell(&self, state: &mut State, ask: Ask, cancel: &CancellationToken) -> Result<ToolOutput, ToolError> {
        if state.session.is_none() {
            if !matches!(ask.what, What::Command(_)) {
                return Err(ToolError::new("Nothing runs in the shell. Give a command."));
            }
            let word = format!("entropo-{:016x}-{}", random(), state.sessions);
            state.sessions += 1;
            state.session = Some(Session::start(&*self.sandbox, word, self.output).await?);
        }
        let Some(session) = &mut state.session else { return Err(ToolError::new("There is no shell.")) };
        match &ask.what {
            What::Command(_) if session.is_busy => {
                return Err(ToolError::new(
                    "The last command still runs. Give input, wait by a call without arguments, or send a signal.",
                ));
            }
            What::Command(command) => session.begin(command).await?,
            _ if !session.is_busy => return Err(ToolError::new("Nothing runs in the shell. Give a command.")),
            What::Input(input) => session.running.send(input).await?,
            What::Signal(TerminalSignal::Interrupt) => session.interrupt().await?,
            What::Signal(TerminalSignal::Kill) => session.running.kill().await?,
            What::Wait => {}
        }
        let progress = session.wait(ask.wait, self.idle, cancel).await;
        let shown = self.show(&mut session.running, ending(progress, "the shell"));
        if matches!(progress, Progress::Ended(_)) {
            state.session = None;
        }
        Ok(shown)
    }

    async fn in_job(
        &self,
        state: &mut State,
        number: u32,
        ask: Ask,
        cancel: &CancellationToken,
    ) -> Result<ToolOutput, ToolError> {
        let numbers: Vec<String> = state.jobs.keys().map(u32::to_string).collect();
        let Some(job) = state.jobs.get_mut(&number) else {
            let there = if numbers.is_empty() { "none".to_owned() } else { numbers.join(", ") };
            return Err(ToolError::new(format!("There is no job {number}. Jobs: {there}.")));
        };
        match &ask.what {
            What::Command(_) => return Err(ToolError::new("A job takes input, not a command.")),
            What::Input(input) => job.send(input).await?,
            What::Signal(TerminalSignal::Interrupt) => job.signal(Signal::SIGINT).await?,
            What::Signal(TerminalSignal::Kill) => job.kill().await?,
            What::Wait => {}
        }
        let progress = job.wait(ask.wait, self.idle, cancel).await;
        let shown = self.show(job, ending(progress, "the job"));
        if matches!(progress, Progress::Ended(_)) {
            state.jobs.remove(&number);
        }
        Ok(shown)
    }

    async fn start_job(&self, state: &mut State, command: String) -> Result<ToolOutput, ToolError> {
        if state.jobs.len() >= MAX_JOBS {
            return Err(ToolError::new(format!("{MAX_JOBS} jobs are running already. Kill one first.")));
        }
        let command = Command::script(command).output(self.output);
        let running = Running::start(&*self.sandbox, &command, None).await?;
        state.last_job += 1;
        state.jobs.insert(state.last_job, running);
        Ok(ToolOutput::text(format!("[job {} started]", state.last_job)))
    }
}

/// What is asked, and how long it may take.
struct Ask {
    what: What,
    wait: Duration,
}

enum What {
    Command(String),
    Input(String),
    Signal(TerminalSignal),
    Wait,
}

impl TerminalArgs {
    fn what(&self) -> Result<What, ToolError> {
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

impl Tool for Terminal {
    const NAME: &'static str = "terminal";
    type Args = TerminalArgs;

    fn description(&self) -> String {
        format!(
            "Run a command in a shell that stays: its directory and variables last. A call answers when the command ends, \
             after {} s, or when nothing is printed for {} s; what still runs takes input, a signal, or another call that \
             waits.",
            self.wait.as_secs_f64(),
            self.idle.as_secs_f64()
        )
    }

    async fn call(&self, arguments: TerminalArgs, cancel: &CancellationToken) -> Result<ToolOutput, ToolError> {
        let what = arguments.what()?;
        let asked = arguments.wait.map(Duration::try_from_secs_f64).transpose();
        let asked = asked.map_err(|_| ToolError::new("wait must be a number of seconds, not negative."))?;
        let ask = Ask { what, wait: asked.unwrap_or(self.wait).min(self.wait) };
        let mut state = self.state.lock().await;
        match (arguments.job, ask.what) {
            (None, What::Command(command)) if arguments.background => self.start_job(&mut state, command).await,
            (None, what) => self.in_shell(&mut state, Ask { what, ..ask }, cancel).await,
            (Some(job), what) => self.in_job(&mut state, job, Ask { what, ..ask }, cancel).await,
        }
    }
}

/// The line for what is unusual.
fn ending(progress: Progress, what: &str) -> Option<String> {
    match progress {
        Progress::Marked(0) => None,
        Progress::Marked(code) => Some(format!("[exit status {code}]")),
        Progress::Runs => Some("[still running]".to_owned()),
        Progress::Ended(Status::Signalled(signal)) => Some(format!("[{what} was killed by signal {signal}]")),
        Progress::Ended(Status::Exited(code)) => Some(format!("[{what} ended with exit status {code}]")),
        Progress::Ended(_) => Some(format!("[{what} ended]")),
    }
}

/// A number that a command cannot guess; nothing else depends on it.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
