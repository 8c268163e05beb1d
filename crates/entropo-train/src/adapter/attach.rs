//! Adapters on decoders.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::error::AdapterError;
use super::{Adapter, LowRank};
use crate::checkpoint::{Problem, Problems};
use crate::decoder::Decoder;
use crate::decoder::linear::Linear;
use crate::decoder::lora::{Dropout, LoraPair, Pass};
use crate::decoder::place::Place;
use crate::decoder::weight::{Weight, is_of_packed};

impl Decoder {
    /// This decoder with an adapter, in the place of one that it may have. All tensors are shared; in training they are
    /// frozen, and only the adapter learns.
    ///
    /// # Errors
    /// [`AdapterError::Mismatch`] if the adapter changes layers that are not there or of other shapes.
    pub fn with_adapter(&self, adapter: &Adapter) -> Result<Self, AdapterError> {
        let problems = misfits(&self.linear_shapes(), adapter);
        if !problems.is_empty() {
            return Err(AdapterError::Mismatch { origin: "the adapter".to_owned(), problems: Problems(problems) });
        }
        let mut adapted = self.without_adapter().set_require_grad(false);
        for (name, linear) in adapted.linears_mut() {
            if let Some(change) = adapter.layers.get(&name) {
                linear.lora = Some(pair(change, &linear.weight.device()));
            }
        }
        adapted.adapter = Some(adapter.config.clone());
        Ok(adapted)
    }

    /// This decoder with its adapter turned off: the base policy, over the same tensors. Trained further, it learns with
    /// all its weights.
    pub fn without_adapter(&self) -> Self {
        let mut base = self.clone();
        if base.adapter.take().is_none() {
            return base;
        }
        for (_, linear) in base.linears_mut() {
            linear.lora = None;
        }
        learnable(base)
    }

    /// The attached adapter as it is now, with what was trained.
    pub fn adapter(&self) -> Option<Adapter> {
        let config = self.adapter.clone()?;
        let host = |param: &Param<Tensor<2>>| param.val().into_data().convert::<f32>();
        let mut decoder = self.clone();
        let layers = decoder.linears_mut().into_iter().filter_map(|(name, linear)| {
            let LoraPair { a, b, scale, .. } = linear.lora.as_ref()?;
            Some((name, LowRank { a: host(a), b: host(b), scale: *scale }))
        });
        let layers = layers.collect();
        Some(Adapter { config, layers })
    }

    /// Whether an adapter is attached.
    pub fn has_adapter(&self) -> bool {
        self.adapter.is_some()
    }

    /// A decoder without adapter that computes the same: `scale * B A` is added to the weights of changed layers, in
    /// f32 and then rounded to their type. All others are shared. Without an adapter, this decoder.
    ///
    /// Quantised weights are [dequantised](Self::dequantised): the adapter was trained over what they stand for, and the
    /// sum has no such form. The original weights, which are other numbers, want an adapter that was trained over them.
    pub fn merge(&self) -> Self {
        self.folded(1.0)
    }

    /// What [`merge`](Self::merge) was made from but for rounding: `scale * B A` is subtracted. An adapter that is
    /// attached is turned off.
    ///
    /// # Errors
    /// Those of [`with_adapter`](Self::with_adapter).
    pub fn unmerge(&self, adapter: &Adapter) -> Result<Self, AdapterError> {
        Ok(self.with_adapter(adapter)?.folded(-1.0))
    }

    fn folded(&self, sign: f64) -> Self {
        let mut folded = self.dequantised();
        if folded.adapter.take().is_none() {
            return folded;
        }
        for (_, Linear { weight, lora, .. }) in folded.linears_mut() {
            if let Some(pair) = lora.take() {
                let change = pair.change().mul_scalar(sign);
                *weight = Weight::Whole(weight.clone().dequantised().map(|weight| {
                    let dtype = weight.dtype();
                    (weight.set_require_grad(false).cast(DType::F32) + change).cast(dtype)
                }));
            }
        }
        learnable(folded)
    }

    /// This decoder as it computes in one pass of an update.
    pub(crate) fn with_dropout(&self, pass: Pass) -> Self {
        let mut decoder = self.clone();
        let share = self.adapter.as_ref().map_or(0.0, |config| config.dropout);
        if share > 0.0 {
            let pairs = decoder.linears_mut().into_iter().filter_map(|(_, linear)| linear.lora.as_mut());
            for (pair, layer) in pairs.zip(0..) {
                pair.dropout = Some(Dropout { share, pass, layer });
            }
        }
        decoder
    }

    /// Names of all linear layers, and the shapes of their weights: `[output, input]`.
    pub(crate) fn linear_shapes(&self) -> Vec<(String, [usize; 2])> {
        let mut decoder = self.clone();
        decoder.linears_mut().into_iter().map(|(name, linear)| (name, linear.shape())).collect()
    }
}

/// Every change of a layer that is not there or of another shape.
fn misfits(layers: &[(String, [usize; 2])], adapter: &Adapter) -> Vec<Problem> {
    let shapes: BTreeMap<&str, [usize; 2]> = layers.iter().map(|(name, shape)| (name.as_str(), *shape)).collect();
    let mut problems = Vec::new();
    for (name, LowRank { a, b, .. }) in &adapter.layers {
        let Some(&[output, input]) = shapes.get(name.as_str()) else {
            problems.push(Problem::Unexpected(name.clone()));
            continue;
        };
        let rank = a.shape().first().copied().unwrap_or_default();
        for (part, data, expected) in [("A", a, [rank, input]), ("B", b, [output, rank])] {
            if data.shape().as_slice() != expected {
                let (name, found) = (format!("{name}.lora_{part}"), data.shape().to_vec());
                problems.push(Problem::Shape { name, found, expected: expected.to_vec() });
            }
        }
    }
    problems
}

