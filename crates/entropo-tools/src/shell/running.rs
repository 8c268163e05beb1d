//! A process whose output is taken while nobody waits for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entropo_agent::ToolError;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::keeper::Keeper;
use super::marker::Marker;
use crate::sandbox::{Capture, Command, Input, Output, OutputLimit, Sandbox, Signal, SpillDirectory, Status};

/// How long an answer waits for the last of what an ended process wrote, and a writer for a process that does not read.
const LAST_WORDS: Duration = Duration::from_millis(200);
const WRITE_TIME: Duration = Duration::from_secs(5);

/// A process, and what it has printed since it was last asked.
pub(super) struct Running {
    input: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    keeper: Keeper,
    printed: Arc<Printed>,
    reader: JoinHandle<()>,
}

/// Why waiting came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The marker came, with this status.
    Marked(i32),
    /// The process ended, and nothing of it runs.
    Ended(Status),
    /// It runs on: the time to wait is up, or nothing was printed for a while.
    Runs,
    /// It runs on: who waited has cancelled.
    Cancelled,
}

/// Where the reader puts what it reads.
struct Printed {
    state: Mutex<State>,
    changed: Notify,
    /// When the process must have ended; the marker lifts it.
    deadline: watch::Sender<Option<Instant>>,
    limit: OutputLimit,
    spills: Option<Arc<SpillDirectory>>,
}

struct State {
    capture: Capture,
    marker: Option<Marker>,
    marked: Option<i32>,
    pieces: u64,
    closed: bool,
}

impl Printed {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, piece: &[u8]) {
        let mut state = self.state();
        let State { capture, marker, marked, pieces, .. } = &mut *state;
        *pieces += 1;
        match marker {
            Some(marker) => {
                if let Some(number) = marker.look(piece, |text| capture.push(text)) {
                    *marked = Some(number);
                    self.deadline.send_replace(None);
                }
            }
            None => capture.push(piece),
        }
        self.changed.notify_one();
    }
}

impl Running {
    /// Starts a command; with a marker, waiting ends where that is printed. It is ended where the disk is about to be full,
    /// and when [`Running::must_end`] says so.
    pub(super) async fn start(
        sandbox: &dyn Sandbox,
        command: &Command,
        marker: Option<Marker>,
    ) -> Result<Self, ToolError> {
        let process = sandbox.spawn(command, Input::Piped).await.map_err(ToolError::new)?;
        let (limit, spills) = (command.output, sandbox.spills());
        let capture = Capture::new(limit, spills.clone());
        let state = State { capture, marker, marked: None, pieces: 0, closed: false };
        let (deadline, changes) = watch::channel(None);
        let keeper = Keeper::new(process.control, sandbox.disk_guard().cloned(), changes);
        let printed = Arc::new(Printed { state: Mutex::new(state), changed: Notify::new(), deadline, limit, spills });
        let reader = tokio::spawn(read(process.output, Arc::clone(&printed)));
        Ok(Self { input: process.input, keeper, printed, reader })
    }

    /// Gives it this much time from now on, or with a marker until that comes.
    pub(super) fn must_end(&self, within: Duration) {
        // A time beyond what clocks count is none.
        self.printed.deadline.send_replace(Instant::now().checked_add(within));
    }

    /// From now on waits for the sign of this command.
    pub(super) fn expect(&self, number: u32) {
        let mut state = self.printed.state();
        state.marked = None;
        if let Some(marker) = &mut state.marker {
            marker.expect(number);
        }
    }

    /// How the process ended, if it has.
    pub(super) fn ended(&self) -> Option<Status> {
        self.keeper.ended()
    }

    /// Writes to its input.
    pub(super) async fn send(&mut self, text: &str) -> Result<(), ToolError> {
        let closed = || ToolError::new("The process reads no input any more.");
        let input = self.input.as_mut().ok_or_else(closed)?;
        let write = async {
            input.write_all(text.as_bytes()).await?;
            input.flush().await
        };
        match timeout(WRITE_TIME, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(closed()),
            Err(_) => Err(ToolError::new("The process does not read its input; what was written is lost in part.")),
        }
    }

    /// Waits for the marker or the end, for at most `wait`, and no longer than nothing is printed for `idle`.
    pub(super) async fn wait(&mut self, wait: Duration, idle: Duration, cancel: &CancellationToken) -> Progress {
        let until = Instant::now() + wait;
        let (mut quiet_until, mut pieces) = (Instant::now() + idle, None);
        loop {
            if let Some(status) = self.ended() {
                self.last_words().await;
                return Progress::Ended(status);
            }
            {
                let mut state = self.printed.state();
                if let Some(number) = state.marked.take() {
                    return Progress::Marked(number);
                }
                if pieces.replace(state.pieces) != Some(state.pieces) {
                    quiet_until = Instant::now() + idle;
                }
            }
            tokio::select! {
                () = self.printed.changed.notified() => {}
                () = self.keeper.until_ended() => {}
                () = sleep_until(until.min(quiet_until)) => return Progress::Runs,
                () = cancel.cancelled() => return Progress::Cancelled,
            }
        }
    }

    /// Sends a signal to the process and its children.
    pub(super) async fn signal(&mut self, signal: Signal) -> Result<(), ToolError> {
        self.keeper.signal(signal).await.map_err(ToolError::new)
    }

    /// Kills the process and its children, and takes the last of what they wrote.
    pub(super) async fn kill(&mut self) -> Result<(), ToolError> {
        self.keeper.kill().await.map_err(ToolError::new)?;
        // Its end is known soon after it is dead.
        let _ = timeout(WRITE_TIME, self.keeper.until_ended()).await;
        self.last_words().await;
        Ok(())
    }

    /// Takes what was still on its way when the process ended.
    async fn last_words(&mut self) {
        let closed = async {
            while !self.printed.state().closed {
                self.printed.changed.notified().await;
            }
        };
        let _ = timeout(LAST_WORDS, closed).await;
        let rest = self.printed.state().marker.as_mut().map(Marker::rest).unwrap_or_default();
        self.printed.state().capture.push(&rest);
    }

    /// What was printed since this was last called.
    pub(super) fn take_output(&mut self) -> Output {
        let fresh = Capture::new(self.printed.limit, self.printed.spills.clone());
        std::mem::replace(&mut self.printed.state().capture, fresh).finish()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(mut output: Box<dyn AsyncRead + Send + Unpin>, printed: Arc<Printed>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read) = output.read(&mut buffer).await
        && read > 0
    {
        printed.push(buffer.get(..read).unwrap_or_default());
    }
    printed.state().closed = true;
    printed.changed.notify_one();
}
