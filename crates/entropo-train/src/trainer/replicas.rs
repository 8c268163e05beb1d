//! Several copies of a decoder, on one device or several, that share the work of a step.
//!
//! burn can reduce gradients over devices too (`burn::tensor::distributed`), but between autodiff tapes, which training here
//! has none of; what is added up is a list of tensors, and moving each to the first device is all that is needed. Where a
//! part goes and in which order gradients are added is fixed, so that a run repeats bit for bit.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use super::micro::Part;
use crate::decoder::{Decoder, Gradients};

/// Copies of a decoder beside it.
#[derive(Default)]
pub(super) struct Replicas(Vec<Replica>);

enum Replica {
    /// On the decoder's own device: its tensors are shared, and none may be held while they are updated in place.
    Shared,
    /// On another one. What does not learn is copied once.
    Copied(Device, Box<Decoder>),
}

impl Replicas {
    /// One on each device.
    pub(super) fn new(devices: &[Device], decoder: &Decoder) -> Self {
        let own = decoder.device();
        let replica = |device: &Device| match device.clone().inner() {
            device if device == own => Replica::Shared,
            device => Replica::Copied(device.clone(), Box::new(decoder.clone().to_device(&device))),
        };
        Self(devices.iter().map(replica).collect())
    }

    /// The decoder and its copies.
    pub(super) fn decoders(&self, decoder: &Decoder) -> Vec<Decoder> {
        let copy = |replica: &Replica| match replica {
            Replica::Shared => decoder.clone(),
            Replica::Copied(_, copy) => copy.as_ref().clone(),
        };
        std::iter::once(decoder.clone()).chain(self.0.iter().map(copy)).collect()
    }

    /// Gives every copy what has been learned.
    pub(super) fn follow(&mut self, decoder: &Decoder) {
        if !self.0.iter().any(|replica| matches!(replica, Replica::Copied(..))) {
            return;
        }
        let mut learned = Learned { gradients: Gradients::of(decoder), values: GradientsParams::new() };
        decoder.visit(&mut learned);
        for replica in &mut self.0 {
            if let Replica::Copied(device, copy) = replica {
                let mut given = Given { device, values: &learned.values };
                **copy = copy.as_ref().clone().map(&mut given);
            }
        }
    }
}

/// The values of the parameters that learn.
struct Learned {
    gradients: Gradients,
    values: GradientsParams,
}

impl ModuleVisitor for Learned {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.gradients.wants(param) {
            self.values.register(param.id, param.val());
        }
    }
}

struct Given<'a> {
    device: &'a Device,
    values: &'a GradientsParams,
}

impl ModuleMapper for Given<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.values.get::<D>(param.id) {
            Some(value) => param.map(|_| value.to_device(self.device)),
            None => param,
        }
    }
}

/// Each decoder with its parts: they go round.
pub(super) fn shared_out<'a, 'b>(decoders: &'b [Decoder], parts: &[Part<'a>]) -> Vec<(&'b Decoder, Vec<Part<'a>>)> {
    let count = decoders.len();
    let own = |first: usize| parts.iter().skip(first).step_by(count).copied().collect();
    decoders.iter().enumerate().map(|(index, decoder)| (decoder, own(index))).collect()
}

/// Does the same with every item, each in its own thread; results are in the items' order.
pub(super) fn on_each<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    if items.len() == 1 {
        return items.into_iter().map(work).collect();
    }
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = items.into_iter().map(|item| scope.spawn(move || work(item))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, R>| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        threads.into_iter().map(join).collect()
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use crate::checkpoint::decoder_to_bytes;
    use crate::decoder::DecoderConfig;

    /// Changes every parameter.
    struct Elsewhere;

    impl ModuleMapper for Elsewhere {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|value| value.random_like(Distribution::Default))
        }
    }

    /// There is one CPU, so a copy on the same device stands for one on another.
    #[test]
    fn a_copy_follows_what_is_learned() {
        let shape = r#"{"model_type": "qwen2", "vocab_size": 16, "hidden_size": 8, "intermediate_size": 16,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": true}"#;
        let shape = DecoderConfig::from_json(shape, "a test").unwrap();
        let device = Device::default();
        let decoder = Decoder::new(&shape, 1, &device);
        let mut replicas = Replicas(vec![
            Replica::Shared,
            Replica::Copied(device.clone(), Box::new(decoder.clone().to_device(&device))),
        ]);
        let bytes = |decoder: &Decoder| decoder_to_bytes(decoder).unwrap();
        let learned = decoder.clone().map(&mut Elsewhere);
        assert!(bytes(&learned) != bytes(&decoder));
        replicas.follow(&learned);
        let [own, shared, copied] = replicas.decoders(&learned).try_into().unwrap();
        assert!(
            bytes(&own) == bytes(&learned) && bytes(&shared) == bytes(&learned) && bytes(&copied) == bytes(&learned)
        );
    }
}
