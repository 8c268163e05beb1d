//! Several sequences on a device, without padding, what they begin with in common once.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::prefixes::Prefixes;
use super::sequence::Sequence;
use crate::decoder::Layout;

/// Sequences in rows, with the places where actions are predicted.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[token]`
    pub(crate) ids: Tensor<1, Int>,
    pub(crate) layout: Layout,
    /// `[action]`: the row from which each action token is predicted.
    pub(crate) rows: Tensor<1, Int>,
    /// `[action]`: the action tokens.
    pub(crate) targets: Vec<u32>,
    /// `[sequence]`: which of the actions are its own, in order.
    places: Vec<Vec<Range<usize>>>,
}

impl Batch {
    /// Puts sequences on a device. What they begin with in common is there once, and computed once: see [`Layout`]. What
    /// follows a last action is left out.
    pub fn new(sequences: &[&Sequence], device: &Device) -> Self {
        Self::of(&Prefixes::shared(sequences), device)
    }

    /// The same with every sequence for itself.
    pub fn unshared(sequences: &[&Sequence], device: &Device) -> Self {
        Self::of(&Prefixes::apart(sequences), device)
    }

    fn of(prefixes: &Prefixes<'_>, device: &Device) -> Self {
        let mut ids: Vec<i64> = Vec::new();
        let mut layout = Layout::default();
        let (mut rows, mut targets): (Vec<i64>, Vec<u32>) = (Vec::new(), Vec::new());
        // [node]: its segment and its actions.
        let mut nodes = vec![(0, 0..0); prefixes.count()];
        for (node, parent, stretch) in prefixes.downwards() {
            let continued = parent.and_then(|parent| nodes.get(parent)).map(|(segment, _)| *segment);
            let segment = layout.push(continued, stretch.ids.len());
            let first = targets.len();
            let last_before = continued.and_then(|segment| layout.segments().get(segment)).map(|s| s.rows.end - 1);
            for (offset, (&id, &action)) in stretch.ids.iter().zip(stretch.actions).enumerate() {
                let row = ids.len();
                let before = if offset == 0 { last_before } else { Some(row - 1) };
                if let (true, Some(before)) = (action, before) {
                    rows.push(before as i64);
                    targets.push(id);
                }
                ids.push(i64::from(id));
            }
            if let Some(place) = nodes.get_mut(node) {
                *place = (segment, first..targets.len());
            }
        }
        let of_path = |path: Vec<usize>| {
            let places = path.into_iter().filter_map(|node| nodes.get(node)).map(|(_, actions)| actions.clone());
            places.filter(|actions| !actions.is_empty()).collect()
        };
        let places = prefixes.paths().map(of_path).collect();
        let vector = |values: Vec<i64>| {
            let length = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [length]), device)
        };
        Self { ids: vector(ids), layout, rows: vector(rows), targets, places }
    }

    /// Rows that are computed: tokens without padding, shared ones counted once.
    pub fn tokens(&self) -> usize {
        self.layout.tokens()
    }

    /// Action tokens that are scored, shared ones counted once.
    pub fn actions(&self) -> usize {
        self.targets.len()
    }

    /// Values per action, `[action]`, by sequence and in order.
    pub fn by_sequence<T: Copy>(&self, values: &[T]) -> Vec<Vec<T>> {
        let of_sequence = |places: &Vec<Range<usize>>| {
            places.iter().flat_map(|place| values.get(place.clone()).unwrap_or_default()).copied().collect()
        };
        self.places.iter().map(of_sequence).collect()
    }

    /// Sums of values per action by sequence, in f64: `[action]` to `[sequence]`.
    pub fn sums(&self, values: &[f32]) -> Vec<f64> {
        self.by_sequence(values).into_iter().map(|values| values.into_iter().map(f64::from).sum()).collect()
    }

    /// One weight a sequence to one an action: an action of several sequences has the sum of theirs.
    pub fn spread(&self, weights: &[f64]) -> Vec<f32> {
        let mut spread = vec![0.0f64; self.targets.len()];
        for (places, weight) in self.places.iter().zip(weights) {
            let own = places.iter().cloned();
            own.for_each(|place| spread.get_mut(place).into_iter().flatten().for_each(|sum| *sum += weight));
        }
        spread.into_iter().map(|weight| weight as f32).collect()
    }
}
