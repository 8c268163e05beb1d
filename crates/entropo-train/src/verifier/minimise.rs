//! The minimum of a smooth convex function, by L-BFGS (Nocedal and Wright, Numerical Optimization, algorithm 7.5) with
//! steps that are halved until they pay.

use std::collections::VecDeque;

/// Pairs of steps and changes of the gradient that are remembered.
const MEMORY: usize = 10;
/// The share of the decrease that the slope promises which a step must bring.
const PROMISED: f64 = 1e-4;
/// Halvings after which no step pays.
const HALVINGS: usize = 60;

/// Where the search ended.
#[derive(Clone, Debug)]
pub(super) struct Minimum {
    pub(super) at: Vec<f64>,
    pub(super) value: f64,
    pub(super) steps: usize,
    /// The largest component of the gradient there.
    pub(super) slope: f64,
}

/// Searches from zero on until no component of the gradient is larger than `tolerance`, for at most `steps` steps. `of`
/// gives the value at a point and writes the gradient.
pub(super) fn minimise(
    size: usize,
    steps: usize,
    tolerance: f64,
    mut of: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Minimum {
    let (mut at, mut gradient) = (vec![0.0; size], vec![0.0; size]);
    let mut value = of(&at, &mut gradient);
    let mut memory: VecDeque<[Vec<f64>; 2]> = VecDeque::new();
    let mut taken = 0;
    while taken < steps && largest(&gradient) > tolerance {
        let direction = direction(&gradient, &memory);
        let slope = dot(&direction, &gradient);
        let mut next_gradient = vec![0.0; size];
        let found = (0..HALVINGS).find_map(|halvings| {
            let length = 0.5f64.powi(halvings as i32);
            let next: Vec<f64> = at.iter().zip(&direction).map(|(at, step)| at + length * step).collect();
            let reached = of(&next, &mut next_gradient);
            (reached <= value + PROMISED * length * slope).then_some((next, reached))
        });
        // Only rounding keeps a step downhill from paying.
        let Some((next, reached)) = found else { break };
        let changes = [difference(&next, &at), difference(&next_gradient, &gradient)];
        if dot(&changes[0], &changes[1]) > 0.0 {
            memory.truncate(MEMORY - 1);
            memory.push_front(changes);
        }
        (at, gradient, value) = (next, next_gradient, reached);
        taken += 1;
    }
    Minimum { at, value, steps: taken, slope: largest(&gradient) }
}

/// Downhill, as steep as what is remembered of the curvature says.
fn direction(gradient: &[f64], memory: &VecDeque<[Vec<f64>; 2]>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
    let mut shares = Vec::with_capacity(memory.len());
    for [step, change] in memory {
        let share = dot(step, &direction) / dot(step, change);
        add(&mut direction, -share, change);
        shares.push(share);
    }
    if let Some([step, change]) = memory.front() {
        let scale = dot(step, change) / dot(change, change);
        direction.iter_mut().for_each(|value| *value *= scale);
    }
    for ([step, change], share) in memory.iter().zip(shares).rev() {
        let back = dot(change, &direction) / dot(step, change);
        add(&mut direction, share - back, step);
    }
    direction
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

fn add(to: &mut [f64], factor: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += factor * what);
}

fn difference(one: &[f64], other: &[f64]) -> Vec<f64> {
    one.iter().zip(other).map(|(one, other)| one - other).collect()
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| f64::max(largest, value.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_valley_is_followed_to_its_end() {
        let (centre, widths) = ([3.0, -2.0, 0.5], [1.0, 1e3, 1e-2]);
        let minimum = minimise(3, 200, 1e-9, |at, gradient| {
            let mut value = 0.0;
            for index in 0..3 {
                let away = at[index] - centre[index];
                gradient[index] = widths[index] * away;
                value += 0.5 * widths[index] * away * away;
            }
            value
        });
        assert!(minimum.slope <= 1e-9 && minimum.steps < 60, "{minimum:?}");
        for (found, expected) in minimum.at.iter().zip(centre) {
            assert!((found - expected).abs() < 1e-6, "{minimum:?}");
        }
    }
}
