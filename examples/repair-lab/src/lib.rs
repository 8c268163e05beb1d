//! The repair lab.
pub mod environment;
pub mod task;
pub mod teacher;
pub mod transcripts;
pub mod vocabulary;

/// First seed of the tasks that a policy is trained on; disjoint from all others.
pub const TRAINING_TASKS: u64 = 1 << 32;
/// Distance between the training tasks of two seeds.
pub const SEED_STRIDE: u64 = 1 << 24;
