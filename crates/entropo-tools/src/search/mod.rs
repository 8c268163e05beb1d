//! The tools with which an agent finds its way through a workspace.
//!
//! They search in this process with ripgrep's own libraries, several files at a time: in linear time whatever the
//! pattern, past binary files and past what `.gitignore` names, never through a symbolic link. Each shows the first of
//! what it finds in a fixed order and counts the rest, so that the same call gives the same answer however the threads
//! ran, and the memory it takes does not grow with what there is to find.

mod first;
mod glob;
mod grep;
mod opener;
#[cfg(feature = "syntax")]
mod outline;
mod query;
mod scan;
mod text;
mod walk;

pub use glob::{Glob, GlobArgs};
pub use grep::{Grep, GrepArgs, Show};
#[cfg(feature = "syntax")]
pub use outline::{Outline, OutlineArgs};
pub use text::{Search, SearchArgs};

/// The workspace itself, where a tool is told no path.
fn everything() -> String {
    ".".to_owned()
}

/// A name as it is shown: what would break its line is replaced.
fn shown(name: &str) -> String {
    name.replace(|character: char| character.is_control(), "\u{fffd}")
}
