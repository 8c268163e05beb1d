//! Training from one TOML file.
//!
//! [`Settings`] are what the file says, every default filled in; [`Plan`] is everything that can be known without the
//! weights, which is what a dry run shows; [`run()`] trains. [`judge`] is about verifiers: their rows, scores and calibration.

pub mod attempts;
pub mod device;
pub mod estimate;
pub mod failure;
pub mod judge;
pub mod model;
pub mod new_file;
pub mod plan;
pub mod run;
pub mod settings;
pub mod words;

pub use failure::Failure;
pub use new_file::NewFile;
pub use plan::Plan;
pub use run::run;
pub use settings::Settings;
