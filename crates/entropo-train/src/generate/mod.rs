//! Generation on the host's cores: many sequences at once, each with its own cache.
//!
//! Rollouts must be repeatable: what a request samples may depend on its prompt, its settings and its seed, but not on
//! which other requests happen to be in the batch, on the number of threads, or on whether its prompt was computed anew
//! or found in the cache. General matrix libraries do not promise that. The kernels here do: every row is computed by the
//! same operations in the same order whatever stands beside it, every product fused with the addition that follows, so
//! that not even the processor's vector width changes a bit. They are also several times faster than going through
//! tensors token by token, and read bf16 weights as they are stored.
//!
//! [`HostDecoder`] holds the weights in the kernels' layout. [`Engine`] serves requests: one thread decides what each
//! pass of the decoder computes (continuous batching, within a budget of memory, prompts that begin alike computed once),
//! and the cores share the pass. A reply comes as a [`TokenStream`] or as a whole; it ends by token ids, by length, or by
//! any [`StopRule`], such as [`StopStrings`]. [`LocalModel`](crate::LocalModel) is the engine behind a chat template.

mod admission;
mod cache;
mod engine;
mod error;
mod experts;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod families;
mod filter;
mod forward;
mod kernel;
mod mass;
mod open;
mod prefix;
mod request;
mod sampler;
mod scheduler;
mod sequence;
mod stop;
mod stream;
mod weights;

pub use engine::{Engine, EngineConfig};
pub use error::EngineError;
pub use request::{Ending, GenerateRequest, Generated, SampledToken, Streamed};
pub use sampler::log_softmax;
pub use scheduler::EngineStats;
pub use stop::{StopRule, StopStrings};
pub use stream::TokenStream;
pub use weights::{HostDecoder, Precision};
