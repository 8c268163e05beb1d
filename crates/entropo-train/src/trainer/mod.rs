//! Training a decoder.
//!
//! [`Learner`] takes one step for any objective; [`Training`] runs epochs over examples with a schedule, a cached
//! reference and a state on disk from which a killed run goes on bit for bit.

mod error;
mod learner;
mod loss;
mod optimizer;
mod reference;
mod schedule;
mod state;
mod training;

pub use error::TrainError;
pub use learner::{Judge, Judgement, Learner, MICRO_TOKENS, StepOutcome, frozen_sums};
pub use optimizer::OptimizerConfig;
pub use reference::ReferenceCache;
pub use schedule::Schedule;
pub use training::{StepRecord, TrainConfig, Training};
