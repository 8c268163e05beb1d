//! Decoder, objectives, trainer and local model of entropo, on burn.

pub use burn;

pub mod checkpoint;
pub mod data;
pub mod decoder;
pub mod generate;
pub mod local_model;
pub mod logprob;
pub mod objective;
pub mod text;
pub mod trainer;

pub use local_model::{LocalModel, LocalModelError};
