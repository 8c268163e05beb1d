//! A linear layer, laid out as in Hugging Face checkpoints.

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor};

use super::gradients::Gradients;
use super::lora::LoraPair;
use super::weight::Weight;

/// `x W^T + b`, plus what an attached adapter adds.
///
/// The weight is `[output, input]`, as checkpoints store it, so that it goes from file to device and back as it is. The
/// product reads it through transposed strides, which costs a matrix product nothing.
#[derive(Module, Debug)]
pub struct Linear {
    pub(crate) weight: Weight, // [output, input]
    pub(super) bias: Option<Param<Tensor<1>>>,
    pub(crate) lora: Option<LoraPair>,
}

impl Linear {
    /// Of the weight: `[output, input]`.
    pub(crate) fn shape(&self) -> [usize; 2] {
        self.weight.shape()
    }

    /// `[row, input]` to `[row, output]`.
    pub(crate) fn forward(&self, x: &Tensor<2>) -> Tensor<2> {
        let dtype = x.dtype();
        let mut y = x.clone().matmul(self.weight.values(dtype).transpose());
        if let Some(bias) = &self.bias {
            y = y + bias.val().cast(dtype).unsqueeze();
        }
        match &self.lora {
            Some(lora) => (y.cast(DType::F32) + lora.forward(x)).cast(dtype),
            None => y,
        }
    }

    /// From the gradient of the result to that of the input: `[row, output]` to `[row, input]`.
    pub(crate) fn backward(&self, x: &Tensor<2>, dy: &Tensor<2>, gradients: &mut Gradients) -> Tensor<2> {
        let dtype = x.dtype();
        if let Some(weight) = self.weight.whole() {
            gradients.add(weight, || dy.clone().transpose().matmul(x.clone()));
        }
        if let Some(bias) = &self.bias {
            let [output] = bias.lazy_shape().dims();
            gradients.add(bias, || dy.clone().cast(DType::F32).sum_dim(0).reshape([output]));
        }
        let dx = dy.clone().matmul(self.weight.values(dtype));
        match &self.lora {
            Some(lora) => (dx.cast(DType::F32) + lora.backward(x, dy, gradients)).cast(dtype),
            None => dx,
        }
    }
}
