//! A low-rank change of one linear layer (Hu et al. 2021).

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::gradients::Gradients;

/// Adds `scale * B A x` to what a [`Linear`](super::linear::Linear) gives.
///
/// Its parameters and its arithmetic are f32 whatever the layer's type is: updates are smaller than 16 bits can tell.
#[derive(Module, Debug)]
pub(crate) struct LoraPair {
    pub(crate) a: Param<Tensor<2>>, // [rank, input]
    pub(crate) b: Param<Tensor<2>>, // [output, rank]
    #[module(skip)]
    pub(crate) scale: f64,
    /// In updates, and only if some inputs are dropped.
    #[module(skip)]
    pub(crate) dropout: Option<Dropout>,
}

/// Which inputs of one layer are dropped in one pass over one part of a batch: a function of these numbers and of
/// nothing else, so that the same pass can be made twice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropout {
    /// Share of the inputs, in `[0, 1)`.
    pub(crate) share: f64,
    pub(crate) pass: Pass,
    /// The layer among those of the adapter.
    pub(crate) layer: u64,
}

/// One pass over one part of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    /// The run's.
    pub(crate) seed: u64,
    /// Updates before it.
    pub(crate) step: u64,
    /// The part, counted from 0.
    pub(crate) part: u64,
}

impl LoraPair {
    /// `[row, input]` to `[row, output]`, f32.
    pub(super) fn forward(&self, x: &Tensor<2>) -> Tensor<2> {
        self.narrow(x).matmul(self.b.val().transpose())
    }

    /// `scale * A x` of the inputs that are not dropped: `[row, input]` to `[row, rank]`, f32.
    pub(crate) fn narrow(&self, x: &Tensor<2>) -> Tensor<2> {
        self.kept(x.clone().cast(DType::F32)).matmul(self.a.val().transpose()).mul_scalar(self.scale)
    }

    /// The gradient of the input that goes through the pair, f32: from `[row, output]` to `[row, input]`.
    pub(super) fn backward(&self, x: &Tensor<2>, dy: &Tensor<2>, gradients: &mut Gradients) -> Tensor<2> {
        let dy = dy.clone().cast(DType::F32);
        gradients.add(&self.b, || dy.clone().transpose().matmul(self.narrow(x)));
        self.narrow_backward(x, dy.matmul(self.b.val()), gradients)
    }

    /// The same from the gradient of [`narrow`](Self::narrow)'s result, `[row, rank]`.
    pub(crate) fn narrow_backward(&self, x: &Tensor<2>, dy: Tensor<2>, gradients: &mut Gradients) -> Tensor<2> {
        let dy = dy.mul_scalar(self.scale);
        gradients.add(&self.a, || dy.clone().transpose().matmul(self.kept(x.clone().cast(DType::F32))));
        self.kept(dy.matmul(self.a.val()))
    }

    /// What dropout leaves of inputs, or of their gradient.
    fn kept(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.dropout {
            Some(dropout) => dropout.apply(x),
            None => x,
        }
    }

    /// `scale * B A` without gradients, f32: `[output, input]`.
    pub(crate) fn change(&self) -> Tensor<2> {
        let [a, b] = [&self.a, &self.b].map(|param| param.val().set_require_grad(false));
        b.matmul(a).mul_scalar(self.scale)
    }
}

impl Dropout {
    /// Zeroes the dropped inputs and scales the others so that the mean stays: `[row, input]`.
    ///
    /// The mask is drawn on the host, for every device the same.
    fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        let [rows, input] = x.dims();
        let mut seed = [0; 32];
        let numbers = [self.pass.seed, self.pass.step, self.pass.part, self.layer];
        for (bytes, number) in seed.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *bytes = number.to_le_bytes();
        }
        let mut random = ChaCha8Rng::from_seed(seed);
        let kept = (1.0 / (1.0 - self.share)) as f32;
        let mask: Vec<f32> =
            (0..rows * input).map(|_| if random.random::<f64>() < self.share { 0.0 } else { kept }).collect();
        let mask = Tensor::from_data(TensorData::new(mask, [rows, input]), (&x.device(), DType::F32));
        x * mask
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_share_is_dropped_and_the_mean_stays() {
        let mask = |share: f64, seed: u64, step: u64, part: u64, layer: u64| -> Vec<f32> {
            let dropout = Dropout { share, pass: Pass { seed, step, part }, layer };
            dropout.apply(Tensor::ones([200, 100], &Device::default())).into_data().iter::<f32>().collect()
        };
        let values = mask(0.25, 1, 2, 3, 4);
        let dropped = values.iter().filter(|&&value| value == 0.0).count() as f64 / 20_000.0;
        assert!((dropped - 0.25).abs() < 0.02, "{dropped}");
        assert!(values.iter().all(|&value| value == 0.0 || value == 4.0 / 3.0));
        assert_eq!(values, mask(0.25, 1, 2, 3, 4));
        for other in [[2, 2, 3, 4], [1, 3, 3, 4], [1, 2, 4, 4], [1, 2, 3, 5], [2, 1, 3, 4]] {
            let [seed, step, part, layer] = other;
            assert_ne!(values, mask(0.25, seed, step, part, layer), "{other:?}");
        }
    }
}
