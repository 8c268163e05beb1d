//! Running a command to its end.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::output::Capture;
use super::{Command, DiskGuard, ExecResult, Input, Process, Sandbox, SandboxError, Status};

/// How much is read at once.
const PIECE: usize = 64 << 10;

/// After the end of a command its output is read on until it is closed, or this long nothing came, or for so long: a
/// process that got away may hold it open for ever.
const LAST_WORDS: Duration = Duration::from_millis(100);
const ALL_LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs a command until it exits, its time is up or it must end; then nothing of it runs.
pub(super) async fn run<S: Sandbox + ?Sized>(
    sandbox: &S,
    command: Command,
    cancel: &CancellationToken,
) -> Result<ExecResult, SandboxError> {
    let started = Instant::now();
    let mut process = sandbox.spawn(&command, Input::Closed).await?;
    let mut capture = Capture::new(command.output, sandbox.spills());
    let status = watch(&mut process, &mut capture, &command, sandbox.disk_guard(), cancel).await;
    process.control.kill().await.map_err(SandboxError::watch)?;
    drain(&mut process.output, &mut capture).await;
    let status = status.map_err(SandboxError::watch)?;
    Ok(ExecResult { status, output: capture.finish(), duration: started.elapsed() })
}

/// Takes what the command prints until it ends or must be ended.
async fn watch(
    process: &mut Process,
    capture: &mut Capture,
    command: &Command,
    disk: Option<&DiskGuard>,
    cancel: &CancellationToken,
) -> io::Result<Status> {
    let never = Duration::from_secs(365 * 24 * 3600);
    let (time_is_up, idle) =
        (time::sleep(command.timeout.min(never)), time::sleep(command.idle_timeout.unwrap_or(never)));
    tokio::pin!(time_is_up, idle);
    let mut disk_check = time::interval(DiskGuard::INTERVAL);
    disk_check.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    let mut buffer = vec![0; PIECE];
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(Status::Cancelled),
            status = process.control.wait() => return status,
            () = &mut time_is_up => return Ok(Status::TimedOut),
            _ = disk_check.tick(), if disk.is_some() => {
                if disk.is_some_and(DiskGuard::is_low) {
                    return Ok(Status::DiskFull);
                }
            }
            read = process.output.read(&mut buffer), if open => {
                let read = read?;
                open = read > 0;
                capture.push(buffer.get(..read).unwrap_or_default());
                if let Some(timeout) = command.idle_timeout {
                    idle.as_mut().reset(time::Instant::now() + timeout);
                }
            }
            () = &mut idle => return Ok(Status::Idle),
        }
    }
}

/// Takes what was still on its way when the command ended.
async fn drain(output: &mut (impl AsyncRead + Unpin), capture: &mut Capture) {
    let mut buffer = vec![0; PIECE];
    let until = time::Instant::now() + ALL_LAST_WORDS;
    while time::Instant::now() < until {
        match time::timeout(LAST_WORDS, output.read(&mut buffer)).await {
            Ok(Ok(read)) if read > 0 => capture.push(buffer.get(..read).unwrap_or_default()),
            _ => return,
        }
    }
}
