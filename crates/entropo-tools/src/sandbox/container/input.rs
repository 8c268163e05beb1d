//! The input of a command in a container.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::runtime::Handle;

type Writer = Pin<Box<dyn AsyncWrite + Send>>;

/// Ends the input when it is dropped, as a pipe does. The connection to the engine carries the output too, and stays open.
pub(super) struct ClosingInput(Option<Writer>);

impl ClosingInput {
    pub(super) fn new(writer: Writer) -> Self {
        Self(Some(writer))
    }

    fn with<T>(
        &mut self,
        act: impl FnOnce(Pin<&mut (dyn AsyncWrite + Send)>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.0 {
            Some(writer) => act(writer.as_mut()),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl AsyncWrite for ClosingInput {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|writer| writer.poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|writer| writer.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|writer| writer.poll_shutdown(context))
    }
}

impl Drop for ClosingInput {
    fn drop(&mut self) {
        if let (Some(mut writer), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            drop(runtime.spawn(async move { writer.shutdown().await }));
        }
    }
}
