//! Keeping a conversation within the model's context.
//!
//! A [`Condenser`] is asked before every model call, and once more when the model says that its context is full. It decides
//! what the model reads in the place of old messages; the conversation itself stays as it was. Each condensation is an
//! [event](crate::observe::Event::Condensed), is kept in the
//! [trajectory](entropo_core::Trajectory::condensations), and begins a new segment of the token trace, so that training sees
//! exactly what the model saw. An agent without a condenser never condenses.
//!
//! [`DropObservations`] leaves old tool answers out; [`Summarise`] has a model write what happened so far. The task, which
//! is every message before the model's first, is never touched, and no call loses its answer: what would do so is refused
//! ([`Condensation::check`](entropo_core::Condensation::check)).
//!
//! ```
//! use std::sync::Arc;
//!
//! use entropo_agent::{Agent, DropObservations, ScriptedModel};
//!
//! let model = Arc::new(ScriptedModel::new("m", Vec::new()));
//! // For a model with a context of 32,768 tokens that writes up to 4,096.
//! let agent = Agent::new(model).condenser(Arc::new(DropObservations::above(28_000).keep(6)));
//! ```

mod context;
mod drop_observations;
mod summarise;

use async_trait::async_trait;
use entropo_core::{Replacement, Usage};

pub use context::Context;
pub use drop_observations::DropObservations;
pub use summarise::Summarise;

use crate::model::ModelError;

/// Decides what the model reads in the place of old messages.
#[async_trait]
pub trait Condenser: Send + Sync {
    /// What the context should be from now on; `None` leaves it as it is. If the context is [full](Context::full), what is
    /// returned must be shorter, or the run ends.
    async fn condense(&self, context: &Context<'_>) -> Result<Option<Condensed>, ModelError>;
}

/// A shorter context.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Condensed {
    /// What stands in for what, in the whole [conversation](Context::messages): replacements of earlier condensations hold
    /// no longer, unless they are repeated here.
    pub replacements: Vec<Replacement>,
    /// What it took to make it.
    pub usage: Usage,
}
