//! Tensors on a device, brought to the host one at a time.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, FloatDType, Tensor, TensorData};

use super::error::Problem;
use super::weights::{TensorSource, finite};
use crate::decoder::place::Place;

/// Float tensors by name. Holding one costs nothing: it shares the device's memory, and host memory is taken only while
/// its values are asked for.
#[derive(Default)]
pub(crate) struct DeviceTensors(BTreeMap<String, DeviceTensor>);

/// A tensor of any rank.
pub(super) struct DeviceTensor {
    pub(super) shape: Vec<usize>,
    pub(super) dtype: DType,
    read: Box<dyn Fn() -> Result<TensorData, String>>,
}

impl DeviceTensors {
    /// A module's parameters by their names in a checkpoint.
    pub(crate) fn of(module: &impl Module) -> Self {
        let mut collector = Collector::default();
        module.visit(&mut collector);
        collector.tensors
    }

    pub(crate) fn insert<const D: usize>(&mut self, name: String, tensor: Tensor<D>) {
        let (shape, dtype) = (tensor.shape().to_vec(), tensor.dtype());
        let read = Box::new(move || tensor.clone().try_into_data().map_err(|error| error.to_string()));
        self.0.insert(name, DeviceTensor { shape, dtype, read });
    }

    /// A tensor of f32 values that somebody gives when asked.
    pub(crate) fn insert_read(
        &mut self,
        name: String,
        shape: Vec<usize>,
        read: Box<dyn Fn() -> Result<TensorData, String>>,
    ) {
        self.0.insert(name, DeviceTensor { shape, dtype: DType::F32, read });
    }

    /// A tensor that is on the host already.
    pub(crate) fn insert_data(&mut self, name: String, data: TensorData) {
        let (shape, dtype) = (data.shape().to_vec(), data.dtype());
        self.0.insert(name, DeviceTensor { shape, dtype, read: Box::new(move || Ok(data.clone())) });
    }

    /// By name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &DeviceTensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }
}

impl DeviceTensor {
    /// The values on the host.
    pub(super) fn data(&self, name: &str) -> Result<TensorData, Problem> {
        (self.read)().map_err(|reason| Problem::Device { name: name.to_owned(), reason })
    }
}

impl TensorSource for DeviceTensors {
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<TensorData, Problem> {
        let tensor = self.0.remove(name).ok_or_else(|| Problem::Missing(name.to_owned()))?;
        if tensor.shape != shape {
            let expected = shape.to_vec();
            return Err(Problem::Shape { name: name.to_owned(), found: tensor.shape, expected });
        }
        tensor.data(name)
    }
}

/// The same values in another type. What was finite must stay finite: f16 ends at 65,504.
pub(crate) fn convert(name: &str, data: TensorData, dtype: DType) -> Result<TensorData, Problem> {
    let found = data.dtype();
    let data = data.try_cast(dtype).map_err(|_| Problem::Type { name: name.to_owned(), found: found.name().into() })?;
    if dtype == DType::F16 && found != DType::F16 && !finite(data.as_bytes(), dtype) {
        return Err(Problem::Range { name: name.to_owned(), asked: "F16".to_owned() });
    }
    Ok(data)
}

/// The type of a parameter in a decoder whose type is `asked`. A router's correction decides between scores that differ
/// by less than 16 bits can tell, so it stays f32 as it does in transformers.
pub(super) fn precision(name: &str, asked: FloatDType) -> DType {
    if name.ends_with(".e_score_correction_bias") { DType::F32 } else { asked.into() }
}

#[derive(Default)]
struct Collector {
    place: Place,
    tensors: DeviceTensors,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.tensors.insert(self.place.name(), param.val());
    }
}
