//! An axis that is labelled exactly where it is told to be; plotters would choose places of its own.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::Ranged;

/// A linear axis and its labelled places.
pub(super) struct Axis {
    /// The scale.
    scale: RangedCoordf64,
    /// Where it is labelled.
    places: Vec<f64>,
}

impl Axis {
    /// An axis over `range`, labelled at `places`.
    pub(super) fn new(range: Range<f64>, places: Vec<f64>) -> Self {
        Self { scale: range.into(), places }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.scale.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.places.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.scale.range()
    }
}
