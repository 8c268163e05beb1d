//! What a search takes, and what ripgrep takes for the same.
//!
//! `cargo bench -p entropo-tools --bench search`: 50,000 files of a few hundred megabytes are made in a temporary directory, the
//! same ones each time, and read once, so that both find them in memory. Then ours and `rg` take turns with the same query and
//! the same number of threads; ours runs in this process, `rg` is a process of its own each time, which is also how an agent
//! with a shell would use it. What starting that process takes is measured apart. The last line is `ratio_rg=…`, the geometric
//! mean of our median over that of `rg`, over the cases in which both read everything; where ours may stop, since it shows a
//! hundred lines and counts ten thousand more, while `rg` prints all, the ratio stands apart as `ratio_rg_capped`.
#![allow(clippy::print_stdout, missing_docs)]

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use entropo_agent::Tool;
use entropo_tools::{Grep, Search};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const FILES: usize = 50_000;
const ROUNDS: usize = 15;

/// A query, for both.
struct Case {
    name: &'static str,
    /// For [`Search`], or for [`Grep`] if there is more to say than a query.
    arguments: Value,
    /// For `rg`.
    options: &'static [&'static str],
}

fn cases() -> [Case; 5] {
    [
        Case { name: "rare literal", arguments: json!({"query": "zanzibar_needle"}), options: &["zanzibar_needle"] },
        Case { name: "common literal, capped", arguments: json!({"query": "return"}), options: &["return"] },
        Case {
            name: "regex with classes",
            arguments: json!({"query": r"fn [a-z]+_[0-9]{2}77\(\w+: &str\)"}),
            options: &[r"fn [a-z]+_[0-9]{2}77\(\w+: &str\)"],
        },
        Case {
            name: "no match",
            arguments: json!({"query": "never_written_anywhere"}),
            options: &["never_written_anywhere"],
        },
        Case {
            name: "rare, case ignored",
            arguments: json!({"pattern": "ZANZIBAR_needle", "ignore_case": true}),
            options: &["-i", "ZANZIBAR_needle"],
        },
    ]
}

fn main() -> Result<(), Failure> {
    let Ok(version) = Command::new("rg").arg("--version").output() else {
        println!("rg is not installed; nothing to compare with");
        return Ok(());
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{}", String::from_utf8_lossy(&version.stdout).lines().next().unwrap_or_default());
    println!("load average {}", fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    let directory = tempfile::tempdir()?;
    let bytes = make_tree(directory.path())?;
    println!("{FILES} files, {} MB, {threads} threads, median of {ROUNDS}", bytes / 1_000_000);

    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let search = Search::new(directory.path())?.with_threads(threads);
    let grep = Grep::new(directory.path())?.with_threads(threads);
    let ours = |arguments: &Value| -> Result<(f64, usize), Failure> {
        let (arguments, cancel) = (arguments.clone(), CancellationToken::new());
        let start = Instant::now();
        let found = if arguments.get("query").is_some() {
            runtime.block_on(search.call(serde_json::from_value(arguments)?, &cancel))
        } else {
            runtime.block_on(grep.call(serde_json::from_value(arguments)?, &cancel))
        };
        let found = found.map_err(|error| error.to_string())?;
        Ok((start.elapsed().as_secs_f64(), found.content.lines().count()))
    };
    let startup = median((0..50).map(|_| rg(directory.path(), &["--version"])).collect::<Result<Vec<_>, _>>()?);

    let (mut whole, mut capped) = (Vec::new(), 1.0);
    println!("{:<24} {:>9} {:>9} {:>7}", "", "ours ms", "rg ms", "ratio");
    let jobs = format!("-j{threads}");
    for case in cases() {
        let options: Vec<&str> = ["-n", "--no-heading", "--no-config", "--no-require-git", &jobs]
            .iter()
            .chain(case.options)
            .copied()
            .collect();
        ours(&case.arguments)?;
        rg(directory.path(), &options)?;
        let (mut mine, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            // Who goes second finds warmer caches.
            if round % 2 == 0 {
                mine.push(ours(&case.arguments)?.0);
                theirs.push(rg(directory.path(), &options)?.0);
            } else {
                theirs.push(rg(directory.path(), &options)?.0);
                mine.push(ours(&case.arguments)?.0);
            }
        }
        let (_, lines) = ours(&case.arguments)?;
        let (_, rg_lines) = rg(directory.path(), &options)?;
        let (mine, theirs) = (median_of(mine), median_of(theirs));
        if rg_lines > 10_000 {
            capped = mine / theirs;
        } else {
            whole.push(mine / theirs);
        }
        println!(
            "{:<24} {:>9.1} {:>9.1} {:>7.2}   lines {lines} of {rg_lines}",
            case.name,
            mine * 1e3,
            theirs * 1e3,
            mine / theirs
        );
    }
    println!("starting rg takes {:.1} ms of each of its figures", startup * 1e3);
    let mean = (whole.iter().map(|ratio: &f64| ratio.ln()).sum::<f64>() / whole.len() as f64).exp();
    println!("ratio_rg={mean:.2} ratio_rg_capped={capped:.2}");
    Ok(())
}

/// Runs `rg` and counts the lines it prints.
fn rg(directory: &Path, options: &[&str]) -> Result<(f64, usize), Failure> {
    let start = Instant::now();
    let output =
        Command::new("rg").args(options).current_dir(directory).stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    let seconds = start.elapsed().as_secs_f64();
    Ok((seconds, output.stdout.iter().filter(|byte| **byte == b'\n').count()))
}

fn median(measured: Vec<(f64, usize)>) -> f64 {
    median_of(measured.into_iter().map(|(seconds, _)| seconds).collect())
}

fn median_of(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or_default()
}

/// Makes the files; how many bytes they are.
fn make_tree(root: &Path) -> Result<u64, Failure> {
    let words = [
        "let", "value", "return", "index", "buffer", "match", "if", "else", "for", "in", "self", "state", "next",
        "cursor", "push", "length", "Option", "Result", "error", "pub", "struct", "impl", "name", "count", "node",
        "tree", "path",
    ];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap_or_default()
    };
    fs::write(root.join(".gitignore"), "target/\n*.o\n")?;
    let mut total = 0;
    for file in 0..FILES {
        let directory = root.join(format!("crate{:02}/module{}/part{}", file % 61, file % 7, file % 13));
        fs::create_dir_all(&directory)?;
        let mut out = BufWriter::new(fs::File::create(directory.join(format!("file{file}.rs")))?);
        // Most files are small and some are large, as in a repository.
        let lines = 20 + draw(120) + if draw(20) == 0 { draw(2500) } else { 0 };
        for line in 0..lines {
            let mut text = " ".repeat(4 * draw(4));
            for _ in 0..2 + draw(8) {
                text += words.get(draw(words.len())).copied().unwrap_or_default();
                text.push(if draw(6) == 0 { '(' } else { ' ' });
            }
            if draw(400) == 0 {
                text = format!("pub fn helper_{:04}(name: &str) -> usize {{", draw(10_000));
            }
            if file % 5000 == 17 && line == 3 {
                text += "zanzibar_needle";
            }
            writeln!(out, "{text}")?;
            total += text.len() as u64 + 1;
        }
        out.flush()?;
    }
    Ok(total)
}
