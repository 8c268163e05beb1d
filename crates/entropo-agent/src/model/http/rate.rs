use std::num::NonZeroU32;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// How much a server is asked for at most. A minute's worth may go at once, what is more waits for its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests per minute, repeated ones included. Default: any number.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Tokens per minute. They are counted before they are known: a quarter of the request's bytes, and all that the reply
    /// may have. A request of more than a minute's worth takes the whole minute. Default: any number.
    pub tokens_per_minute: Option<NonZeroU32>,
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<std::time::Instant>>;

/// What is left of a [`RateLimit`].
pub(super) struct Rate {
    requests: Option<Bucket>,
    tokens: Option<(Bucket, NonZeroU32)>,
}

impl Rate {
    pub(super) fn new(limit: RateLimit) -> Self {
        let bucket = |minute| Bucket::direct_with_clock(Quota::per_minute(minute), MonotonicClock);
        Self {
            requests: limit.requests_per_minute.map(bucket),
            tokens: limit.tokens_per_minute.map(|minute| (bucket(minute), minute)),
        }
    }

    /// Waits until a request of about so many tokens may be sent.
    pub(super) async fn wait(&self, tokens: usize) {
        if let Some(requests) = &self.requests {
            take(requests, NonZeroU32::MIN).await;
        }
        if let Some((bucket, minute)) = &self.tokens {
            let tokens = u32::try_from(tokens).ok().and_then(NonZeroU32::new).unwrap_or(*minute);
            take(bucket, tokens.min(*minute)).await;
        }
    }
}

/// With tokio's timer; governor's own would run a thread of its own.
async fn take(bucket: &Bucket, count: NonZeroU32) {
    while let Ok(Err(not_until)) = bucket.check_n(count) {
        tokio::time::sleep(not_until.wait_time_from(MonotonicClock.now())).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_minutes_worth_goes_at_once_and_no_more() {
        let minute = NonZeroU32::new(3);
        let requests = Rate::new(RateLimit { requests_per_minute: minute, tokens_per_minute: None });
        for may in [true, true, true, false] {
            assert_eq!(requests.wait(1_000_000).now_or_never().is_some(), may);
        }
        let tokens = Rate::new(RateLimit { requests_per_minute: None, tokens_per_minute: minute });
        assert!(tokens.wait(2).now_or_never().is_some());
        assert!(tokens.wait(2).now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_request_beyond_a_minutes_worth_is_sent_too() {
        let rate = Rate::new(RateLimit { requests_per_minute: None, tokens_per_minute: NonZeroU32::new(3) });
        assert!(rate.wait(usize::MAX).now_or_never().is_some());
        assert!(rate.wait(1).now_or_never().is_none());
    }
}
