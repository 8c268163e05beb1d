//! The gradient of an embedding.

use burn::tensor::{IndexingUpdateOp, Int, Tensor};

use super::host::{Owned, Values};

/// Adds each row of `dx` to the row of `into` that its token names: `[token, hidden]` into `[vocabulary, hidden]`.
pub(crate) fn backward(into: Tensor<2>, ids: &Tensor<1, Int>, dx: &Tensor<2>) -> Tensor<2> {
    let shape = into.dims();
    let Some(gradient) = Values::of(dx) else {
        let dtype = into.dtype();
        return into.select_assign(0, ids.clone(), dx.clone().cast(dtype), IndexingUpdateOp::Add);
    };
    let mut into = Owned::of(into);
    let [_, width] = shape;
    let values = into.as_mut_slice();
    // One after the other, so that rows named twice are added in order.
    for (id, dx) in ids.to_data().iter::<i64>().zip(gradient.as_slice().chunks_exact(width)) {
        let row = usize::try_from(id).ok().and_then(|id| values.get_mut(id * width..(id + 1) * width));
        row.into_iter().flatten().zip(dx).for_each(|(sum, dx)| *sum += dx);
    }
    into.into_tensor(shape)
}
