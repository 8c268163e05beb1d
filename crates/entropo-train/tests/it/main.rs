//! Whole-crate tests, by topic.

#[cfg(test)]
mod adapter;
#[cfg(test)]
mod checkpoint;
#[cfg(test)]
mod config;
#[cfg(test)]
mod data;
#[cfg(test)]
mod dataset;
#[cfg(test)]
mod decoder;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod generate;
#[cfg(test)]
mod gradients;
#[cfg(test)]
mod learner;
#[cfg(test)]
mod monitor;
#[cfg(test)]
mod optimizers;
#[cfg(test)]
mod support;
#[cfg(test)]
mod text;
#[cfg(test)]
mod training;
#[cfg(test)]
mod verifier;
