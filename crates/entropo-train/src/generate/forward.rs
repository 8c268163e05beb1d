//! One pass of the decoder over new tokens of several sequences.

use super::cache::Cache;
use super::kernel::{attend, gated, norm};
use super::weights::{HostDecoder, Layer};

/// New tokens of one sequence, which are about to be appended to its cache.
pub(super) struct Work<'a> {
    pub(super) cache: &'a mut Cache,
    pub(super) tokens: &'a [u32],
    /// Whether logits after the last of them are wanted.
    pub(super) logits: bool,
}

/// Where a row of the pass belongs.
#[derive(Clone, Copy)]
struct Row {
    work: usize,
    position: usize,
}

impl HostDecoder {
    /// Reads the tokens of every `work`; returns the logits `[vocabulary]` of each that wants them, in order.
    pub(super) fn forward(&self, work: &mut [Work<'_>]) -> Vec<Vec<f32>> {
        let hidden = self.config.hidden_size;
        let mut rows = Vec::new();
        let mut x = Vec::new(); // [row, hidden]
        for (index, work) in work.iter_mut().enumerate() {
            let start = work.cache.tokens().len();
            work.cache.extend(work.tokens);
            for (offset, &token) in work.tokens.iter().enumerate() {
                rows.push(Row { work: index, position: start + offset });
                let first = token as usize * hidden;
                x.extend_from_slice(self.embedding.get(first..first + hidden).unwrap_or_default());
            }
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let attended = self.attention(layer, index, &rows, &x, work);
            add(&mut x, &attended);
            let normed = norm(&x, &layer.mlp_norm, self.epsilon());
            let wide = gated(&layer.gate.apply(&normed, hidden), &layer.up.apply(&normed, hidden));
            add(&mut x, &layer.down.apply(&wide, super::weights::wide(&self.config)));
        }
        let mut end = 0;
        let mut last = Vec::new(); // [wanted row, hidden]
        for work in work.iter() {
            end += work.tokens.len() * hidden;
            if work.logits {
                last.extend_from_slice(x.get(end - hidden..end).unwrap_or_default());
            }
        }
        let logits = self.head.apply(&norm(&last, &self.norm, self.epsilon()), hidden);
        logits.chunks_exact(self.head.outputs()).map(<[f32]>::to_vec).collect()
    }

    fn attention(&self, layer: &Layer, index: usize, rows: &[Row], x: &[f32], work: &mut [Work<'_>]) -> Vec<f32> {
        let (hidden, head) = (self.config.hidden_size, self.config.head_dim);
        let normed = norm(x, &layer.attention_norm, self.epsilon());
        let mut q = layer.q.apply(&normed, hidden);
        let mut k = layer.k.apply(&normed, hidden);
        let v = layer.v.apply(&normed, hidden);
        let scale = 1.0 / (head as f32).sqrt();
        let mut mixed = vec![0.0; q.len()];
        let keys = layer.k.outputs();
        let rows = rows.iter().zip(q.chunks_exact_mut(hidden)).zip(k.chunks_exact_mut(keys).zip(v.chunks_exact(keys)));
        for (((row, q), (k, v)), mixed) in rows.zip(mixed.chunks_exact_mut(hidden)) {
            let angles = self.rotary.get(row.position).map(Vec::as_slice).unwrap_or_default();
            k.chunks_exact_mut(head).for_each(|head| rotate(head, angles));
            q.chunks_exact_mut(head).for_each(|head| rotate(head, angles));
            q.iter_mut().for_each(|q| *q *= scale);
            let Some(cache) = work.get_mut(row.work).and_then(|work| work.cache.layer_mut(index)) else { continue };
            cache.push(k, v);
            let groups = self.config.group_size() * head;
            let groups = q.chunks_exact(groups).zip(mixed.chunks_exact_mut(groups));
            for (cache, (q, mixed)) in cache.heads.iter().zip(groups) {
                for (q, mixed) in q.chunks_exact(head).zip(mixed.chunks_exact_mut(head)) {
                    attend(q, &cache.keys, &cache.values, row.position + 1, mixed);
                }
            }
        }
        layer.o.apply(&mixed, hidden)
    }

    fn epsilon(&self) -> f32 {
        self.config.rms_norm_eps as f32
    }
}

/// Rotates one head: dimension `i` with dimension `i + head / 2`.
fn rotate(head: &mut [f32], angles: &[(f32, f32)]) {
    let (first, second) = head.split_at_mut(head.len() / 2);
    for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(angles) {
        (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
    }
}

fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}
