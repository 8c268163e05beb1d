//! A run while it goes on, and what is left of it afterwards.
//!
//! A [`Monitor`] takes a [`Record`] of every step and writes it to all who want to know:
//!
//! * `metrics.jsonl`, one line a record (see [`MetricsLog`]). It is the truth; everything else can be made from it.
//! * TensorBoard's event files beside it ([`EventLog`]), for who has TensorBoard open.
//! * `report.html` ([`write_report`]): curves, warnings, configuration, data and machine in one file that needs no network.
//! * A live line on standard error if that is a terminal, plain lines if not ([`Output`]).
//!
//! A run that is killed and goes on from a saved state takes some steps again. [`MonitorOptions::first_step`] says from
//! where, and what earlier processes wrote of these steps is dropped, so every step is there once. Metrics that cannot be
//! written stop the run with a typed error. The other sinks are a convenience: one that fails is closed with a warning,
//! and training goes on.
//!
//! ```
//! use entropo_train::monitor::{Description, Monitor, MonitorOptions, Output, Record, read_metrics};
//!
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path();
//! let description = Description { title: "A first run".to_owned(), ..Description::default() };
//! let options = MonitorOptions { output: Output::Nothing, description, ..MonitorOptions::default() };
//! let mut monitor = Monitor::start(directory, options)?;
//! for step in 0..3 {
//!     let scalars = [("loss".to_owned(), 1.0 / (step + 1) as f64)].into();
//!     let record = Record { step, steps: 3, wall_s: monitor.wall_s(), scalars, notes: Vec::new() };
//!     monitor.step(&record)?; // with a `StepRecord` of the trainer: `&Record::of(&step_record, monitor.wall_s())`
//! }
//! monitor.finish()?;
//!
//! let mut losses = Vec::new();
//! read_metrics(directory.join("metrics.jsonl"), |record| losses.push(record.scalars["loss"]))?;
//! assert_eq!(losses, [1.0, 0.5, 1.0 / 3.0]);
//! assert!(directory.join("report.html").exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod machine;
mod metrics;
mod progress;
mod record;
mod report;
mod sinks;
mod smooth;
mod tensorboard;
mod words;

pub use error::MonitorError;
pub use metrics::{METRICS_FORMAT, MetricsLog, Reopened, read_metrics};
pub use progress::Output;
pub use record::Record;
pub use report::{Description, write_report};
pub use sinks::{Finished, METRICS, Monitor, MonitorOptions, REPORT};
pub use tensorboard::EventLog;
