use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// How often a request that failed is sent again, and after how long. Only what may pass is tried again: see
/// [`ModelError::is_transient`](crate::ModelError::is_transient).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Requests in all, the first included. Default 5; with 1, or 0, nothing is tried again.
    pub attempts: usize,
    /// The wait before the second request, with up to as much again added at random; every further one is twice as long.
    /// Default 0.5 s.
    pub first_wait: Duration,
    /// The longest wait. A server that asks for more, in `Retry-After`, is not asked again. Default 60 s.
    pub longest_wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 5, first_wait: Duration::from_millis(500), longest_wait: Duration::from_secs(60) }
    }
}

impl Retry {
    /// Nothing is tried again.
    pub fn never() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// The waits of one request; the same seed gives the same.
    pub(super) fn waits(self, seed: u64) -> Waits {
        let backoff = ExponentialBuilder::new()
            .with_jitter()
            .with_jitter_seed(seed)
            .with_min_delay(self.first_wait)
            .with_max_delay(self.longest_wait)
            .with_max_times(self.attempts.saturating_sub(1))
            .build();
        Waits { backoff, longest: self.longest_wait }
    }
}

/// The waits that are left to a request.
pub(super) struct Waits {
    backoff: ExponentialBackoff,
    longest: Duration,
}

impl Waits {
    /// The next wait, no shorter than the server wants; `None` if it was the last attempt.
    pub(super) fn next(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        let wait = self.backoff.next()?.min(self.longest);
        match retry_after {
            Some(wanted) if wanted > self.longest => None,
            Some(wanted) => Some(wait.max(wanted)),
            None => Some(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_end() {
        let retry = Retry { attempts: 8, first_wait: Duration::from_secs(1), longest_wait: Duration::from_secs(5) };
        let mut waits = retry.waits(7);
        let waits: Vec<_> = std::iter::from_fn(|| waits.next(None)).map(|wait| wait.as_secs_f32()).collect();
        assert_eq!(waits.len(), 7);
        for (wait, least) in waits.iter().zip([1.0, 2.0, 4.0, 5.0, 5.0, 5.0, 5.0]) {
            assert!((least..=5.0_f32.min(least * 2.0)).contains(wait), "{waits:?}");
        }
    }

    #[test]
    fn the_server_is_obeyed_up_to_the_longest_wait() {
        let mut waits = Retry::default().waits(1);
        assert_eq!(waits.next(Some(Duration::from_secs(59))), Some(Duration::from_secs(59)));
        assert_eq!(waits.next(Some(Duration::from_secs(61))), None);
        assert_eq!(Retry::never().waits(1).next(None), None);
        assert_eq!(Retry { attempts: 0, ..Retry::default() }.waits(1).next(None), None);
    }
}
