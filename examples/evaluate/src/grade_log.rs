//! `evaluate grade-log`: a log that is there, judged as SWE-bench's harness would.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use entropo_core::format::swe_bench::{Instance, InstanceReport};
use entropo_tools::check::swe_bench::Rules;
use serde_json::Value;

use crate::failure::Failure;
use crate::judge::{TIMED_OUT, UNEXPECTED};

/// Judges a log that is there as SWE-bench's harness would, and prints the instance's report.
///
/// The exit status is 0 if the instance is resolved, 1 if not, 2 if the log cannot be judged.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The instance: a file with its row as JSON.
    #[arg(long, value_name = "FILE")]
    instance: PathBuf,
    /// What the run of its tests printed, markers included.
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    /// Judge as if there had been no patch.
    #[arg(long)]
    no_patch: bool,
    /// Print the report as JSON, in the shape of the harness's `report.json`.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (id, judged) = judge(arguments)?;
    let report = match judged {
        Ok(report) => report,
        Err(error) => {
            eprintln!("error: {id}: {error}");
            return Ok(ExitCode::from(2));
        }
    };
    let resolved = report.resolved;
    if arguments.json {
        let reports = BTreeMap::from([(id, report)]);
        println!("{}", serde_json::to_string_pretty(&reports).map_err(Failure::json(Path::new("the report")))?);
    } else {
        println!("{id}: {}", in_words(&report));
    }
    Ok(if resolved { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn judge(arguments: &Arguments) -> Result<(String, Result<InstanceReport, Failure>), Failure> {
    let path = &arguments.instance;
    let text = std::fs::read_to_string(path).map_err(Failure::file(path))?;
    let row = serde_json::from_str(&text).map_err(Failure::json(path))?;
    let Instance::SweBench(instance) = Instance::read(&row)? else {
        return Err(Failure::Asked(format!("{} is no instance of SWE-bench's shape", path.display())));
    };
    let log = std::fs::read_to_string(&arguments.log).map_err(Failure::file(&arguments.log));
    let patch = (!arguments.no_patch).then_some("");
    let judged = log.and_then(|log| Ok(Rules::of(&instance)?.grade(patch, &log)?));
    Ok((instance.instance_id, judged))
}

/// Whether a report says that the tests took too long.
pub(crate) fn is_timed_out(report: &InstanceReport) -> bool {
    report.others.get(TIMED_OUT).is_some_and(|timed_out| *timed_out == true)
}

/// How many tests are named on the screen.
const SHOWN: usize = 25;

/// A report in words, with the tests that did not end as they should.
pub(crate) fn in_words(report: &InstanceReport) -> String {
    if report.resolved {
        return "resolved".to_owned();
    }
    if is_timed_out(report) {
        return "unresolved, the tests timed out".to_owned();
    }
    let all: Vec<String> = if let Some(Value::Array(unexpected)) = report.others.get(UNEXPECTED) {
        unexpected.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    } else if let Some(tests) = &report.tests_status {
        let still = tests.fail_to_pass.failure.iter().map(|test| format!("still fails: {test}"));
        let broken = tests.pass_to_pass.failure.iter().map(|test| format!("broken: {test}"));
        still.chain(broken).collect()
    } else {
        return "unresolved, the tests did not run".to_owned();
    };
    let mut words = String::from("unresolved");
    all.iter().take(SHOWN).for_each(|line| words += &format!("\n  {line}"));
    if all.len() > SHOWN {
        words += &format!("\n  and {} more; report.json names all", all.len() - SHOWN);
    }
    words
}
