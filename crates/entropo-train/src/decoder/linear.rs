//! A linear layer, laid out as in Hugging Face checkpoints.

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor};

use super::lora::LoraPair;

/// `x W^T + b`, plus what an attached adapter adds.
///
/// The weight is `[output, input]`, as checkpoints store it, so that it goes from file to device and back as it is. The
/// product reads it through transposed strides, which costs a matrix product nothing.
#[derive(Module, Debug)]
pub struct Linear {
    pub(crate) weight: Param<Tensor<2>>, // [output, input]
    pub(super) bias: Option<Param<Tensor<1>>>,
    pub(crate) lora: Option<LoraPair>,
}

impl Linear {
    /// Of the weight: `[output, input]`.
    pub(crate) fn shape(&self) -> [usize; 2] {
        self.weight.lazy_shape().dims()
    }

    /// `[.., input]` to `[.., output]`.
    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let shape = x.dims();
        let input = shape.last().copied().unwrap_or(1).max(1);
        let rows = x.reshape([shape.iter().product::<usize>() / input, input]);
        let mut y = rows.clone().matmul(self.weight.val().transpose());
        if let Some(bias) = &self.bias {
            y = y + bias.val().unsqueeze();
        }
        if let Some(lora) = &self.lora {
            let dtype = y.dtype();
            y = (y.cast(DType::F32) + lora.forward(rows)).cast(dtype);
        }
        let mut result = shape;
        let [_, output] = y.dims();
        if let Some(last) = result.last_mut() {
            *last = output;
        }
        y.reshape(result)
    }
}
