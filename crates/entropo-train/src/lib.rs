//! Decoder, objectives, trainer and local model of entropo, on burn.
pub use burn;

pub mod checkpoint;
pub mod data;
pub mod decoder;
pub mod logprob;
pub mod objective;
pub mod trainer;
pub mod text;
