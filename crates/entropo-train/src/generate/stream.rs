//! A reply as it is written.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use entropo_agent::CancellationToken;
use futures_core::Stream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::error::EngineError;
use super::request::Streamed;

/// The tokens of one reply, each as soon as it is sampled; the last item is [`Streamed::End`] or an error.
///
/// Dropping it ends the request. What was sampled and not yet read waits here: a slow reader holds nobody up.
pub struct TokenStream {
    items: UnboundedReceiver<Item>,
    cancelled: Pin<Box<dyn Future<Output = ()> + Send>>,
    over: bool,
}

type Item = Result<Streamed, EngineError>;

impl TokenStream {
    /// The stream and where it is filled from.
    pub(super) fn new(cancel: CancellationToken) -> (UnboundedSender<Item>, Self) {
        let (sender, items) = unbounded_channel();
        (sender, Self { items, cancelled: Box::pin(cancel.cancelled_owned()), over: false })
    }

    /// The next item; `None` after the last one. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Streamed, EngineError>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for TokenStream {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let item = match self.cancelled.as_mut().poll(context) {
            Poll::Ready(()) => Err(EngineError::Cancelled),
            // Only a thread that panicked leaves without a last word.
            Poll::Pending => ready!(self.items.poll_recv(context)).unwrap_or(Err(EngineError::Stopped)),
        };
        self.over = !matches!(item, Ok(Streamed::Token(_)));
        Poll::Ready(Some(item))
    }
}

impl std::fmt::Debug for TokenStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenStream").field("over", &self.over).finish_non_exhaustive()
    }
}
