//! Tensors of the CPU backend as slices: the only place that knows a backend by name.
//!
//! Without that backend there are none, and every operation takes its other form.

use burn::tensor::{Int, Tensor};

/// The values of a tensor in this process's memory, row by row.
pub(crate) struct Values(imp::Primitive);

/// Integers of 32 bits in this process's memory, row by row.
pub(crate) struct Words(imp::Words);

/// Values that may be changed: the tensor's own memory if nobody else holds it, else a copy.
pub(crate) struct Owned(imp::Primitive);

impl Values {
    /// `None` on other backends, under autodiff, and for other types than f32. Views that are not row by row are copied.
    pub(crate) fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        imp::here(tensor.clone()).map(|primitive| Self(imp::contiguous(primitive)))
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        imp::slice(&self.0)
    }
}

impl Words {
    /// `None` on other backends and for other types.
    pub(crate) fn of<const D: usize>(tensor: &Tensor<D, Int>) -> Option<Self> {
        imp::words(tensor.clone()).map(Self)
    }

    pub(crate) fn as_slice(&self) -> &[i32] {
        imp::slice_of_words(&self.0)
    }
}

impl Owned {
    /// A tensor beside others whose [`Values`] were had.
    pub(crate) fn of<const D: usize>(tensor: Tensor<D>) -> Self {
        Self(match imp::here(tensor.clone()) {
            Some(primitive) => {
                drop(tensor);
                imp::whole(primitive)
            }
            None => imp::read(tensor),
        })
    }

    /// So many zeros.
    pub(crate) fn zeros(count: usize) -> Self {
        Self(imp::zeros(count))
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        imp::slice(&self.0)
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        imp::slice_mut(&mut self.0)
    }

    /// As a tensor of this shape, which must have as many elements.
    pub(crate) fn into_tensor<const D: usize>(self, shape: [usize; D]) -> Tensor<D> {
        imp::tensor(self.0, shape)
    }
}

#[cfg(feature = "flex")]
mod imp {
    use burn::backend::Flex;
    use burn::backend::flex::FlexTensor;
    use burn::tensor::{DType, Int, Tensor, TensorData};

    pub(super) type Primitive = FlexTensor;
    pub(super) type Words = FlexTensor;

    pub(super) fn words<const D: usize>(tensor: Tensor<D, Int>) -> Option<Words> {
        let plain = tensor.dtype() == DType::I32;
        plain.then(|| tensor.try_into_primitive::<Flex>().ok()).flatten().map(contiguous)
    }

    pub(super) fn slice_of_words(tensor: &Words) -> &[i32] {
        tensor.as_slice().unwrap_or_default()
    }

    pub(super) fn here<const D: usize>(tensor: Tensor<D>) -> Option<Primitive> {
        let plain = tensor.dtype() == DType::F32 && !tensor.is_autodiff();
        plain.then(|| tensor.try_into_primitive::<Flex>().ok()).flatten()
    }

    pub(super) fn read<const D: usize>(tensor: Tensor<D>) -> Primitive {
        Primitive::from_data(tensor.into_data().convert::<f32>())
    }

    pub(super) fn contiguous(tensor: Primitive) -> Primitive {
        if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
    }

    /// One whose buffer holds its values and nothing else.
    pub(super) fn whole(tensor: Primitive) -> Primitive {
        let layout = tensor.layout();
        let exact = layout.start_offset() == 0 && tensor.bytes().len() == size_of::<f32>() * layout.num_elements();
        if tensor.is_contiguous() && exact { tensor } else { tensor.to_contiguous() }
    }

    pub(super) fn zeros(count: usize) -> Primitive {
        Primitive::from_data(TensorData::new(vec![0.0f32; count], [count]))
    }

    pub(super) fn slice(tensor: &Primitive) -> &[f32] {
        tensor.as_slice().unwrap_or_default()
    }

    pub(super) fn slice_mut(tensor: &mut Primitive) -> &mut [f32] {
        tensor.storage_mut()
    }

    pub(super) fn tensor<const D: usize>(tensor: Primitive, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_primitive::<Flex>(tensor.reshape(shape.into()))
    }
}

#[cfg(not(feature = "flex"))]
mod imp {
    use burn::tensor::{Device, Int, Tensor, TensorData};

    pub(super) type Primitive = Vec<f32>;
    pub(super) type Words = Vec<i32>;

    pub(super) fn words<const D: usize>(_tensor: Tensor<D, Int>) -> Option<Words> {
        None
    }

    pub(super) fn slice_of_words(words: &Words) -> &[i32] {
        words
    }

    pub(super) fn here<const D: usize>(_tensor: Tensor<D>) -> Option<Primitive> {
        None
    }

    pub(super) fn read<const D: usize>(tensor: Tensor<D>) -> Primitive {
        tensor.into_data().iter::<f32>().collect()
    }

    pub(super) fn contiguous(values: Primitive) -> Primitive {
        values
    }

    pub(super) fn whole(values: Primitive) -> Primitive {
        values
    }

    pub(super) fn zeros(count: usize) -> Primitive {
        vec![0.0; count]
    }

    pub(super) fn slice(values: &Primitive) -> &[f32] {
        values
    }

    pub(super) fn slice_mut(values: &mut Primitive) -> &mut [f32] {
        values
    }

    pub(super) fn tensor<const D: usize>(values: Primitive, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values, shape), &Device::default())
    }
}
