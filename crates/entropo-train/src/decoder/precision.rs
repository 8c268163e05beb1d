//! Where a decoder in bfloat16 computes in f32 all the same.

use burn::tensor::{DType, Tensor};

/// Computes in f32 and gives the result the precision of `x`. Norms, softmax and routing lose too much in 16 bits.
pub(super) fn in_f32<const D: usize, const E: usize>(
    x: Tensor<D>,
    compute: impl FnOnce(Tensor<D>) -> Tensor<E>,
) -> Tensor<E> {
    match x.dtype() {
        DType::F32 | DType::F64 => compute(x),
        dtype => compute(x.cast(DType::F32)).cast(dtype),
    }
}
