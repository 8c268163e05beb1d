//! burn's wgpu backend against the reference data: decoders, ten steps of every objective, and generation from what a
//! device has trained.
//!
//! A program of its own because the default device changes with the feature `wgpu`, and so everything that the suite `it`
//! asks of the default device is asked of this one. Without a GPU it runs on Mesa's software Vulkan:
//!
//! ```sh
//! XDG_RUNTIME_DIR=/tmp cargo test -p entropo-train --no-default-features --features wgpu --test vulkan
//! ```
//!
//! Every kernel is compiled for its shape when it is first used, which takes longer than to run it.

#[cfg(test)]
mod device;
#[cfg(test)]
#[path = "../it/fixtures/mod.rs"]
mod fixtures;
#[cfg(test)]
mod generate;
#[cfg(test)]
#[path = "../it/support.rs"]
#[allow(dead_code)] // the suite `it` needs more of it
mod support;
