//! What a command costs in each sandbox, beside the plainest way to run one: `sh -c true` from the standard library, its
//! output read to the end. All kinds take turns in one run; medians are shown.
//!
//! `cargo bench -p entropo-tools --bench shell [-- repetitions]`
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints and may fail loudly")]

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use entropo_agent::Tool;
use entropo_tools::sandbox::{Limits, SandboxOptions, detect};
use entropo_tools::shell::TerminalArgs;
use entropo_tools::{Command, Sandbox, Terminal};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() {
    let repetitions = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(300);
    let root = tempfile::tempdir().unwrap();
    let mut sandboxes: Vec<(String, Arc<dyn Sandbox>)> = Vec::new();
    for one in detect().await {
        match one.promises {
            Ok(_) => {
                let plain = one.kind.open(root.path(), SandboxOptions::new()).await.unwrap();
                sandboxes.push((one.kind.to_string(), Arc::from(plain)));
                let limited = SandboxOptions::new().limits(Limits::strict());
                if let Ok(limited) = one.kind.open(root.path(), limited).await {
                    sandboxes.push((format!("{}, strict limits", one.kind), Arc::from(limited)));
                }
            }
            Err(error) => println!("left out: {error}"),
        }
    }
    let terminals: Vec<(String, Terminal)> = sandboxes
        .iter()
        .map(|(name, sandbox)| (format!("a shell that stays, {name}"), Terminal::new(Arc::clone(sandbox))))
        .collect();

    let mut times: Vec<(String, Vec<Duration>)> = vec![("sh -c true, by the standard library".to_owned(), Vec::new())];
    times.extend(sandboxes.iter().map(|(name, _)| (name.clone(), Vec::new())));
    times.extend(terminals.iter().map(|(name, _)| (name.clone(), Vec::new())));
    let cancel = CancellationToken::new();
    for repetition in 0..repetitions + 5 {
        let mut taken = Vec::new();
        let begun = Instant::now();
        let output = std::process::Command::new("sh").args(["-c", "true"]).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success());
        taken.push(begun.elapsed());
        for (_, sandbox) in &sandboxes {
            let begun = Instant::now();
            assert!(sandbox.exec(Command::script("true"), &cancel).await.unwrap().status.is_success());
            taken.push(begun.elapsed());
        }
        for (_, terminal) in &terminals {
            let begun = Instant::now();
            let arguments = TerminalArgs { command: Some("true".to_owned()), ..TerminalArgs::default() };
            assert_eq!(terminal.call(arguments, &cancel).await.unwrap().content, "[no output]");
            taken.push(begun.elapsed());
        }
        // The first ones fill caches and start the shells.
        if repetition >= 5 {
            times.iter_mut().zip(taken).for_each(|((_, times), time)| times.push(time));
        }
    }
    let medians: Vec<(String, f64)> = times
        .into_iter()
        .filter_map(|(name, mut times)| {
            times.sort();
            Some((name, times.get(times.len() / 2)?.as_secs_f64() * 1e3))
        })
        .collect();
    let plain = medians.first().map_or(f64::NAN, |(_, time)| *time);
    println!("{:45} {:>8} {:>6}", "one command", "ms", "ratio");
    for (name, time) in &medians {
        println!("{name:45} {time:8.2} {:6.2}", time / plain);
    }
}
