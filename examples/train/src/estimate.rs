//! How much memory and time a run will take, from its shape, its data and how fast the device multiplies now.
//!
//! An estimate, not a promise. Memory counts what is known to be large: weights, gradients, an optimiser's moments, what a
//! forward pass keeps, and the head's tile. Time counts multiplications at the speed of one product that is measured on the
//! spot; what an update does besides is within a third of that on the machines that `docs/benchmarks.md` names.

use std::fmt;
use std::time::{Duration, Instant};

use entropo_train::burn::tensor::{Device, Distribution, Tensor};
use entropo_train::data::{Batch, DataError, Dataset, Example, Sequence, Source};
use entropo_train::decoder::DecoderConfig;
use entropo_train::decoder::config::FeedForward;
use entropo_train::trainer::{MICRO_TOKENS, OptimizerConfig, Precision};

use crate::failure::Failure;
use crate::plan::Plan;

/// Bytes of an f32.
const F32: u64 = 4;
/// Examples that are looked at to see what they have in common.
const SAMPLE: usize = 64;
/// Bytes of the head's tile of logits at most, and of its gradient.
const HEAD: u64 = 64 << 20;
/// The product that is measured goes on for so long.
const MEASURED: Duration = Duration::from_millis(300);

/// What a run will take.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Numbers in the model, and those of them (or of its adapter) that learn.
    pub parameters: (u64, u64),
    /// Bytes by what they are for.
    pub memory: Vec<(&'static str, u64)>,
    /// Updates.
    pub steps: usize,
    /// Tokens of all updates, and those of them that are computed: beginnings in common once.
    pub tokens: (u64, u64),
    /// Floating-point operations of all updates and of the reference.
    pub operations: f64,
    /// Operations a second of the measured product.
    pub speed: f64,
}

impl Estimate {
    /// Estimates a run on a device.
    ///
    /// # Errors
    /// An adapter that does not fit the model, and data that cannot be read.
    pub fn new(plan: &Plan, device: &Device) -> Result<Self, Failure> {
        let (shape, training) = (&plan.shape, &plan.settings.training);
        let all: u64 = plan.tensors.iter().map(|(_, count)| count).sum();
        let learning = match &plan.settings.lora {
            Some(lora) => lora.parameters(shape)? as u64,
            None => all,
        };
        let work = Work::new(plan)?;
        let per_epoch = plan.train.len().div_ceil(training.batch_size.max(1));
        let steps = per_epoch.saturating_mul(training.epochs);
        let steps = training.max_steps.map_or(steps, |most| steps.min(most));
        let epochs = steps as f64 / per_epoch.max(1) as f64;
        let tokens = [work.tokens, work.computed].map(|tokens| (tokens as f64 * epochs) as u64);
        let forward = 2.0 * active(plan, shape) as f64 * work.computed as f64 + attention(shape, &work);
        // Forward, backward to inputs and, unless a frozen weight needs none, to weights; once more forward if blocks are
        // computed again.
        let passes =
            2.0 + if plan.settings.lora.is_some() { 0.0 } else { 1.0 } + if training.checkpointing { 1.0 } else { 0.0 };
        let reference = if training.objective.needs_reference() { 1.0 } else { 0.0 };
        Ok(Self {
            parameters: (all, learning),
            memory: memory(plan, all, learning, work.part),
            steps,
            tokens: (tokens[0], tokens[1]),
            operations: forward * (passes * epochs + reference),
            speed: speed(shape, device),
        })
    }

