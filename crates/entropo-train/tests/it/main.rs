//! Whole-crate tests, by topic.

#[cfg(test)]
mod fixtures;
