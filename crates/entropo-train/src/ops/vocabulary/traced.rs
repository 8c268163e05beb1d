//! The vocabulary as tensor operations, for any backend.

use std::ops::Range;

use burn::tensor::{DType, Int, Tensor, TensorData};

use super::{Chosen, Into, Statistics, Vocabulary};

/// `[row, tile]` in f32.
fn logits(vocabulary: &Vocabulary, rows: &Tensor<2>, tile: &Range<usize>) -> Tensor<2> {
    let weight = vocabulary.tile(tile).cast(rows.dtype());
    let logits = rows.clone().matmul(weight.transpose()).cast(DType::F32);
    match vocabulary.cap {
        Some(cap) => logits.div_scalar(cap).tanh().mul_scalar(cap),
        None => logits,
    }
}

/// Where each row's target is in a tile, and 1 where it is there at all, else 0: `[row, 1]` of each.
fn places(targets: &[u32], tile: &Range<usize>, like: &Tensor<2>) -> (Tensor<2, Int>, Tensor<2>) {
    let rows = targets.len();
    let inside = |target: &u32| tile.contains(&(*target as usize));
    let place = |target: &u32| if inside(target) { (*target as usize - tile.start) as i64 } else { 0 };
    let places: Vec<i64> = targets.iter().map(place).collect();
    let here: Vec<f32> = targets.iter().map(|target| f32::from(u8::from(inside(target)))).collect();
    let device = like.device();
    (
        Tensor::from_data(TensorData::new(places, [rows, 1]), &device),
        Tensor::from_data(TensorData::new(here, [rows, 1]), (&device, DType::F32)),
    )
}

/// Statistics of rows, and their logits if they are one tile.
pub(super) fn statistics(
    vocabulary: &Vocabulary,
    rows: Tensor<2>,
    targets: &[u32],
    scale: f64,
) -> (Statistics, Option<Tensor<2>>) {
    let column = |value: f32| Tensor::<2>::full([targets.len(), 1], value, (&rows.device(), DType::F32));
    let (mut highest, mut target) = (column(-1e30), column(0.0));
    let (mut sum, mut weighted, mut scaled) = (column(0.0), column(0.0), column(0.0));
    for tile in vocabulary.tiles(targets.len()) {
        let logits = logits(vocabulary, &rows, &tile);
        let before = highest.clone();
        highest = highest.max_pair(logits.clone().max_dim(1));
        let fallen = before - highest.clone();
        let distances = logits.clone() - highest.clone();
        let powers = distances.clone().exp();
        weighted = (weighted + sum.clone() * fallen.clone()) * fallen.clone().exp();
        weighted = weighted + (powers.clone() * distances.clone()).sum_dim(1);
        sum = sum * fallen.clone().exp() + powers.sum_dim(1);
        scaled = scaled * fallen.mul_scalar(scale).exp() + distances.mul_scalar(scale).exp().sum_dim(1);
        let (places, here) = places(targets, &tile, &rows);
        target = target + logits.gather(1, places) * here;
    }
    let log_sum = sum.clone().log();
    let host = |values: Tensor<2>| -> Vec<f32> { values.into_data().iter::<f32>().collect() };
    let hits = host(target.clone() - highest.clone()).into_iter().map(|distance| distance >= 0.0).collect();
    let statistics = Statistics {
        logprobs: host(target.clone() - highest.clone() - log_sum.clone()),
        entropies: host((log_sum.clone() - weighted / sum).clamp_min(0.0)),
        scaled: host((target - highest.clone()).mul_scalar(scale) - scaled.log()),
        hits,
        highest: host(highest),
        log_sums: host(log_sum),
    };
    (statistics, None)
}

/// The gradient of the rows; those of the matrix are added where they belong.
pub(super) fn backward(vocabulary: &Vocabulary, rows: Tensor<2>, chosen: &Chosen<'_>, into: &mut Into) -> Tensor<2> {
    let [count, width] = rows.dims();
    let dtype = rows.dtype();
    let column = |values: &[f32]| {
        let data = TensorData::new(values.to_vec(), [values.len(), 1]);
        Tensor::<2>::from_data(data, (&rows.device(), DType::F32))
    };
    let [highest, log_sums, weights] = [chosen.highest, chosen.log_sums, chosen.weights].map(column);
    let mut of_rows = Tensor::<2>::zeros([count, width], (&rows.device(), DType::F32));
    for tile in vocabulary.tiles(count) {
        let logits = logits(vocabulary, &rows, &tile);
        let bend = vocabulary.cap.map(|cap| logits.clone().div_scalar(cap).powi_scalar(2).neg().add_scalar(1.0));
        let (places, here) = places(chosen.targets, &tile, &rows);
        let columns = Tensor::<1, Int>::arange(0..tile.len() as i64, &rows.device()).unsqueeze::<2>();
        let hit = places.expand([count, tile.len()]).equal(columns.expand([count, tile.len()])).float();
        let hit = hit.cast(DType::F32) * here;
        let slopes = (hit - (logits - highest.clone() - log_sums.clone()).exp()) * weights.clone();
        let slopes = bend.map_or(slopes.clone(), |bend| slopes * bend).cast(dtype);
        of_rows = of_rows + slopes.clone().matmul(vocabulary.tile(&tile).cast(dtype)).cast(DType::F32);
        if into.weight.is_none() && into.extra.is_none() {
            continue;
        }
        let of_tile = slopes.transpose().matmul(rows.clone()).cast(DType::F32); // [tile, width + extra]
        let [_, own] = vocabulary.weight.dims();
        into.weight = into.weight.take().map(|sum| add(sum, &tile, of_tile.clone().narrow(1, 0, own)));
        into.extra = into.extra.take().map(|sum| add(sum, &tile, of_tile.narrow(1, own, width - own)));
    }
    of_rows.cast(dtype)
}

/// Adds to some rows.
fn add(sum: Tensor<2>, rows: &Range<usize>, part: Tensor<2>) -> Tensor<2> {
    let [_, width] = sum.dims();
    let place = [rows.clone(), 0..width];
    let before = sum.clone().slice(place.clone());
    sum.slice_assign(place, before + part)
}
