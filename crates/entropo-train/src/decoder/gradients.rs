//! Gradients of a decoder's parameters.

use std::collections::{BTreeMap, HashSet};

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor, TensorData};

use super::Decoder;
use super::place::Place;
use super::weight::is_of_packed;

/// What a backward pass found, in f32, for the parameters that learn.
#[derive(Debug)]
pub struct Gradients {
    learning: HashSet<ParamId>,
    found: GradientsParams,
}

impl Gradients {
    /// None yet, for the parameters of a decoder that learn: its adapter's if it has one, else all but the corrections
    /// that only choose experts.
    pub fn of(decoder: &Decoder) -> Self {
        #[derive(Default)]
        struct Learning(Place, HashSet<ParamId>, bool);
        impl ModuleVisitor for Learning {
            fn enter_module(&mut self, name: &str, container_type: &str) {
                self.0.enter(name, container_type);
            }
            fn exit_module(&mut self, _name: &str, _container_type: &str) {
                self.0.exit();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if learns(&self.0.name(), self.2) {
                    self.1.insert(param.id);
                }
            }
        }
        let mut learning = Learning(Place::default(), HashSet::new(), decoder.has_adapter());
        decoder.visit(&mut learning);
        Self { learning: learning.1, found: GradientsParams::new() }
    }

    /// Adds a gradient, which is not even computed for a parameter that does not learn.
    pub(crate) fn add<const D: usize>(&mut self, param: &Param<Tensor<D>>, gradient: impl FnOnce() -> Tensor<D>) {
        if self.learning.contains(&param.id) {
            self.update(param, |known| {
                let gradient = gradient().cast(DType::F32);
                known.map_or(gradient.clone(), |known| known + gradient)
            });
        }
    }

    /// Whether a parameter learns.
    pub(crate) fn wants<const D: usize>(&self, param: &Param<Tensor<D>>) -> bool {
        self.learning.contains(&param.id)
    }

    /// Takes what is known of a parameter's gradient.
    pub(crate) fn take<const D: usize>(&mut self, param: &Param<Tensor<D>>) -> Option<Tensor<D>> {
        self.found.remove(param.id)
    }

    /// Replaces what is known of a parameter's gradient.
    pub(crate) fn update<const D: usize>(
        &mut self,
        param: &Param<Tensor<D>>,
        change: impl FnOnce(Option<Tensor<D>>) -> Tensor<D>,
    ) {
        let known = self.found.remove::<D>(param.id);
        self.found.register(param.id, change(known));
    }

    /// Adds those of a replica of the decoder, from whichever device.
    pub(crate) fn absorb(&mut self, other: Self, decoder: &Decoder) {
        struct Sum<'a>(&'a mut Gradients, GradientsParams);
        impl ModuleVisitor for Sum<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if let Some(gradient) = self.1.remove::<D>(param.id) {
                    let gradient = gradient.to_device(&param.val().device());
                    self.0.update(param, |known| match known {
                        Some(known) => known + gradient,
                        None => gradient,
                    });
                }
            }
        }
        decoder.visit(&mut Sum(self, other.found));
    }

    /// By the parameters' names in a checkpoint, in f32; those of parameters that learn but had no part in it are absent.
    pub fn by_name(&self, decoder: &Decoder) -> BTreeMap<String, TensorData> {
        struct Names<'a>(Place, &'a GradientsParams, BTreeMap<String, TensorData>);
        impl ModuleVisitor for Names<'_> {
            fn enter_module(&mut self, name: &str, container_type: &str) {
                self.0.enter(name, container_type);
            }
            fn exit_module(&mut self, _name: &str, _container_type: &str) {
                self.0.exit();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if let Some(gradient) = self.1.get::<D>(param.id) {
                    self.2.insert(self.0.name(), gradient.into_data());
                }
            }
        }
        let mut names = Names(Place::default(), &self.found, BTreeMap::new());
        decoder.visit(&mut names);
        names.2
    }

    /// By parameter, as burn's optimisers take them.
    pub fn into_params(self) -> GradientsParams {
        self.found
    }
}

/// Whether a parameter learns, by its name in the module.
pub(crate) fn learns(name: &str, adapted: bool) -> bool {
    let of_adapter = name.ends_with(".lora.a") || name.ends_with(".lora.b");
    let fixed = name.ends_with(".e_score_correction_bias") || is_of_packed(name);
    if adapted { of_adapter } else { !of_adapter && !fixed }
}
