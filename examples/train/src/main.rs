//! `cargo run --release -p train -- SETTINGS.toml` trains a checkpoint on files of rows.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use entropo_train::monitor::Output;
use train::estimate::Estimate;
use train::{Failure, Plan, Settings, device, model, run};

/// Trains a checkpoint: SFT, DPO, KTO, EntroPO or a verifier, as one TOML file says. Stop it with Ctrl-C, or kill it; the
/// same command goes on where it was.
#[derive(Debug, Parser)]
struct Arguments {
    /// The run's settings; `examples/train/presets` has some. Unknown keys are refused.
    settings: PathBuf,
    /// Changes a setting, such as `training.learning_rate=1e-6` or `data.train=["pairs.jsonl"]`; may be given several
    /// times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    changes: Vec<String>,
    /// Prints the settings with every default filled in, and ends.
    #[arg(long)]
    print_config: bool,
    /// Reads model and data, prints what would be trained on and how much memory and time it would take, and ends.
    #[arg(long)]
    dry_run: bool,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    match go(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn go(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let settings = Settings::read(&arguments.settings, &arguments.changes)?;
    if arguments.print_config {
        print!("{}", settings.to_toml()?);
        return Ok(ExitCode::SUCCESS);
    }
    settings.validate()?;
    let device = device::open(settings.device.as_deref())?;
    let model = model::resolve(&settings.model)?;
    let plan = Plan::new(settings, &model)?;
    println!("{}", plan.describe_data());
    if arguments.dry_run {
        println!("{}", Estimate::new(&plan, &device)?);
        return Ok(ExitCode::SUCCESS);
    }
    let stop = stop_on_interrupt()?;
    let ended = run(&plan, &device, &stop, Output::default())?;
    for warning in &ended.warnings {
        eprintln!("warning: {warning}");
    }
    let (done, steps) = ended.steps;
    if ended.stopped {
        println!("stopped after {done} of {steps} steps; the same command goes on from there");
        return Ok(ExitCode::from(130));
    }
    println!("{done} steps are done: {}", ended.last.display());
    ended.best.iter().for_each(|best| println!("evaluations liked best: {}", best.display()));
    ended.report.iter().for_each(|report| println!("curves: {}", report.display()));
    Ok(ExitCode::SUCCESS)
}

/// Is set at Ctrl-C; a second one ends the process at once.
fn stop_on_interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let (runtime, set) = (model::runtime()?, stop.clone());
    std::thread::spawn(move || {
        runtime.block_on(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                set.store(true, Ordering::Relaxed);
                eprintln!("saving after this step; Ctrl-C again stops at once");
            }
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        });
    });
    Ok(stop)
}
