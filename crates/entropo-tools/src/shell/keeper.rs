//! Who looks after a process while nobody waits for it.
//!
//! A shell that stays and a job run on between the calls of the tool, so what limits them cannot be a part of a call. A task
//! holds the process, and ends it with all its children when its time is up or the disk is about to be full.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::sandbox::{Control, DiskGuard, Signal, Status};

/// By whoever holds the process.
const KILLED: Status = Status::Signalled(Signal::SIGKILL as i32);

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Holds a process; when it is dropped, the process is killed with all its children.
pub(super) struct Keeper {
    requests: mpsc::Sender<Request>,
    ended: watch::Receiver<Option<Status>>,
    /// What the task does, so that it can be dropped here and now, whether or not the runtime gets to it.
    work: Arc<Mutex<Option<Work>>>,
    task: AbortHandle,
}

struct Request {
    /// What is sent, or nothing to kill.
    signal: Option<Signal>,
    reply: oneshot::Sender<io::Result<()>>,
}

impl Keeper {
    /// Looks after a process until it ends. `deadline` is when that must be, and may change.
    pub(super) fn new(
        control: Box<dyn Control>,
        guard: Option<DiskGuard>,
        deadline: watch::Receiver<Option<Instant>>,
    ) -> Self {
        let (requests, received) = mpsc::channel(1);
        let (sender, ended) = watch::channel(None);
        let work: Work = Box::pin(keep(control, guard, deadline, received, sender));
        let work = Arc::new(Mutex::new(Some(work)));
        let shared = Arc::clone(&work);
        let task = tokio::spawn(poll_fn(move |context| {
            let mut work = shared.lock().unwrap_or_else(PoisonError::into_inner);
            work.as_mut().map_or(Poll::Ready(()), |work| work.as_mut().poll(context))
        }));
        Self { requests, ended, work, task: task.abort_handle() }
    }

    /// How the process ended, if it has. Then its children are gone too.
    pub(super) fn ended(&self) -> Option<Status> {
        let ended = *self.ended.borrow();
        // Without a sender nobody looks after it any more, and it was killed as it was dropped.
        ended.or_else(|| self.ended.has_changed().is_err().then_some(KILLED))
    }

    /// Waits until it has.
    pub(super) async fn until_ended(&mut self) {
        let _ = self.ended.wait_for(Option::is_some).await;
    }

    /// Sends a signal to the process and its children.
    pub(super) async fn signal(&self, signal: Signal) -> io::Result<()> {
        self.ask(Some(signal)).await
    }

    /// Kills the process and its children.
    pub(super) async fn kill(&self) -> io::Result<()> {
        self.ask(None).await
    }

    async fn ask(&self, signal: Option<Signal>) -> io::Result<()> {
        let (reply, answer) = oneshot::channel();
        let gone = || io::Error::other("nobody looks after the process any more");
        self.requests.send(Request { signal, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
        let work = self.work.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(work);
    }
}

async fn keep(
    mut control: Box<dyn Control>,
    guard: Option<DiskGuard>,
    mut deadline: watch::Receiver<Option<Instant>>,
    mut requests: mpsc::Receiver<Request>,
    ended: watch::Sender<Option<Status>>,
) {
    let mut disk_check = interval(DiskGuard::INTERVAL);
    disk_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let status = loop {
        let until = *deadline.borrow_and_update();
        tokio::select! {
            biased;
            Some(request) = requests.recv() => request.answer(&mut *control).await,
            status = control.wait() => break status.unwrap_or(KILLED),
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => break Status::TimedOut,
            _ = disk_check.tick(), if guard.is_some() => {
                if guard.as_ref().is_some_and(DiskGuard::is_low) {
                    break Status::DiskFull;
                }
            }
            Ok(()) = deadline.changed() => {}
        }
    };
    if let Err(error) = control.kill().await {
        tracing::warn!(%error, ?status, "processes of a command may be left");
    }
    ended.send_replace(Some(status));
    while let Some(request) = requests.recv().await {
        request.answer(&mut *control).await;
    }
}

impl Request {
    async fn answer(self, control: &mut dyn Control) {
        let done = match self.signal {
            Some(signal) => control.signal(signal).await,
            None => control.kill().await,
        };
        // Nobody may wait for it any more.
        let _ = self.reply.send(done);
    }
}
