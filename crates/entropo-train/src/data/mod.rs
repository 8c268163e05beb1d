//! From recorded tokens to batches on a device.

mod batch;
mod dataset;
mod error;
mod example;
mod order;
mod prefixes;
mod sequence;
mod source;

pub use batch::Batch;
pub use dataset::{BadRows, DataConfig, Dataset, DatasetBuilder, Dropped, Kind, Lengths, Question, Report, TooLong};
pub use error::DataError;
pub use example::Example;
pub(crate) use order::batches;
pub use sequence::{Sequence, SequenceError};
pub use source::Source;
