use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How much a server is asked for at most. A minute's worth may go at once, what is more waits for its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests per minute, repeated ones included. Default: any number.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Tokens per minute. They are counted before they are known, as a quarter of the request's bytes and all that the
    /// reply may have; once the server has told how many they were, the difference is given back or owed. A request of
    /// more than a minute's worth takes the whole minute. Default: any number.
    pub tokens_per_minute: Option<NonZeroU32>,
}

/// What is left of a [`RateLimit`].
pub(super) struct Rate {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

/// What was taken for one request.
pub(super) struct Taken<'a>(Option<(&'a Bucket, u32)>);

impl Rate {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self { requests: limit.requests_per_minute.map(Bucket::new), tokens: limit.tokens_per_minute.map(Bucket::new) }
    }

    /// Waits until a request of about so many tokens may be sent.
    pub(super) async fn take(&self, tokens: usize) -> Taken<'_> {
        if let Some(requests) = &self.requests {
            requests.take(1).await;
        }
        let Some(bucket) = &self.tokens else { return Taken(None) };
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX).min(bucket.minute);
        bucket.take(tokens).await;
        Taken(Some((bucket, tokens)))
    }
}

impl Taken<'_> {
    /// The request turned out to have `used` tokens; 0 if nobody knows.
    pub(super) fn settle(self, used: usize) {
        if let (Some((bucket, taken)), 1..) = (self.0, used) {
            bucket.give(f64::from(taken) - f64::from(u32::try_from(used).unwrap_or(u32::MAX)));
        }
    }
}

/// Fills by a minute's worth in every minute, up to a minute's worth. Of crates with such a thing none takes anything back.
struct Bucket {
    minute: u32,
    level: Mutex<Level>,
    /// Who waits first is served first, else large requests would wait for ever behind small ones.
    turn: tokio::sync::Mutex<()>,
    /// Something was given back.
    given: Notify,
}

struct Level {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn new(minute: NonZeroU32) -> Self {
        let minute = minute.get();
        let level = Mutex::new(Level { left: f64::from(minute), at: Instant::now() });
        Self { minute, level, turn: tokio::sync::Mutex::default(), given: Notify::new() }
    }

    /// What is left now.
    fn level(&self) -> MutexGuard<'_, Level> {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let minutes = now.duration_since(level.at).as_secs_f64() / 60.0;
        *level = Level { left: (level.left + minutes * f64::from(self.minute)).min(f64::from(self.minute)), at: now };
        level
    }

    async fn take(&self, count: u32) {
        let _turn = self.turn.lock().await;
        while let Err(wait) = self.try_take(f64::from(count)) {
            // Never shorter than what the timer can tell.
            let wait = wait.max(Duration::from_millis(1));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.given.notified() => {}
            }
        }
    }

    /// Or how long it takes until there is enough.
    fn try_take(&self, count: f64) -> Result<(), Duration> {
        let mut level = self.level();
        if level.left < count {
            return Err(Duration::from_secs_f64((count - level.left) / f64::from(self.minute) * 60.0));
        }
        level.left -= count;
        Ok(())
    }

    /// Gives back what was taken in vain, or owes what was not taken, at most a minute's worth.
    fn give(&self, count: f64) {
        let minute = f64::from(self.minute);
        let mut level = self.level();
        level.left = (level.left + count).clamp(-minute, minute);
        drop(level);
        self.given.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn tokens(minute: u32) -> Rate {
        Rate::new(RateLimit { requests_per_minute: None, tokens_per_minute: NonZeroU32::new(minute) })
    }

    #[tokio::test(start_paused = true)]
    async fn a_minutes_worth_goes_at_once_and_no_more() {
        let minute = NonZeroU32::new(3);
        let requests = Rate::new(RateLimit { requests_per_minute: minute, tokens_per_minute: None });
        for may in [true, true, true, false] {
            assert_eq!(requests.take(1_000_000).now_or_never().is_some(), may);
        }
        tokio::time::sleep(Duration::from_secs(20)).await;
        for may in [true, false] {
            assert_eq!(requests.take(1_000_000).now_or_never().is_some(), may);
        }
        let tokens = tokens(3);
        assert!(tokens.take(2).now_or_never().is_some());
        assert!(tokens.take(2).now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_beyond_a_minutes_worth_is_sent_too() {
        let rate = tokens(3);
        assert!(rate.take(usize::MAX).now_or_never().is_some());
        assert!(rate.take(1).now_or_never().is_none());
        let before = Instant::now();
        rate.take(usize::MAX).await;
        assert_eq!(before.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_used_is_given_back_to_who_waits() {
        let rate = tokens(1000);
        let first = rate.take(1000).await;
        let before = Instant::now();
        // The second waits already when the first is settled.
        let (_second, ()) = tokio::join!(rate.take(600), async { first.settle(400) });
        assert!(before.elapsed() < Duration::from_millis(10), "{:?}", before.elapsed());
        assert!(rate.take(1).now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_used_beyond_the_estimate_is_owed() {
        let rate = tokens(600);
        rate.take(100).await.settle(700);
        let before = Instant::now();
        rate.take(10).await;
        assert_eq!(before.elapsed().as_secs(), 11);
        // Not even a server that lies takes more than a minute.
        tokio::time::sleep(Duration::from_secs(600)).await;
        rate.take(600).await.settle(usize::MAX);
        let before = Instant::now();
        rate.take(600).await;
        assert_eq!(before.elapsed().as_secs(), 120);
    }

    #[tokio::test(start_paused = true)]
    async fn an_estimate_stands_if_nobody_knows_better() {
        let rate = tokens(3);
        rate.take(3).await.settle(0);
        assert!(rate.take(1).now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_first_is_served_first_and_who_goes_takes_nothing() {
        let rate = tokens(60);
        rate.take(60).await;
        let before = Instant::now();
        let (large, small) = tokio::join!(async { (rate.take(30).await, before.elapsed().as_secs()).1 }, async {
            (rate.take(1).await, before.elapsed().as_secs()).1
        },);
        assert_eq!((large, small), (30, 31));
        assert!(tokio::time::timeout(Duration::from_secs(1), rate.take(60)).await.is_err());
        assert!(rate.take(1).now_or_never().is_some());
    }
}
