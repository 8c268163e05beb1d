//! What a step of the loop costs, and what one of mini-swe-agent's does.
//!
//! `ENTROPO_BENCH_PYTHON=python cargo bench -p entropo-agent --features openai --bench loop_overhead`, with mini-swe-agent
//! installed there. A scripted server answers at once, in a process of its own, and everything that is measured is one too:
//! fifty steps, forty-nine commands and the one that ends. The tool does nothing, the peer is also measured with a shell
//! that runs `true`. The last line is `ratio_cpu=… ratio_wall=… memory_per_run_kib=… peak_mb=…`: what the peer takes over
//! what we do, replies whole and the tool instant for both, and the memory of a thousand runs at once.
#![allow(clippy::print_stdout, missing_docs)]

mod acting;
mod process;
mod server;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Steps of a run.
const STEPS: usize = 50;
/// Runs at once in the test of memory.
const MANY: usize = 1000;
const ROUNDS: usize = 3;

/// What one process measured, start-up and warm-up left out.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Measured {
    steps: usize,
    wall_s: f64,
    /// Its own processor time, in user and kernel mode.
    cpu_s: f64,
    /// That of the commands that it ran.
    #[serde(default)]
    children_cpu_s: f64,
    /// Resident before the first run, and at most.
    #[serde(default)]
    baseline_kib: f64,
    #[serde(default)]
    peak_kib: f64,
}

impl Measured {
    fn wall_us(&self) -> f64 {
        self.wall_s * 1e6 / self.steps as f64
    }

    fn cpu_us(&self) -> f64 {
        self.cpu_s * 1e6 / self.steps as f64
    }
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |name: &str| arguments.iter().position(|argument| argument == name).map(|at| at + 1);
    if after("--serve").is_some() {
        return server::serve();
    }
    if let Some(at) = after("--measure") {
        let argument = |at: usize| arguments.get(at).map(String::as_str).unwrap_or_default();
        println!("{}", serde_json::to_string(&acting::measure(argument(at), argument(at + 1))?)?);
        return Ok(());
    }
    let served = Served::start()?;
    println!("load average {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    let own = |name: &str| -> Result<Measured, Failure> {
        last_line(Command::new(std::env::current_exe()?).args(["--measure", name, &served.url]))
    };
    let python = std::env::var_os("ENTROPO_BENCH_PYTHON");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/peers/mini_swe_agent_loop.py");
    let peer = |name: &str| -> Result<Measured, Failure> {
        let python = python.as_ref().ok_or("no python")?;
        last_line(Command::new(python).arg(&script).args([name, &served.url]))
    };

    let mut rows: Vec<(&str, &str, Vec<Measured>)> = vec![
        ("scripted", "entropo, no server at all", Vec::new()),
        ("bare", "the HTTP client alone, same requests", Vec::new()),
        ("whole", "entropo, whole replies", Vec::new()),
        ("streamed", "entropo, streamed replies", Vec::new()),
    ];
    if python.is_some() {
        rows.push(("instant", "mini-swe-agent, no command is run", Vec::new()));
        rows.push(("local", "mini-swe-agent, `true` in a shell", Vec::new()));
    }
    for _ in 0..ROUNDS {
        for (name, _, measured) in &mut rows {
            let one = if matches!(*name, "instant" | "local") { peer(name) } else { own(name) };
            measured.push(one.map_err(|error| format!("{name}: {error}"))?);
        }
    }
    println!("{:40} {:>12} {:>12} {:>14}", "", "wall µs/step", "CPU µs/step", "of children");
    let median = |name: &str, of: fn(&Measured) -> f64| {
        let row = rows.iter().find(|(row, ..)| *row == name);
        let mut values: Vec<f64> = row.into_iter().flat_map(|(.., measured)| measured.iter().map(of)).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    for (name, title, _) in &rows {
        let (wall, cpu) = (median(name, Measured::wall_us), median(name, Measured::cpu_us));
        let children = median(name, |one| one.children_cpu_s * 1e6 / one.steps as f64);
        println!("{title:40} {wall:>12.1} {cpu:>12.1} {children:>14.1}");
    }

    let many = own("many")?;
    let a_run = (many.peak_kib - many.baseline_kib) / MANY as f64;
    println!(
        "{MANY} runs at once: {:.1} s, {:.0} steps/s, CPU {:.1} µs/step, {:.0} MB at most, {a_run:.0} KiB a run",
        many.wall_s,
        many.steps as f64 / many.wall_s,
        many.cpu_us(),
        many.peak_kib / 1024.0,
    );
    if python.is_none() {
        println!("set ENTROPO_BENCH_PYTHON to a python with mini-swe-agent to compare with it");
    } else {
        let over = |name: &str, of: fn(&Measured) -> f64| median(name, of) / median("whole", of);
        println!("with a shell: ratio_cpu={:.1}", over("local", Measured::cpu_us));
        let (cpu, wall) = (over("instant", Measured::cpu_us), over("instant", Measured::wall_us));
        print!("ratio_cpu={cpu:.1} ratio_wall={wall:.1} ");
    }
    println!("memory_per_run_kib={a_run:.0} peak_mb={:.0}", many.peak_kib / 1024.0);
    Ok(())
}

/// The server, for as long as this lives.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    fn start() -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("--serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut url = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut url)?;
        Ok(Self { child, url: url.trim().to_owned() })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn last_line(command: &mut Command) -> Result<Measured, Failure> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().next_back().unwrap_or_default();
    serde_json::from_str(line).map_err(|error| format!("{command:?}: {error}: {line}").into())
}
