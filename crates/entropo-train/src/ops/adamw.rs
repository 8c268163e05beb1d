//! One step of AdamW (Loshchilov and Hutter 2019) in one pass over memory.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::host::{Owned, Values};
use super::parallel::vectorised;

/// Numbers in a task.
const TASK: usize = 1 << 14;

/// What a step is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) learning_rate: f64,
    pub(crate) betas: (f32, f32),
    pub(crate) epsilon: f32,
    pub(crate) weight_decay: f32,
    /// What gradients are multiplied by first.
    pub(crate) scale: f64,
    /// Steps including this one.
    pub(crate) time: usize,
}

/// A parameter and its two moments, `[size]` each.
pub(crate) type State = [Tensor<1>; 3];

/// `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`, `p = p (1 - lr decay) - lr m' / (sqrt(v') + epsilon)`, where the
/// moments are divided by `1 - b^time`. The parameter may be of any precision; the moments and the arithmetic are f32.
pub(crate) fn step([parameter, first, second]: State, gradient: &Tensor<1>, step: Step) -> State {
    let [size] = gradient.dims();
    let here = Values::of(&parameter).is_some() && Values::of(&first).is_some() && Values::of(&second).is_some();
    let Some(gradient) = Values::of(gradient).filter(|_| here) else {
        return traced([parameter, first, second], gradient.clone(), step);
    };
    let mut state = [Owned::of(parameter), Owned::of(first), Owned::of(second)];
    let constants = Constants::of(step);
    let [parameter, first, second] = &mut state;
    let moments = first.as_mut_slice().par_chunks_mut(TASK).zip(second.as_mut_slice().par_chunks_mut(TASK));
    let parts = parameter.as_mut_slice().par_chunks_mut(TASK).zip(moments).zip(gradient.as_slice().par_chunks(TASK));
    parts.for_each(|((parameter, (first, second)), gradient)| {
        vectorised(
            #[inline(always)]
            || {
                let moments = first.iter_mut().zip(second.iter_mut());
                for ((p, (m, v)), g) in parameter.iter_mut().zip(moments).zip(gradient) {
                    constants.apply(p, m, v, *g);
                }
            },
        );
    });
    state.map(|values| values.into_tensor([size]))
}

struct Constants {
    scale: f32,
    kept: f32,
    betas: (f32, f32),
    rate: f32,
    root: f32,
    epsilon: f32,
}

impl Constants {
    fn of(step: Step) -> Self {
        let correction = |beta: f32| 1.0 - f64::from(beta).powf(step.time as f64);
        Self {
            scale: step.scale as f32,
            kept: (1.0 - step.learning_rate * f64::from(step.weight_decay)) as f32,
            betas: step.betas,
            rate: (step.learning_rate / correction(step.betas.0)) as f32,
            root: (1.0 / correction(step.betas.1).sqrt()) as f32,
            epsilon: step.epsilon,
        }
    }

    #[inline(always)]
    fn apply(&self, p: &mut f32, m: &mut f32, v: &mut f32, g: f32) {
        let g = g * self.scale;
        *m = self.betas.0 * *m + (1.0 - self.betas.0) * g;
        *v = self.betas.1 * *v + (1.0 - self.betas.1) * g * g;
        *p = *p * self.kept - self.rate * *m / (v.sqrt() * self.root + self.epsilon);
    }
}

/// The same as tensor operations.
fn traced([parameter, first, second]: State, gradient: Tensor<1>, step: Step) -> State {
    let constants = Constants::of(step);
    let (beta_1, beta_2) = constants.betas;
    let gradient = gradient.mul_scalar(constants.scale);
    let first = first.mul_scalar(beta_1) + gradient.clone().mul_scalar(1.0 - beta_1);
    let second = second.mul_scalar(beta_2) + (gradient.clone() * gradient).mul_scalar(1.0 - beta_2);
    let divisor = second.clone().sqrt().mul_scalar(constants.root).add_scalar(constants.epsilon);
    let change = (first.clone() / divisor).mul_scalar(constants.rate);
    let dtype = parameter.dtype();
    let parameter = parameter.cast(first.dtype()).mul_scalar(constants.kept) - change;
    [parameter.cast(dtype), first, second]
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    /// Both forms against the formula in f64.
    #[test]
    fn a_step_is_the_formula() {
        let device = Device::default();
        let tensor = |f: fn(f64) -> f64| {
            let values: Vec<f32> = (0..40_000).map(|at| f(f64::from(at)) as f32).collect();
            Tensor::<1>::from_data(TensorData::new(values, [40_000]), &device)
        };
        let host = |tensor: &Tensor<1>| -> Vec<f64> { tensor.to_data().iter::<f64>().collect() };
        let state =
            [tensor(|x| (x * 0.3).sin()), tensor(|x| (x * 0.7).cos() * 0.1), tensor(|x| (x * 0.2).sin().powi(2))];
        let gradient = tensor(|x| (x * 0.9).cos());
        let settings =
            Step { learning_rate: 0.05, betas: (0.9, 0.99), epsilon: 1e-6, weight_decay: 0.1, scale: 0.5, time: 3 };
        let fused = step(state.clone(), &gradient, settings);
        let plain = traced(state.clone(), gradient.clone(), settings);
        let [p, m, v] = [&state[0], &state[1], &state[2]].map(host);
        for (at, g) in host(&gradient).into_iter().enumerate() {
            let g = 0.5 * g;
            let (m, v) = (0.9 * m[at] + 0.1 * g, 0.99 * v[at] + 0.01 * g * g);
            let corrected = (m / (1.0 - 0.9f64.powi(3)), v / (1.0 - 0.99f64.powi(3)));
            let expected = [p[at] * (1.0 - 0.05 * 0.1) - 0.05 * corrected.0 / (corrected.1.sqrt() + 1e-6), m, v];
            if at % 997 == 0 {
                for (form, name) in [(&fused, "fused"), (&plain, "plain")] {
                    for (part, expected) in form.iter().zip(expected) {
                        let actual = host(part)[at];
                        assert!((actual - expected).abs() < 1e-5, "{name} {at}: {actual} {expected}");
                    }
                }
            }
        }
    }
}
