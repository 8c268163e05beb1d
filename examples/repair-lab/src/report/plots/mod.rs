//! Plots as inline SVG, in colours that the page gives.
//!
//! No text of a run is ever drawn: names stand in the page's own, escaped legend.

mod rollouts;
mod training;

use serde::Serialize;

pub(super) use entropo::core::plot::strips::{axis, domain, strip};
pub(super) use entropo::core::plot::{COLOURS, PlotError, mark};
pub(super) use rollouts::by_rollouts;
pub(super) use training::training;

/// A plot and what it is called.
#[derive(Debug, Serialize)]
pub(super) struct Panel {
    /// What is plotted.
    pub(super) title: String,
    /// How to read it.
    pub(super) note: String,
    /// The drawing.
    pub(super) svg: String,
}
