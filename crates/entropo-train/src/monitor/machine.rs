//! What is known of the machine without asking much.

use std::thread::available_parallelism;

use super::words::bytes;

/// Facts for the report: the system, the processor and its memory where Linux tells, and this crate's version.
pub(super) fn facts() -> Vec<(String, String)> {
    let threads = available_parallelism().map_or(1, usize::from);
    let threads = format!("{threads} thread{}", if threads == 1 { "" } else { "s" });
    let processor = match value("/proc/cpuinfo", "model name") {
        Some(name) => format!("{name}, {threads}"),
        None => threads,
    };
    let mut facts = vec![
        ("System".to_owned(), format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH)),
        ("Processor".to_owned(), processor),
    ];
    let memory = value("/proc/meminfo", "MemTotal");
    let kibibytes = memory.and_then(|memory| memory.split_whitespace().next()?.parse::<u64>().ok());
    facts.extend(kibibytes.map(|kibibytes| ("Memory".to_owned(), bytes(kibibytes.saturating_mul(1024)))));
    facts.push(("entropo-train".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    facts
}

/// Bytes of memory that this process has in use, where the system tells.
pub(super) fn memory_in_use() -> Option<u64> {
    memory_stats::memory_stats().map(|stats| stats.physical_mem as u64)
}

/// The first value of a key in one of the kernel's lists.
fn value(path: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let pair = text.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| name.trim() == key)?;
    Some(pair.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_tells_memory() {
        assert!(facts().iter().any(|(name, value)| name == "Memory" && value.ends_with('B')));
        assert!(memory_in_use() > Some(100_000));
    }
}
