//! Finding the processes that a test starts. The tests of pods share this file.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A number of seconds that no other `sleep` on this machine sleeps, to find it by.
pub(crate) fn marker() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("9{}.{:06}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn runs(marker: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .any(|line| line.split(|byte| *byte == 0).any(|argument| argument == marker.as_bytes()))
}

pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain until {what}");
}
