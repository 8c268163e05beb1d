//! From recorded tokens to batches on a device.

mod batch;
mod example;
mod order;
mod sequence;

pub use batch::Batch;
pub use example::Example;
pub(crate) use order::batches;
pub use sequence::{Sequence, SequenceError};