fn pair(change: &LowRank, device: &Device) -> LoraPair {
    let param = |data: &TensorData| Param::from_tensor(Tensor::from_data(data.clone(), (device, DType::F32)));
    LoraPair { a: param(&change.a), b: param(&change.b), scale: change.scale, dropout: None }
}

/// The decoder with every weight learning that learns in a decoder without adapter.
fn learnable(decoder: Decoder) -> Decoder {
    #[derive(Default)]
    struct Thaw(Place);
    impl ModuleMapper for Thaw {
        fn enter_module(&mut self, name: &str, container_type: &str) {
            self.0.enter(name, container_type);
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.0.exit();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let name = self.0.name();
            let learns = !name.ends_with(".e_score_correction_bias") && !is_of_packed(&name);
            param.set_require_grad(learns)
        }
    }
    decoder.map(&mut Thaw::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::LoraConfig;
    use crate::decoder::DecoderConfig;

    fn decoder() -> Decoder {
        let config = DecoderConfig::from_json(
            r#"{"model_type": "qwen2", "vocab_size": 16, "hidden_size": 8, "intermediate_size": 12,
                "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
                "max_position_embeddings": 32, "rms_norm_eps": 1e-6, "tie_word_embeddings": false}"#,
            "a test",
        );
        Decoder::new(&config.unwrap(), 1, &Device::default())
    }

    /// The address of the first linear layer's values, which must be nobody else's: burn then hands out the memory
    /// itself.
    fn address(mut decoder: Decoder) -> *const u8 {
        let blank = Weight::Whole(Param::from_tensor(Tensor::zeros([1, 1], &Device::default())));
        let weight = std::mem::replace(&mut decoder.linears_mut().remove(0).1.weight, blank);
        drop(decoder);
        weight.dequantised().into_value().into_data().as_bytes().as_ptr()
    }

    /// A decoder whose first linear layer has values at a known address.
    fn placed() -> (Decoder, *const u8) {
        let mut decoder = decoder();
        let data = TensorData::new((0..64).map(|value| value as f32).collect::<Vec<_>>(), [8, 8]);
        let address = data.as_bytes().as_ptr();
        let weight = Param::from_tensor(Tensor::from_data(data, &Device::default()));
        decoder.linears_mut().remove(0).1.weight = Weight::Whole(weight);
        (decoder, address)
    }

    #[test]
    fn every_derived_decoder_has_the_very_same_weights() {
        let adapter = Adapter::new(&LoraConfig { rank: 4, ..LoraConfig::default() }, &decoder(), 1).unwrap();
        let head_alone = LoraConfig { targets: crate::adapter::Targets::names(["lm_head"]), ..LoraConfig::default() };
        let of_head = Adapter::new(&head_alone, &decoder(), 1).unwrap();
        let training = |decoder: Decoder| decoder.valid().to_device(&Device::default().autodiff()).train();
        type Derive<'a> = Box<dyn Fn(Decoder) -> Decoder + 'a>;
        let derivations: [(&str, Derive<'_>); 7] = [
            ("itself", Box::new(|base| base)),
            ("with", Box::new(|base| base.with_adapter(&adapter).unwrap())),
            ("with another", Box::new(|base| base.with_adapter(&adapter).unwrap().with_adapter(&of_head).unwrap())),
            ("without", Box::new(|base| base.with_adapter(&adapter).unwrap().without_adapter())),
            ("trained", Box::new(|base| training(base.with_adapter(&adapter).unwrap()).valid())),
            ("reference", Box::new(|base| training(base.with_adapter(&adapter).unwrap()).without_adapter().valid())),
            ("merged elsewhere", Box::new(|base| base.with_adapter(&of_head).unwrap().merge())),
        ];
        for (what, derive) in derivations {
            let (decoder, expected) = placed();
            assert_eq!(address(derive(decoder)), expected, "{what}");
        }
        // The address does tell: a layer that is changed is another.
        let (decoder, before) = placed();
        assert_ne!(address(decoder.with_adapter(&adapter).unwrap().merge()), before);
    }

    #[test]
    fn the_adapter_alone_learns_and_without_it_the_weights_do() {
        let base = decoder();
        let adapter = Adapter::new(&LoraConfig { rank: 4, ..LoraConfig::default() }, &base, 1).unwrap();
        let learning = |decoder: &Decoder| {
            let mut decoder = decoder.clone().to_device(&Device::default().autodiff()).train();
            let pairs = decoder.linears_mut().into_iter();
            let flags: Vec<_> = pairs
                .map(|(_, Linear { weight, lora, .. })| {
                    let pair = lora.as_ref().map(|pair| pair.a.is_require_grad() && pair.b.is_require_grad());
                    (weight.whole().unwrap().is_require_grad(), pair)
                })
                .collect();
            let first = flags[0];
            assert!(flags.iter().take(14).all(|flags| *flags == first));
            first
        };
        let adapted = base.with_adapter(&adapter).unwrap();
        assert_eq!(learning(&base), (true, None));
        assert_eq!(learning(&adapted), (false, Some(true)));
        assert_eq!(learning(&adapted.without_adapter()), (true, None));
        assert_eq!(learning(&adapted.merge()), (true, None));
        assert_eq!(learning(&adapted.valid()), (false, Some(true)));
    }
}
