//! However much a command prints, little of it is held in memory.

use std::fs;

use entropo_tools::Command;
use entropo_tools::sandbox::{OutputLimit, SandboxKind, SandboxOptions};

use super::open;

#[tokio::test]
async fn much_output_is_bounded_in_memory_and_whole_in_a_file() {
    let place = open(SandboxKind::Local, SandboxOptions::new()).await.unwrap();
    let script = "yes 0123456789abcde | head -c 50000000; echo; echo end";
    let limit = OutputLimit { head: 1000, tail: 1000, spill: 60_000_000 };
    let before = peak_memory();
    let result = place.exec(Command::script(script).output(limit)).await;
    assert!(peak_memory() - before < 30 << 20, "far less than the output; other tests run meanwhile");
    assert!(result.status.is_success() && result.output.is_truncated());
    assert!(result.output.head.starts_with("0123456789abcde\n") && result.output.tail.ends_with("\nend\n"));
    assert_eq!(result.output.left_out, 50_000_005 - 2000);
    let spill = result.output.full_output.unwrap();
    assert_eq!(fs::metadata(&spill.path).unwrap().len(), 50_000_005);
    drop(place);
    assert!(!spill.path.exists(), "the file goes with the sandbox");
}

/// The most memory this process ever held, in bytes.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
