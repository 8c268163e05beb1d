//! A frozen base in a few bits (QLoRA, Dettmers et al. 2023, arXiv 2305.14314).

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::error::AdapterError;
use crate::decoder::Decoder;
use crate::decoder::weight::{Packed, Weight};
use crate::ops::packed::{Codes, Packing};

/// How the weights of a frozen base are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuantisationConfig {
    /// Bits of a weight. Default 4.
    pub bits: Bits,
    /// Neighbouring weights of a row that have a scale of 32 bits in common: a multiple of 8, from 8 to 4096. The last block
    /// of a row may be shorter. Default 64, which adds half a bit to each weight.
    pub block: usize,
}

/// Bits of a quantised weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Bits {
    /// 4 bits: NF4, whose values lie where weights are dense. At most 0.152 scales off.
    #[default]
    Four,
    /// 8 bits: 255 values at equal distances. At most 0.004 scales off.
    Eight,
}

impl TryFrom<u8> for Bits {
    type Error = String;

    fn try_from(bits: u8) -> Result<Self, String> {
        match bits {
            4 => Ok(Self::Four),
            8 => Ok(Self::Eight),
            other => Err(format!("`bits` is {other}, expected 4 or 8")),
        }
    }
}

impl From<Bits> for u8 {
    fn from(bits: Bits) -> Self {
        match bits {
            Bits::Four => 4,
            Bits::Eight => 8,
        }
    }
}

impl Default for QuantisationConfig {
    fn default() -> Self {
        Self { bits: Bits::Four, block: 64 }
    }
}

impl QuantisationConfig {
    /// Refuses a block out of range.
    ///
    /// # Errors
    /// [`AdapterError::Invalid`], naming the setting.
    pub fn validate(&self) -> Result<(), AdapterError> {
        if self.block.is_multiple_of(8) && (8..=4096).contains(&self.block) {
            return Ok(());
        }
        let (key, found) = ("block".to_owned(), self.block.to_string());
        Err(AdapterError::Invalid { key, found, expected: "a multiple of 8 from 8 to 4096" })
    }

    /// For a matrix of so many columns.
    pub(crate) fn packing(&self, width: usize) -> Packing {
        let codes = match self.bits {
            Bits::Four => Codes::Normal4,
            Bits::Eight => Codes::Uniform8,
        };
        Packing { codes, block: self.block, width }
    }
}

impl Decoder {
    /// This decoder with the weights of its blocks' linear layers in a few bits, experts included. Embedding, head, norms,
    /// biases and routers stay as they are and are shared, and so does an adapter. Weights that are quantised already are
    /// dequantised first.
    ///
    /// Such a decoder computes as ever: a weight becomes floats for each product and is dropped after it, so that no more
    /// than one is in floats at a time. It learns only with an adapter, and its reference is the quantised base.
    ///
    /// # Errors
    /// [`AdapterError::Invalid`] for a block out of range.
    pub fn quantised(&self, config: &QuantisationConfig) -> Result<Self, AdapterError> {
        config.validate()?;
        let mut quantised = self.clone();
        for (_, linear) in quantised.block_linears_mut() {
            let values = linear.weight.clone().dequantised().val();
            let device = values.device();
            linear.weight = Weight::Packed(Packed::new(values.into_data(), config, &device));
        }
        Ok(quantised)
    }

    /// This decoder with all its weights in floats; those that were quantised are what they were computed with, in f32.
    pub fn dequantised(&self) -> Self {
        let mut whole = self.clone();
        for (_, linear) in whole.block_linears_mut() {
            if let Weight::Packed(_) = linear.weight {
                linear.weight = Weight::Whole(linear.weight.clone().dequantised());
            }
        }
        whole
    }

    /// Whether weights are quantised.
    pub fn is_quantised(&self) -> bool {
        self.clone().block_linears_mut().iter().any(|(_, linear)| linear.weight.whole().is_none())
    }

    /// Bytes that the parameters take on their device, an adapter's included.
    pub fn stored_bytes(&self) -> u64 {
        #[derive(Default)]
        struct Bytes(u64);
        impl burn::module::ModuleVisitor for Bytes {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let value = param.val();
                self.0 += (value.shape().num_elements() * value.dtype().size()) as u64;
            }
            fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, burn::tensor::Int>>) {
                let value = param.val();
                self.0 += (value.shape().num_elements() * value.dtype().size()) as u64;
            }
        }
        let mut bytes = Bytes::default();
        self.visit(&mut bytes);
        bytes.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_strictly() {
        let read = |text: &str| serde_json::from_str::<QuantisationConfig>(text);
        assert_eq!(read("{}").unwrap(), QuantisationConfig { bits: Bits::Four, block: 64 });
        let eight = QuantisationConfig { bits: Bits::Eight, block: 32 };
        assert_eq!(read(&serde_json::to_string(&eight).unwrap()).unwrap(), eight);
        assert_eq!(serde_json::to_string(&eight).unwrap(), r#"{"bits":8,"block":32}"#);
        assert!(read(r#"{"bits":5}"#).unwrap_err().to_string().contains("`bits` is 5, expected 4 or 8"));
        assert!(read(r#"{"blocks":64}"#).is_err());
        for block in [0, 4, 12, 4104] {
            let error = QuantisationConfig { block, ..eight }.validate().unwrap_err().to_string();
            assert_eq!(error, format!("`block` is {block}, expected a multiple of 8 from 8 to 4096"));
        }
        eight.validate().unwrap();
    }
}
