//! What must hold of everything that reads a model's output, whatever it reads.
//!
//! One function a target, from bytes to a panic if anything is wrong. libFuzzer calls them (`scripts/fuzz.sh`), and a
//! test calls them with the corpora that it found. Inputs are text as far as possible, so that a corpus can be read: parts are
//! divided by a line `%%`, and within a part by a line `%`.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic is how a target says that something is wrong")]

mod dialect;
mod editor;
mod log;
mod patch;
mod place;

pub use dialect::dialect;
pub use editor::editor;
pub use log::log;
pub use patch::patch;

/// Parts of an input, divided by lines of nothing but `mark`.
fn parts<'a>(input: &'a [u8], mark: &str) -> Vec<&'a [u8]> {
    let mark = format!("\n{mark}\n").into_bytes();
    let mut parts = Vec::new();
    let mut rest = input;
    while let Some(at) = rest.windows(mark.len()).position(|window| window == mark) {
        let (part, after) = rest.split_at(at);
        parts.push(part);
        rest = after.split_at(mark.len()).1;
    }
    parts.push(rest);
    parts
}

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}
