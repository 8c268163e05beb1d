//! One pass of the decoder over new tokens of several sequences.

use super::cache::Cache;
use super::kernel::{Heads, Matrix, Query, Sheet, Workers, add, attend, tile_rows};
use super::weights::{HostDecoder, Layer};
use crate::decoder::config::RopeConfig;
use crate::decoder::frequencies::Frequencies;

/// Multiplications that preparing one number of a query is worth.
const PREPARATION: usize = 8;

/// New tokens of one sequence, which are about to be appended to its cache.
pub(super) struct Work<'a> {
    pub(super) cache: &'a mut Cache,
    pub(super) tokens: &'a [u32],
    /// Whether logits after the last of them are wanted.
    pub(super) logits: bool,
}

/// What the layers of a pass share.
struct Pass {
    rows: Vec<Row>,
    ropes: Vec<(RopeConfig, Angles)>,
    workers: Workers,
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
        let rows: usize = work.iter().map(|work| work.tokens.len()).sum();
        let wanted = work.iter().filter(|work| work.logits).count();
        let largest = (rows * self.largest_product()).max(wanted * self.config.hidden_size * self.config.vocab_size);
        self.threads.run(largest, |workers| self.pass(work, workers))
    }

    /// Multiplications that a row takes in the largest part of a layer.
    fn largest_product(&self) -> usize {
        let queries = self.layers.iter().map(|layer| layer.q.outputs() + layer.k.outputs() + layer.v.outputs());
        let wide = self.layers.iter().map(|layer| layer.feed_forward.width());
        self.config.hidden_size * queries.chain(wide).max().unwrap_or_default()
    }

    fn pass(&self, work: &mut [Work<'_>], workers: Workers) -> Vec<Vec<f32>> {
        let mut rows = Vec::new();
        for (index, work) in work.iter_mut().enumerate() {
            let start = work.cache.tokens().len();
            work.cache.extend(work.tokens, self.shape);
            rows.extend((start..work.cache.tokens().len()).map(|position| Row { work: index, position }));
        }
        let mut x = self.embed(work);
        let pass = Pass { ropes: self.ropes(&rows), rows, workers };
        for (index, layer) in self.layers.iter().enumerate() {
            let mut attended = self.attention(layer, index, &pass, &x, work);
            if let Some([norm, _]) = &layer.result_norms {
                attended = norm.apply(&attended, workers);
            }
            add(&mut x, &attended, workers);
            let normed = layer.feed_forward_norm.apply(&x, workers);
            let mut fed = layer.feed_forward.apply(&normed, self.config.activation, workers);
            if let Some([_, norm]) = &layer.result_norms {
                fed = norm.apply(&fed, workers);
            }
            add(&mut x, &fed, workers);
        }
        let mut end = 0;
        let last: Vec<usize> = work
            .iter()
            .filter_map(|work| {
                end += work.tokens.len();
                work.logits.then(|| end.saturating_sub(1))
            })
            .collect();
        let logits = self.head.apply(&self.norm.apply(&x.gather(&last), workers), workers);
        let capped = |logit: f32| self.config.logit_cap.map_or(logit, |cap| cap as f32 * (logit / cap as f32).tanh());
        (0..logits.rows()).map(|row| logits.row(row).into_iter().map(capped).collect()).collect()
    }

    /// The first hidden states of all new tokens, `[row, hidden]`.
    fn embed(&self, work: &[Work<'_>]) -> Sheet {
        let hidden = self.config.hidden_size;
        let scale = self.config.embedding_scale as f32;
        let mut x = Sheet::zeros(work.iter().map(|work| work.tokens.len()).sum(), hidden);
        for (row, token) in work.iter().flat_map(|work| work.tokens).enumerate() {
            let mut embedding = self.embedding.row(&self.head, *token as usize, hidden);
            embedding.iter_mut().for_each(|x| *x *= scale);
            x.write(row, 0, &embedding);
        }
        x
    }

    /// The rotation of every row by every kind of rope that the layers have.
    fn ropes(&self, rows: &[Row]) -> Vec<(RopeConfig, Angles)> {
        let mut ropes: Vec<(RopeConfig, Angles)> = Vec::new();
        for rope in self.layers.iter().map(|layer| layer.config.rope) {
            if !ropes.iter().any(|(known, _)| *known == rope) {
                ropes.push((rope, Angles::new(&rope, rows)));
            }
        }
        ropes
    }

    /// What attention adds, `[row, hidden]`; the rows' keys and values go into the caches.
    fn attention(&self, layer: &Layer, index: usize, pass: &Pass, x: &Sheet, work: &mut [Work<'_>]) -> Sheet {
        let normed = layer.attention_norm.apply(x, pass.workers);
        let [q, k, v] = Matrix::apply_all([&layer.q, &layer.k, &layer.v], &normed, pass.workers);
        self.remember(layer, index, pass, [&k, &v], work);
        let queries = self.queries(layer, pass, &q);
        let mixed = self.look(layer, index, pass, &queries, work);
        layer.o.apply(&mixed, pass.workers)
    }

    /// Normalises, rotates and keeps the keys; keeps the values.
    fn remember(&self, layer: &Layer, index: usize, pass: &Pass, [k, v]: [&Sheet; 2], work: &mut [Work<'_>]) {
        let size = self.config.key_size();
        let head = self.config.head_dim.max(1);
        let prepare = self.heads(layer.head_norms.as_ref().map(|[_, key]| key), 1.0);
        let turn = |row| pass.angles(layer).map_or((&[][..], &[][..]), |angles| angles.of(row));
        let (mut keys, mut values) = (vec![0.0; size], vec![0.0; size]);
        for (row, place) in pass.rows.iter().enumerate() {
            k.read(row, 0, &mut keys);
            v.read(row, 0, &mut values);
            prepare.prepare(&mut keys, turn(row));
            let Some(work) = work.get_mut(place.work) else { continue };
            for (key_head, (key, value)) in keys.chunks_exact(head).zip(values.chunks_exact(head)).enumerate() {
                work.cache.set(self.shape, (index, key_head), place.position, key, value);
            }
        }
    }

    /// Normalised, rotated and scaled queries, `[key head][row][query head of the key head][head]`.
    fn queries(&self, layer: &Layer, pass: &Pass, q: &Sheet) -> Vec<f32> {
        let group = self.group();
        let norm = layer.head_norms.as_ref().map(|[query, _]| query);
        let prepare = self.heads(norm, self.config.attention_scale as f32);
        let turn = |row| pass.angles(layer).map_or((&[][..], &[][..]), |angles| angles.of(row));
        let mut queries = vec![0.0; self.config.num_key_value_heads * pass.rows.len() * group];
        let tasks: Vec<_> = queries.chunks_mut((pass.rows.len() * group).max(1)).enumerate().collect();
        pass.workers.each(tasks, q.rows() * q.width() * PREPARATION, |(key_head, queries)| {
            for (row, queries) in queries.chunks_exact_mut(group).enumerate() {
                q.read(row, key_head * group, queries);
                prepare.prepare(queries, turn(row));
            }
        });
        queries
    }

    /// What every query sees, `[row, query head * head]`; `queries` as [`Self::queries`] gives them.
    fn look(&self, layer: &Layer, index: usize, pass: &Pass, queries: &[f32], work: &[Work<'_>]) -> Sheet {
        let (rows, group) = (pass.rows.len(), self.group());
        let tile = tile_rows(self.config.group_size());
        let of_head =
            |key_head| -> Vec<_> { work.iter().map(|work| work.cache.heads(self.shape, index, key_head)).collect() };
        let blocks: Vec<Vec<_>> = (0..self.config.num_key_value_heads).map(of_head).collect(); // [key head][work]
        let mut mixed = vec![0.0; queries.len()]; // [key head][row][query head of the key head][head]
        let mut tasks = Vec::new();
        let heads = queries.chunks((rows * group).max(1)).zip(mixed.chunks_mut((rows * group).max(1)));
        for (blocks, (mut queries, mut mixed)) in blocks.iter().zip(heads) {
            for rows in pass.rows.chunk_by(|a, b| a.work == b.work) {
                let blocks = rows.first().and_then(|row| blocks.get(row.work)).map(Vec::as_slice).unwrap_or_default();
                for rows in rows.chunks(tile) {
                    let length = (rows.len() * group).min(queries.len());
                    let (vectors, others) = queries.split_at(length);
                    let (out, rest) = mixed.split_at_mut(length);
                    (queries, mixed) = (others, rest);
                    tasks.push((rows, vectors, out, blocks));
                }
            }
        }
        let seen: usize = pass.rows.iter().map(|row| row.position + 1 - layer.first_seen(row.position)).sum();
        pass.workers.each(tasks, seen * self.config.query_size() * 2, |(rows, vectors, out, blocks)| {
            let parts = vectors.chunks_exact(group).zip(out.chunks_exact_mut(group));
            let mut queries = Vec::with_capacity(tile * self.config.group_size());
            for (row, (vectors, out)) in rows.iter().zip(parts) {
                let heads = vectors.chunks_exact(self.config.head_dim).zip(out.chunks_exact_mut(self.config.head_dim));
                let (from, to) = (layer.first_seen(row.position), row.position);
                queries.extend(heads.map(|(vector, out)| Query { vector, from, to, out }));
            }
            attend(&mut queries, blocks);
        });
        let mut sheet = Sheet::zeros(rows, self.config.query_size());
        for (key_head, mixed) in mixed.chunks((rows * group).max(1)).enumerate() {
            for (row, mixed) in mixed.chunks_exact(group).enumerate() {
                sheet.write(row, key_head * group, mixed);
            }
        }
        sheet
    }

    fn heads<'a>(&self, norm: Option<&'a Vec<f32>>, scale: f32) -> Heads<'a> {
        let epsilon = self.config.rms_norm_eps as f32;
        Heads { head: self.config.head_dim, norm: norm.map(|weight| (weight.as_slice(), epsilon)), scale }
    }

    /// Width of the query heads that share a key head.
    fn group(&self) -> usize {
        (self.config.group_size() * self.config.head_dim).max(1)
    }
}

impl Layer {
    /// The first position that a query at `position` sees.
    fn first_seen(&self, position: usize) -> usize {
        self.config.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }
}

impl Pass {
    fn angles(&self, layer: &Layer) -> Option<&Angles> {
        self.ropes.iter().find(|(rope, _)| *rope == layer.config.rope).map(|(_, angles)| angles)
    }
}

/// The rotation of a pass's rows by one rope. Computed for the rows at hand: a table of all positions of a long context
/// would be larger than many a model.
struct Angles {
    pairs: usize,
    cos: Vec<f32>, // [row, pair]
    sin: Vec<f32>, // [row, pair]
}

impl Angles {
    fn new(rope: &RopeConfig, rows: &[Row]) -> Self {
        let Frequencies { per_pair, amplitude } = Frequencies::new(rope);
        let turns = rows.iter().flat_map(|row| per_pair.iter().map(|frequency| row.position as f64 * frequency));
        let (sin, cos) =
            turns.map(f64::sin_cos).map(|(sin, cos)| ((sin * amplitude) as f32, (cos * amplitude) as f32)).unzip();
        Self { pairs: per_pair.len(), cos, sin }
    }

    /// Cosines and sines of one row, `[pair]`.
    fn of(&self, row: usize) -> (&[f32], &[f32]) {
        let range = row * self.pairs..(row + 1) * self.pairs;
        (self.cos.get(range.clone()).unwrap_or_default(), self.sin.get(range).unwrap_or_default())
    }
}