    /// Bytes of everything.
    pub fn bytes(&self) -> u64 {
        self.memory.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Seconds at the measured product's speed.
    pub fn seconds(&self) -> f64 {
        self.operations / self.speed.max(1.0)
    }
}

/// What the data asks for.
struct Work {
    /// Of all examples once.
    tokens: u64,
    computed: u64,
    /// Tokens of the largest part that is differentiated at a time.
    part: u64,
    /// Sum of squares of the sequences' lengths.
    squares: f64,
}

impl Work {
    fn new(plan: &Plan) -> Result<Self, DataError> {
        let data = &plan.train;
        let lengths: Vec<usize> = (0..data.len()).map(|index| data.tokens(index)).collect();
        let tokens: u64 = lengths.iter().map(|length| *length as u64).sum();
        let each = lengths.iter().copied().max().unwrap_or(0);
        let micro = plan.settings.training.micro_batch.max(1) * MICRO_TOKENS;
        let batch: usize = {
            let mut longest = lengths.clone();
            longest.sort_unstable_by(|one, other| other.cmp(one));
            longest.iter().take(plan.settings.training.batch_size).sum()
        };
        let part = batch.min(micro.max(each)) as u64;
        let shared = shared(data)?;
        let sequences = data.report().sequences.max(1) as f64 / data.report().examples.max(1) as f64;
        let squares = lengths.iter().map(|length| (*length as f64 / sequences).powi(2) * sequences).sum();
        Ok(Self { tokens, computed: (tokens as f64 * shared) as u64, part, squares })
    }
}

/// The share of tokens that is computed, of a sample of examples each for itself.
fn shared(data: &Dataset) -> Result<f64, DataError> {
    let stride = data.len().div_ceil(SAMPLE).max(1);
    let (mut all, mut computed) = (0, 0);
    for index in (0..data.len()).step_by(stride) {
        let example = data.get(index)?;
        let sequences: Vec<&Sequence> = example.sequences().collect();
        computed += Batch::new(&sequences, &Device::default()).tokens();
        all += Example::tokens(&example);
    }
    Ok(computed as f64 / all.max(1) as f64)
}

/// Numbers that each token is multiplied with: of several experts, only those that it sees, and of the embedding none.
fn active(plan: &Plan, shape: &DecoderConfig) -> u64 {
    let sparse = shape.layers.iter().find_map(|layer| match &layer.feed_forward {
        FeedForward::Sparse(experts) => Some(experts.chosen as f64 / experts.experts.max(1) as f64),
        FeedForward::Dense(_) => None,
    });
    let counted = |(name, count): &(String, u64)| {
        if name.contains("embed_tokens") || name == "lm_head.weight" {
            0 // the head is used for actions only
        } else if name.contains(".experts.") {
            (*count as f64 * sparse.unwrap_or(1.0)) as u64
        } else {
            *count
        }
    };
    let report = plan.train.report();
    let head = (shape.vocab_size * shape.hidden_size) as f64 * report.action_share();
    plan.tensors.iter().map(counted).sum::<u64>() + head as u64
}

/// Of scores and their sums: half of all pairs of positions.
fn attention(shape: &DecoderConfig, work: &Work) -> f64 {
    2.0 * (shape.layers.len() * shape.query_size()) as f64 * work.squares
}

fn memory(plan: &Plan, all: u64, learning: u64, part: u64) -> Vec<(&'static str, u64)> {
    let (training, shape) = (&plan.settings.training, &plan.shape);
    let moments = match training.optimizer {
        OptimizerConfig::AdamW(_) => 2 * F32,
        OptimizerConfig::Muon(_) => F32,
        _ => F32 / 4,
    };
    let width = |layer: &FeedForward| match layer {
        FeedForward::Dense(width) => *width,
        FeedForward::Sparse(experts) => {
            experts.chosen * experts.intermediate_size + experts.shared_size.unwrap_or_default()
        }
    };
    let inside = shape.layers.iter().map(|layer| width(&layer.feed_forward)).max().unwrap_or(0);
    let hidden = shape.hidden_size;
    // Kept of one block: its norms' inputs, queries, keys, values and their result, gate, up and their product.
    let block = 4 * hidden + 3 * shape.query_size() + 2 * shape.key_size() + 3 * inside;
    let number = if training.precision == Precision::F32 { F32 } else { F32 / 2 };
    let layers = shape.layers.len();
    // The blocks' inputs, and one block with its gradients; or all blocks.
    let kept = if training.checkpointing { layers * hidden + 2 * block } else { layers * (hidden + block) + block };
    let adapter = if plan.settings.lora.is_some() { learning } else { 0 };
    // Matrices of blocks in a few bits, and a scale of 32 bits for each block of them.
    let is_packed = |name: &str| plan.settings.quantise.is_some() && name.ends_with("_proj.weight");
    let packed: u64 = plan.tensors.iter().filter(|(name, _)| is_packed(name)).map(|(_, count)| count).sum();
    let bits =
        plan.settings.quantise.map_or(32.0, |config| f64::from(u8::from(config.bits)) + 32.0 / config.block as f64);
    let weights = (all - packed + adapter) * F32 + (packed as f64 * bits / 8.0) as u64;
    vec![
        ("weights", weights),
        ("gradients", learning * F32),
        ("moments", learning * moments),
        ("activations", part * number * (kept + 4 * hidden) as u64),
        ("the head's tile", HEAD.min(part * shape.vocab_size as u64 * F32)),
    ]
}

/// Operations a second of `[512, hidden] x [hidden, width]`.
fn speed(shape: &DecoderConfig, device: &Device) -> f64 {
    let (rows, inner) = (512, shape.hidden_size);
    let outer = 4 * inner;
    let random = |sizes: [usize; 2]| Tensor::<2>::random(sizes, Distribution::Default, device);
    let (x, w) = (random([rows, inner]), random([inner, outer]));
    let product = || x.clone().matmul(w.clone()).slice([0..1, 0..1]).into_data();
    drop(product());
    let (start, mut count) = (Instant::now(), 0);
    while count == 0 || start.elapsed() < MEASURED {
        drop(product());
        count += 1;
    }
    2.0 * (rows * inner * outer * count) as f64 / start.elapsed().as_secs_f64()
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
        let (all, learning) = self.parameters;
        writeln!(f, "parameters: {:.1} million, {:.2} million learn", all as f64 / 1e6, learning as f64 / 1e6)?;
        writeln!(f, "memory: about {:.2} GiB", gib(self.bytes()))?;
        for (what, bytes) in &self.memory {
            writeln!(f, "  {what}: {:.2} GiB", gib(*bytes))?;
        }
        let (tokens, computed) = self.tokens;
        writeln!(f, "{} updates over {tokens} tokens, of which {computed} are computed", self.steps)?;
        let (operations, speed) = (self.operations / 1e12, self.speed / 1e9);
        writeln!(f, "time: at least {}", words(self.seconds()))?;
        write!(f, "  {operations:.3} TFLOP at the {speed:.0} GFLOP/s that a matrix product reached just now")
    }
}

/// A duration in the largest unit that it has one of.
fn words(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 48.0 * 3600.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86400.0),
    }
}
