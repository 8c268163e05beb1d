//! Coding agents that learn: rollouts in sandboxed repositories, hybrid selection and EntroPO training in one process.

pub use entropo_agent as agent;
pub use entropo_core as core;
#[cfg(feature = "tools")]
pub use entropo_tools as tools;
#[cfg(feature = "train")]
pub use entropo_train as train;
