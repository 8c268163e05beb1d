//! A low-rank change of one linear layer (Hu et al. 2021).

use burn::module::{Module, Param};
use burn::tensor::Tensor;

/// Adds `scale * B A x` to what a [`Linear`](super::linear::Linear) gives.
#[derive(Module, Debug)]
pub(crate) struct LoraPair {
    pub(crate) a: Param<Tensor<2>>, // [rank, input]
    pub(crate) b: Param<Tensor<2>>, // [output, rank]
    #[module(skip)]
    pub(crate) scale: f64,
}

impl LoraPair {
    /// `[row, input]` to `[row, output]`.
    pub(super) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        x.matmul(self.a.val().transpose()).matmul(self.b.val().transpose()).mul_scalar(self.scale)
    }
}
