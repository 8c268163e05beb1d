//! Training, and everything that is left of it.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use entropo_train::adapter::Adapter;
use entropo_train::burn::tensor::Device;
use entropo_train::checkpoint::{LoadOptions, load_with, write_file};
use entropo_train::data::Source;
use entropo_train::decoder::Decoder;
use entropo_train::monitor::{Description, Monitor, MonitorOptions, Output, Record};
use entropo_train::trainer::Training;
use indicatif::ProgressBar;

use crate::device;
use crate::failure::Failure;
use crate::plan::{Plan, bar};

/// The settings' file name in a run's directory.
const SETTINGS: &str = "settings.toml";

/// What came of a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Ended {
    /// Steps that are taken, of those of the whole run.
    pub steps: (usize, usize),
    /// Whether it was stopped, and goes on when it is started again.
    pub stopped: bool,
    /// The checkpoint, or adapter, as it is now.
    pub last: PathBuf,
    /// The one that evaluations liked best, if there were any.
    pub best: Option<PathBuf>,
    /// The page with the curves, if there is one.
    pub report: Option<PathBuf>,
    /// Warnings about what was written beside the metrics.
    pub warnings: Vec<String>,
}

/// Trains as planned, until it is done or `stop` is set; then the state is saved, and the same plan goes on from there.
///
/// # Errors
/// Weights that cannot be loaded, an adapter that does not fit, the state of another run, divergence, metrics that cannot
/// be written. What was saved before stays as it is.
pub fn run(plan: &Plan, device: &Device, stop: &AtomicBool, output: Output) -> Result<Ended, Failure> {
    let settings = &plan.settings;
    let replicas = settings.replicas.iter().map(|name| device::open(Some(name))).collect::<Result<Vec<_>, _>>()?;
    let start = start(plan, device)?;
    let reference = bar("reference", "{pos}/{len} examples");
    let tell = reference.clone();
    let source: &dyn Source = &plan.train;
    let mut training = Training::over(source, settings.training.clone())
        .replicas(replicas)
        .directory(&settings.output)
        .companions(&plan.model)
        .progress(move |done, whole| {
            tell.set_length(whole as u64);
            tell.set_position(done as u64);
        });
    if let Some(evaluate) = &plan.evaluate {
        training = training.evaluate_on(evaluate as &dyn Source);
    }
    let training = training.start(&start, device)?;
    reference.finish_and_clear();
    drop(start);
    let written = settings.to_toml()?;
    write_file(&settings.output.join(SETTINGS), written.as_bytes())?;

    let (steps, first_step) = (training.steps(), training.done());
    let description = Description {
        title: settings.title(),
        configuration: written,
        data: plan.describe_data(),
        facts: vec![("model".to_owned(), settings.model.clone()), ("device".to_owned(), format!("{device:?}"))],
    };
    let options = MonitorOptions {
        first_step,
        output,
        tensorboard: settings.monitor.tensorboard,
        report: settings.monitor.report,
        report_every_s: settings.monitor.report.then_some(60.0 * settings.monitor.report_every_min),
        description,
        ..MonitorOptions::default()
    };
    let mut monitor = Monitor::start(&settings.output, options)?;
    let (mut done, mut synced, mut failed) = (first_step, first_step, None);
    training.run(|record, _| {
        done = record.step + 1;
        // Metrics are on disk before the state that says that they are.
        let due = done - synced >= settings.training.save_every || done == steps || stop.load(Ordering::Relaxed);
        let written = monitor.step(&Record::of(record, monitor.wall_s())).and_then(|()| {
            if due {
                synced = done;
                monitor.sync()
            } else {
                Ok(())
            }
        });
        failed = written.err();
        if failed.is_some() || stop.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let finished = monitor.finish()?;
    let best = settings.output.join("best");
    Ok(Ended {
        steps: (done, steps),
        stopped: stop.load(Ordering::Relaxed) && done < steps,
        last: settings.output.join("last"),
        best: best.exists().then_some(best),
        report: finished.report,
        warnings: finished.warnings,
    })
}

/// The model with its adapter, on the device.
fn start(plan: &Plan, device: &Device) -> Result<Decoder, Failure> {
    let bar = bar("weights", "{bytes}/{total_bytes}");
    let (progress, quantise) = (Some(loading(bar.clone())), plan.settings.quantise);
    let options = LoadOptions { progress, quantise, ..LoadOptions::default() };
    let decoder = load_with(&plan.model, device, &options)?;
    bar.finish_and_clear();
    match &plan.settings.lora {
        Some(lora) => {
            let base_model = lora.base_model.clone().or_else(|| Some(plan.settings.model.clone()));
            let lora = entropo_train::adapter::LoraConfig { base_model, ..lora.clone() };
            Ok(decoder.with_adapter(&Adapter::new(&lora, &decoder, plan.settings.training.seed)?)?)
        }
        None => Ok(decoder),
    }
}

type OnLoading = Arc<dyn Fn(entropo_train::checkpoint::Progress) + Send + Sync>;

/// Shows on a bar how far loading is.
pub(crate) fn loading(bar: ProgressBar) -> OnLoading {
    Arc::new(move |progress| {
        bar.set_length(progress.all_bytes);
        bar.set_position(progress.bytes);
    })
}
