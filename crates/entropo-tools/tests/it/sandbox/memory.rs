//! However much a command prints, little of it is held in memory.
//!
//! The most memory that a process ever held is a number of the whole process, so each case is one of its own: this test
//! program again.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use entropo_agent::Tool;
use entropo_tools::sandbox::{OutputLimit, SandboxKind, SandboxOptions};
use entropo_tools::shell::TerminalArgs;
use entropo_tools::{Command, Terminal};
use tokio_util::sync::CancellationToken;

use super::open;

/// A gigabyte without an end of line.
const MUCH: &str = "head -c 1G /dev/zero | tr '\\0' x";
const LIMIT: OutputLimit = OutputLimit { head: 1000, tail: 1000, spill: 1 << 20 };

/// What the whole process may hold, with all that it is before it runs a command.
const MOST: u64 = 64 << 20;

#[tokio::test]
async fn a_gigabyte_of_output_is_bounded_in_memory() {
    for test in ["a_command_prints_much", "a_terminal_prints_much"] {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("sandbox::memory::{test}"), "--ignored"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }
}

#[tokio::test]
#[ignore = "run by the other test in a process of its own"]
async fn a_command_prints_much() {
    let place = open(SandboxKind::Local, SandboxOptions::new()).await.unwrap();
    let command = Command::script(MUCH).output(LIMIT).timeout(Duration::from_secs(300));
    let result = place.exec(command).await;
    let peak = peak_memory();
    assert!(peak < MOST, "{peak}");
    assert!(result.status.is_success() && result.output.head.starts_with("xxx"));
    assert_eq!(result.output.left_out, (1 << 30) - 2000);
    let spill = result.output.full_output.unwrap();
    assert!(!spill.complete && fs::metadata(&spill.path).unwrap().len() == LIMIT.spill);
    drop(place);
    assert!(!spill.path.exists(), "the file goes with the sandbox");
}

#[tokio::test]
#[ignore = "run by the other test in a process of its own"]
async fn a_terminal_prints_much() {
    let place = open(SandboxKind::Local, SandboxOptions::new()).await.unwrap();
    let long = Duration::from_secs(300);
    let terminal = Terminal::new(Arc::clone(&place.sandbox)).wait(long).idle(long).output(LIMIT);
    let left_out = format!("[… {} bytes left out; first part in the file $TMPDIR/output-", (1 << 30) - 2000);
    for background in [false, true] {
        let arguments = TerminalArgs { command: Some(MUCH.to_owned()), background, ..TerminalArgs::default() };
        let mut said = terminal.call(arguments, &CancellationToken::new()).await.unwrap().content;
        if background {
            let poll = TerminalArgs { job: Some(1), ..TerminalArgs::default() };
            said = terminal.call(poll, &CancellationToken::new()).await.unwrap().content;
        }
        assert!(said.contains(&left_out), "{said}");
    }
    let peak = peak_memory();
    assert!(peak < MOST, "{peak}");
}

/// The most memory this process ever held, in bytes.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
