//! Checks and measures training on one device, and says what came of it as one JSON object on standard output.
//!
//! It is built where there is a compiler and carried to where there is a GPU (`scripts/gpu-check.sh`), so it needs nothing
//! there but a driver and, for the fixtures, the folder with the reference data. Built for the CPU it runs the same checks
//! at small sizes.
//!
//! ```sh
//! cargo run --release -p gpu-check -- --fixtures tests/fixtures
//! ```
//!
//! The exit code is 0 if everything that was asked for passed, 1 if something failed, 2 for wrong arguments and 3 if there
//! is no such device.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod arguments;
mod bench;
mod device;
mod failure;
mod fixtures;
mod memory;
mod pairs;
mod report;
mod smoke;
mod soak;

use std::process::ExitCode;
use std::time::Instant;

use arguments::{Arguments, Part};
use clap::Parser;
use device::Opened;
use failure::{Failure, guarded};
use report::{Outcome, Report};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    failure::panics_in_one_line();
    if let Some(case) = &arguments.case {
        return bench::run_here(case, &arguments);
    }
    let mut report = Report::default();
    let code = match guarded(|| device::open(arguments.device)) {
        Ok(opened) => {
            eprintln!("on {}", opened.report.name);
            run(&arguments, &opened, &mut report);
            report.device = Some(opened.report);
            report.passed = report.all_passed();
            if report.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(failure) => {
            eprintln!("error: {failure}");
            report.error = Some(failure.to_string());
            ExitCode::from(3)
        }
    };
    println!("{}", report::json(&report));
    code
}

fn run(arguments: &Arguments, opened: &Opened, report: &mut Report) {
    let asked = |part| arguments.only.contains(&part);
    if asked(Part::Fixtures) {
        report.fixtures = Some(timed("fixtures", || fixtures::check(arguments, opened)));
    }
    if asked(Part::Smoke) {
        report.smoke = Some(timed("smoke", || smoke::check(opened)));
    }
    if asked(Part::Soak) {
        report.soak = Some(timed("soak", || soak::check(arguments, opened)));
    }
    if asked(Part::Bench) {
        report.bench = Some(timed("bench", || bench::check(arguments, opened)));
    }
}

/// Runs one part; whatever goes wrong in it ends that part alone.
fn timed<T>(part: &str, check: impl FnOnce() -> Result<Outcome<T>, Failure>) -> Outcome<T> {
    eprintln!("== {part}");
    let start = Instant::now();
    let outcome = guarded(check).unwrap_or_else(|failure| {
        eprintln!("{part}: {failure}");
        Outcome::failed(&failure)
    });
    let outcome = Outcome { seconds: start.elapsed().as_secs_f64(), ..outcome };
    eprintln!("== {part}: {} in {:.1} s", if outcome.passed() { "passed" } else { "FAILED" }, outcome.seconds);
    outcome
}
