//! The matrix of a linear layer, as it is kept.

use burn::module::{Module, Param, ParamId};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::adapter::QuantisationConfig;
use crate::ops::packed::Packing;

/// A weight `[output, input]`.
#[derive(Module, Debug)]
pub(crate) enum Weight {
    /// In floats, which can learn.
    Whole(Param<Tensor<2>>),
    /// In a few bits, which cannot. Floats are made of it for one product at a time.
    Packed(Packed),
}

/// A quantised weight.
#[derive(Module, Debug)]
pub(crate) struct Packed {
    words: Param<Tensor<2, Int>>, // [output, words]
    scales: Param<Tensor<2>>,     // [output, blocks], f32
    #[module(skip)]
    packing: Packing,
}

impl Weight {
    /// `[output, input]`
    pub(crate) fn shape(&self) -> [usize; 2] {
        match self {
            Self::Whole(weight) => weight.lazy_shape().dims(),
            Self::Packed(packed) => packed.shape(),
        }
    }

    pub(crate) fn device(&self) -> Device {
        match self {
            Self::Whole(weight) => weight.lazy_device(),
            Self::Packed(packed) => packed.scales.lazy_device(),
        }
    }

    /// As it is computed with.
    pub(crate) fn values(&self, dtype: DType) -> Tensor<2> {
        match self {
            Self::Whole(weight) => weight.val().cast(dtype),
            Self::Packed(packed) => packed.values().cast(dtype),
        }
    }

    /// As it learns; nothing if it does not.
    pub(crate) fn whole(&self) -> Option<&Param<Tensor<2>>> {
        match self {
            Self::Whole(weight) => Some(weight),
            Self::Packed(_) => None,
        }
    }

    /// In floats: what was whole is shared.
    pub(crate) fn dequantised(self) -> Param<Tensor<2>> {
        match self {
            Self::Whole(weight) => weight,
            Self::Packed(packed) => Param::from_tensor(packed.values()),
        }
    }
}

impl Packed {
    /// Packs a matrix on the host, of any type of floats, and puts it on a device.
    pub(crate) fn new(weight: TensorData, config: &QuantisationConfig, device: &Device) -> Self {
        let width = weight.shape().get(1).copied().unwrap_or_default();
        let packing = config.packing(width);
        let values: Vec<f32> = weight.iter::<f32>().collect();
        let (words, scales) = packing.pack(&values, device);
        let scales = Param::from_tensor(scales).set_require_grad(false);
        Self { words: Param::initialized(ParamId::new(), words), scales, packing }
    }

    fn shape(&self) -> [usize; 2] {
        let [output, _] = self.scales.lazy_shape().dims();
        [output, self.packing.width]
    }

    fn values(&self) -> Tensor<2> {
        self.packing.unpack(&self.words.val(), &self.scales.val())
    }
}

/// Whether a parameter, by its name in the module, is of a quantised weight and not of a checkpoint.
pub(crate) fn is_of_packed(name: &str) -> bool {
    name.ends_with(".weight.words") || name.ends_with(".weight.scales")
}
