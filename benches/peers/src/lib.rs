//! What every peer measures alike: the prompt, the clock, the process's memory, and the line they print.

use std::fs;
use std::time::Duration;

use serde::Serialize;

/// One measured case, printed as one line of JSON.
#[derive(Serialize)]
pub struct Case {
    pub peer: &'static str,
    pub version: &'static str,
    pub dtype: String,
    pub batch: usize,
    pub prompt_tokens: usize,
    pub new_tokens: usize,
    pub threads: usize,
    /// Of all sequences together, from the call to the first new token.
    pub prefill_tokens_per_s: f64,
    /// Of all sequences together, from the first new token to the last.
    pub decode_tokens_per_s: f64,
    /// The process's high-water mark since it began, mapped pages of the checkpoint included.
    pub peak_rss_bytes: u64,
    /// The same since the model was loaded.
    pub peak_rss_generating_bytes: u64,
    /// Resident just before loading.
    pub baseline_rss_bytes: u64,
    pub load_s: f64,
    /// What the first sequence became, to see that all peers computed the same thing.
    pub tokens: Vec<u32>,
}

/// How long one run took to its first new token and from there to its last.
#[derive(Clone, Copy)]
pub struct Timing {
    pub prefill: Duration,
    pub decode: Duration,
}

impl Timing {
    /// The shorter of each part.
    pub fn best(self, other: Self) -> Self {
        Self { prefill: self.prefill.min(other.prefill), decode: self.decode.min(other.decode) }
    }
}

/// The prompt of sequence `row`, the same in every peer; no two sequences share a beginning.
pub fn prompt(row: usize, tokens: usize) -> Vec<u32> {
    (0..tokens).map(|at| ((at * 7_919 + row * 104_729 + 17) % 100_000) as u32).collect()
}

/// A size in `/proc/self/status`, in bytes: `VmHWM` (peak) or `VmRSS` (now).
pub fn resident(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kibibytes: u64 = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0);
    kibibytes * 1024
}

/// Lets the high-water mark start again from what is resident now (see proc(5), `clear_refs`).
pub fn reset_peak() -> std::io::Result<()> {
    fs::write("/proc/self/clear_refs", "5")
}
