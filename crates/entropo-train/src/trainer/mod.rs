//! Training a decoder.
//!
//! [`Learner`] takes one step for any objective; [`Training`] runs epochs over examples with a schedule, a cached
//! reference, evaluations and a state on disk from which a killed run goes on bit for bit.

mod config;
mod error;
mod examples;
mod fingerprint;
mod judge;
mod learner;
mod loss;
mod micro;
mod optimizer;
mod parts;
mod progress;
mod record;
mod reference;
mod replicas;
mod schedule;
mod state;
mod sums;
mod survey;
mod training;

pub use config::{EarlyStopping, Goal, Precision, TrainConfig};
pub use error::TrainError;
pub use examples::Examples;
pub use judge::{Judge, Judgement};
pub use learner::{Learner, StepOutcome};
pub use optimizer::{AdafactorConfig, AdamWConfig, MuonConfig, OptimizerConfig};
pub use parts::MICRO_TOKENS;
pub use record::StepRecord;
pub use reference::{ReferenceCache, ReferenceOptions};
pub use schedule::{Decay, Schedule, Warmup};
pub use sums::frozen_sums;
pub use training::{Training, TrainingBuilder};
