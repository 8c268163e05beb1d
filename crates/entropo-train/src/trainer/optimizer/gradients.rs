//! The length of a gradient over all parameters.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};

use super::super::error::TrainError;
use crate::decoder::Decoder;
use crate::ops::squares;

/// Euclidean norm over all gradients, an error if it is not finite.
pub(crate) fn finite_norm(decoder: &Decoder, gradients: &GradientsParams) -> Result<f64, TrainError> {
    struct Squares<'a>(&'a GradientsParams, f64, Vec<Tensor<1>>);
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                match squares::sum(&gradient) {
                    Some(sum) => self.1 += sum,
                    None => self.2.push(gradient.cast(DType::F32).square().sum()),
                }
            }
        }
    }
    let mut squares = Squares(gradients, 0.0, Vec::new());
    decoder.visit(&mut squares);
    let Squares(_, mut sum, elsewhere) = squares;
    if !elsewhere.is_empty() {
        // Brought to the host together: a device is waited for once.
        sum += Tensor::cat(elsewhere, 0).into_data().iter::<f64>().sum::<f64>();
    }
    let norm = sum.sqrt();
    if norm.is_finite() { Ok(norm) } else { Err(TrainError::NotFinite { what: "gradient norm", value: norm }) }
}
