//! The tool with which an agent works in one shell that stays, beside jobs in the background.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use entropo_agent::{Tool, ToolError, ToolOutput};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::ask::{Ask, TerminalArgs, TerminalSignal, What};
use super::running::{Progress, Running};
use super::session::Session;
use super::{Shown, killed};
use crate::sandbox::{Command, OutputLimit, Sandbox, Signal, Status};

/// Jobs that can run at the same time.
const MAX_JOBS: usize = 16;

/// A shell whose directory, variables and functions last from call to call, and jobs in the background. Programs can be
/// given input while they run, and one that waits for input does not hold up the agent.
///
/// What runs is ended with all its children where it takes too long ([`Terminal::timeout`]) or the disk is about to be full,
/// also between calls; the next call says so. It ends with the terminal too, and a command of the shell with its call, where
/// that is cancelled or dropped.
///
/// Its answers depend on when it is asked; where they must be the same each time, as for training, use
/// [`Shell`](super::Shell).
pub struct Terminal {
    sandbox: Arc<dyn Sandbox>,
    wait: Duration,
    idle: Duration,
    timeout: Duration,
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

impl Terminal {
    /// How long a command or a job may run unless told otherwise: half an hour.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);

    /// A shell in `sandbox`, started with the first command. A call waits up to 60 s, and 10 s where nothing is printed.
    pub fn new(sandbox: Arc<dyn Sandbox>) -> Self {
        Self {
            sandbox,
            wait: Duration::from_secs(60),
            idle: Duration::from_secs(10),
            timeout: Self::DEFAULT_TIMEOUT,
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

    /// How long a command of the shell or a job may run, however often it is waited for. Then it is killed with all its
    /// children, and with it the shell that it ran in; what was printed is kept for the next call.
    ///
    /// What a command leaves in the background of the shell has as much time as the shell, and so has one that makes the
    /// shell say that it has ended.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Limits how much of the output is shown.
    #[must_use]
    pub fn output(self, output: OutputLimit) -> Self {
        Self { output, ..self }
    }

    fn show(&self, running: &mut Running, ending: Option<String>) -> ToolOutput {
        ToolOutput::text(Shown { output: &running.take_output(), root: self.sandbox.root(), ending }.to_string())
    }

    /// Asks the shell. It is put back only where it can go on: where it ended, or this call is dropped half-way, it is
    /// gone with all that runs in it.
    async fn in_shell(&self, state: &mut State, ask: Ask, cancel: &CancellationToken) -> Result<ToolOutput, ToolError> {
        let mut session = match state.session.take() {
            Some(session) => session,
            None if matches!(ask.what, What::Command(_)) => {
                let word = format!("entropo-{:016x}-{}", random(), state.sessions);
                state.sessions += 1;
                Session::start(&*self.sandbox, word, self.output).await?
            }
            None => return Err(nothing_runs()),
        };
        match self.ask_shell(&mut session, ask, cancel).await {
            // It has been told that it ended.
            Ok((shown, Progress::Ended(_))) => Ok(shown),
            other => {
                state.session = Some(session);
                other.map(|(shown, _)| shown)
            }
        }
    }

    async fn ask_shell(
        &self,
        session: &mut Session,
        ask: Ask,
        cancel: &CancellationToken,
    ) -> Result<(ToolOutput, Progress), ToolError> {
        let mut not_run = false;
        match &ask.what {
            // It ended between two calls, which nobody has been told.
            what if session.running.ended().is_some() => not_run = matches!(what, What::Command(_)),
            What::Command(_) if session.is_busy => {
                return Err(ToolError::new(
                    "The last command still runs. Give input, wait by a call without arguments, or send a signal.",
                ));
            }
            What::Command(command) => {
                if session.begin(command, self.timeout).await.is_err() {
                    // What reads no commands is no shell.
                    not_run = true;
                    session.running.kill().await?;
                }
            }
            What::Signal(TerminalSignal::Kill) => session.running.kill().await?,
            _ if !session.is_busy => return Err(nothing_runs()),
            What::Input(input) => session.running.send(input).await?,
            What::Signal(TerminalSignal::Interrupt) => session.interrupt().await?,
            What::Wait => {}
        }
        let mut progress = session.wait(ask.wait, self.idle, cancel).await;
        if progress == Progress::Cancelled {
            session.running.kill().await?;
            progress = Progress::Ended(Status::Cancelled);
        }
        let mut ending = self.ending(progress, "the shell");
        if let (true, Some(ending)) = (not_run, &mut ending) {
            ending.push_str("\n[the command was not run; the next one gets a new shell]");
        }
        Ok((self.show(&mut session.running, ending), progress))
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
        let shown = self.show(job, self.ending(progress, "the job"));
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
        running.must_end(self.timeout);
        state.last_job += 1;
        state.jobs.insert(state.last_job, running);
        Ok(ToolOutput::text(format!("[job {} started]", state.last_job)))
    }

    /// The line for what is unusual.
    fn ending(&self, progress: Progress, what: &str) -> Option<String> {
        Some(match progress {
            Progress::Marked(0) => return None,
            Progress::Marked(code) => format!("[exit status {code}]"),
            // A job runs on though who waited for it has cancelled.
            Progress::Runs | Progress::Cancelled => "[still running]".to_owned(),
            Progress::Ended(Status::Exited(code)) => format!("[{what} ended with exit status {code}]"),
            Progress::Ended(status) => format!("[{what} was {}]", killed(status, self.timeout)),
        })
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

fn nothing_runs() -> ToolError {
    ToolError::new("Nothing runs in the shell. Give a command.")
}

/// A number that no program prints by chance; nothing else depends on it.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
