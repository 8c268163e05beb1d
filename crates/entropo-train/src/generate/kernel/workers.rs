//! Threads that share the work of one pass.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

/// Multiplications below which handing a part to another thread costs more than it saves.
const WORTHWHILE: usize = 400_000;

/// The threads of a decoder.
#[derive(Debug, Default)]
pub(in crate::generate) struct Threads(Option<rayon::ThreadPool>);

/// Who computes: the calling thread alone, or the pool it runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::generate) enum Workers {
    One,
    Pool,
}

impl Threads {
    /// `threads` of them. One needs no pool; should the system refuse to start a pool, the calling thread does it all.
    pub(in crate::generate) fn new(threads: usize) -> Self {
        let name = |index| format!("entropo-kernel-{index}");
        let pool = || rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(name).build();
        match (threads > 1).then(pool) {
            Some(Ok(pool)) => Self(Some(pool)),
            Some(Err(error)) => {
                tracing::warn!(%error, threads, "no thread pool; computing on one thread");
                Self(None)
            }
            None => Self(None),
        }
    }

    /// Runs `pass` on the pool if its largest part of `multiplications` is worth it.
    pub(in crate::generate) fn run<R: Send>(
        &self,
        multiplications: usize,
        pass: impl FnOnce(Workers) -> R + Send,
    ) -> R {
        match &self.0 {
            Some(pool) if multiplications >= WORTHWHILE => pool.install(|| pass(Workers::Pool)),
            _ => pass(Workers::One),
        }
    }
}

impl Workers {
    /// Does every task, which together take so many multiplications.
    pub(in crate::generate) fn each<T: Send>(
        self,
        tasks: Vec<T>,
        multiplications: usize,
        act: impl Fn(T) + Send + Sync,
    ) {
        if self == Self::Pool && multiplications >= WORTHWHILE && tasks.len() > 1 {
            tasks.into_par_iter().for_each(act);
        } else {
            tasks.into_iter().for_each(act);
        }
    }
}
