//! Generation on the host's cores: many sequences at once, each with its own cache.
//!
//! Rollouts must be repeatable: what a request samples may depend on its prompt, its settings and its seed, but not on
//! which other requests happen to be in the batch, on the number of threads, or on whether its prompt was computed anew
//! or found in the cache. General matrix libraries do not promise that. The kernels here do: every row is computed by the
//! same operations in the same order whatever stands beside it, every product fused with the addition that follows, so
//! that not even the processor's vector width changes a bit. They are also several times faster than going through
//! tensors token by token, and read bf16 weights as they are stored.
//!
//! [`HostDecoder`] holds the weights in the kernels' layout, [`Engine`] serves requests from worker threads with
//! continuous batching, and [`LocalModel`](crate::LocalModel) is the engine behind a chat template.

mod cache;
mod engine;
mod experts;
#[cfg(test)]
mod families;
mod forward;
mod kernel;
mod open;
mod prefix;
mod sampler;
mod weights;

pub use engine::{Engine, EngineConfig, EngineError, GenerateRequest, Generated};
pub use sampler::log_softmax;
pub use weights::{HostDecoder, Precision};
