//! Training a decoder.
//!
//! [`Learner`] takes one step for any objective; [`Training`] runs epochs over examples with a schedule, a cached
//! reference, evaluations and a state on disk from which a killed run goes on bit for bit.

mod config;
mod error;
mod examples;
mod fingerprint;
mod learner;
mod loss;
mod optimizer;
mod progress;
mod record;
mod reference;
mod schedule;
mod state;
mod survey;
mod training;

pub use config::{EarlyStopping, Goal, Precision, TrainConfig};
pub use error::TrainError;
pub use examples::Examples;
pub use learner::{Judge, Judgement, Learner, MICRO_TOKENS, StepOutcome, frozen_sums};
pub use optimizer::{AdafactorConfig, AdamWConfig, MuonConfig, OptimizerConfig};
pub use record::StepRecord;
pub use reference::{ReferenceCache, ReferenceOptions};
pub use schedule::{Decay, Schedule, Warmup};
pub use training::{Training, TrainingBuilder};
