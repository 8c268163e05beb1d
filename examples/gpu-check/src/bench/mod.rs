//! How many tokens a second go through EntroPO steps, in the shapes of real models.
//!
//! Each case runs in a process of its own: one that does not fit the device's memory then takes nothing from the next, and
//! one that hangs can be ended.

mod case;
mod flops;
mod noise;
mod shape;

use std::io::Read;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

pub(crate) use case::{Case, Measured};
pub(crate) use shape::ShapeName;

use crate::arguments::{Arguments, Precision};
use crate::device::{Opened, open};
use crate::failure::{Failure, guarded};
use crate::report::{Check, Outcome, json};
use entropo_train::burn::tensor::FloatDType;

/// Runs every case; one that fails is a check that fails.
pub(crate) fn check(arguments: &Arguments, opened: &Opened) -> Result<Outcome<Vec<Measured>>, Failure> {
    let mut measured = Vec::new();
    let mut failed = 0;
    for case in cases(arguments, opened) {
        eprintln!("{case}");
        let result = in_a_process(&case, arguments, opened).unwrap_or_else(|failure| case.failed(&failure));
        match (&result.error, result.tokens_per_second) {
            (None, Some(speed)) => eprintln!("{case}: {speed:.0} tokens/s, utilisation {:?}", result.utilisation),
            (error, _) => {
                failed += 1;
                eprintln!("{case}: {}", error.as_deref().unwrap_or("no result"));
            }
        }
        measured.push(result);
    }
    Ok(Outcome::new(vec![Check::new("cases of the bench that failed", f64::from(failed), 0.0)], Some(measured)))
}

/// What is measured, the cheapest first.
fn cases(arguments: &Arguments, opened: &Opened) -> Vec<Case> {
    let cpu = opened.backend.is_cpu();
    let or = |asked: &[ShapeName], otherwise: &[ShapeName]| {
        if asked.is_empty() { otherwise.to_vec() } else { asked.to_vec() }
    };
    let shapes = or(&arguments.shapes, if cpu { &[ShapeName::Tiny] } else { &[ShapeName::HalfB, ShapeName::SevenB] });
    let lengths = match &*arguments.lengths {
        [] if cpu => vec![64, 128],
        [] => vec![4096, 16384],
        asked => asked.to_vec(),
    };
    let bf16 = !cpu && opened.device.supports_dtype(FloatDType::BF16);
    let dtype = arguments.dtype.unwrap_or(if bf16 { Precision::Bf16 } else { Precision::F32 });
    let case = |shape: ShapeName| lengths.iter().map(move |&tokens| Case { shape, tokens, dtype });
    shapes.into_iter().flat_map(case).collect()
}

/// Calls this program for one case.
fn in_a_process(case: &Case, arguments: &Arguments, opened: &Opened) -> Result<Measured, Failure> {
    let failed = |what: String| Failure::Case(what);
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let mut command = Command::new(program);
    command.arg("--case").arg(serde_json::to_string(case).map_err(|error| failed(error.to_string()))?);
    command.arg("--device").arg(opened.backend.argument());
    command.arg("--bench-steps").arg(arguments.bench_steps.to_string());
    if let Some(peak) = arguments.peak_tflops {
        command.arg("--peak-tflops").arg(peak.to_string());
    }
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| failed(error.to_string()))?;
    let status = wait(&mut child, Duration::from_secs(arguments.case_seconds)).map_err(failed)?;
    let mut text = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    }
    serde_json::from_str(&text).map_err(|_| failed(format!("ended with {status} and without a result")))
}

/// Until it ends, or is ended. What it writes fits a pipe.
fn wait(child: &mut Child, limit: Duration) -> Result<std::process::ExitStatus, String> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if start.elapsed() < limit => sleep(Duration::from_millis(100)),
            Ok(None) => {
                let ended = child.kill().and_then(|()| child.wait());
                let how =
                    ended.map_or_else(|error| format!("and could not be ended: {error}"), |_| "and was ended".into());
                return Err(format!("took longer than {} s {how}", limit.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// The process that [`in_a_process`] starts.
pub(crate) fn run_here(case: &str, arguments: &Arguments) -> ExitCode {
    let case: Case = match serde_json::from_str(case) {
        Ok(case) => case,
        Err(error) => {
            eprintln!("--case: {error}");
            return ExitCode::from(2);
        }
    };
    let measured =
        guarded(|| case.run(&open(arguments.device)?, arguments)).unwrap_or_else(|failure| case.failed(&failure));
    println!("{}", json(&measured));
    if measured.error.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_is_ended() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let error = wait(&mut child, Duration::from_millis(200)).unwrap_err();
        assert_eq!(error, "took longer than 0 s and was ended");
        assert!(child.try_wait().unwrap().is_some());
        let mut quick = Command::new("true").spawn().unwrap();
        assert!(wait(&mut quick, Duration::from_secs(60)).unwrap().success());
    }
}
