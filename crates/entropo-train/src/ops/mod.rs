//! The operations that a decoder is made of, forward and backward.
//!
//! Gradients are written out by hand instead of being traced: what a backward pass needs is then known and small, a block
//! can be recomputed instead of kept, and on the CPU each operation is one pass over its memory. Every operation has two
//! forms behind one function: tensor operations, which run on any backend (and which burn's autodiff can trace, so that the
//! two derivatives can be compared), and loops over slices where the tensors lie in this process's memory as f32.
//!
//! Whatever is computed in parallel is cut in the same places for any number of threads, and parts are added in order: the
//! number of threads changes no bit.

pub(crate) mod adamw;
pub(crate) mod attention;
pub(crate) mod embedding;
pub(crate) mod gated;
pub(crate) mod heads;
pub(crate) mod host;
pub(crate) mod math;
pub(crate) mod norm;
pub(crate) mod packed;
pub(crate) mod parallel;
pub(crate) mod rotary;
pub(crate) mod squares;
pub(crate) mod vocabulary;
