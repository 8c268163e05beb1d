//! Many steps over sequences of changing lengths must not take more and more memory.
//!
//! Allocators and kernel caches fill while shapes are new. After a fifth of the steps every shape was seen many times, and
//! from there memory may grow by a fixed amount only.

use entropo_train::burn::module::Module;
use entropo_train::decoder::Decoder;
use entropo_train::objective::EntropoDpo;
use entropo_train::trainer::{Learner, OptimizerConfig};
use serde::Serialize;

use crate::arguments::Arguments;
use crate::device::Opened;
use crate::failure::Failure;
use crate::memory::Memory;
use crate::pairs::{Pairs, random};
use crate::report::{Check, Outcome};
use crate::smoke::small;

const VOCABULARY: usize = 512;
/// Tokens of the pairs that take turns.
const LENGTHS: [usize; 5] = [96, 33, 128, 64, 50];
/// Steps between two looks.
const EVERY: usize = 10;

/// What was seen.
#[derive(Debug, Serialize)]
pub(crate) struct Soaked {
    steps: usize,
    /// Largest in the first fifth.
    settled: Memory,
    /// Largest after it.
    later: Memory,
    /// At the end, after the allocator was asked to give back what it does not need.
    cleaned: Memory,
    /// Every look, for a picture.
    looks: Vec<Look>,
}

#[derive(Debug, Serialize)]
struct Look {
    step: usize,
    #[serde(flatten)]
    memory: Memory,
}

/// Takes the steps.
pub(crate) fn check(arguments: &Arguments, opened: &Opened) -> Result<Outcome<Soaked>, Failure> {
    let steps = arguments.soak_steps.max(5 * EVERY);
    let device = opened.device.clone().autodiff();
    let start = Decoder::new(&small(VOCABULARY)?, 0, &opened.device);
    let mut lessons = Vec::new();
    for (seed, tokens) in (0..).zip(LENGTHS) {
        let pair = vec![
            random("chosen", tokens, VOCABULARY, 2 * seed)?,
            random("rejected", tokens + 3, VOCABULARY, 2 * seed + 1)?,
        ];
        lessons.push(Pairs::new(pair, &start));
    }
    let mut learner = Learner::new(start.to_device(&device).train(), &OptimizerConfig::default(), &device, 2);
    let (mut settled, mut later, mut looks) = (Memory::default(), Memory::default(), Vec::new());
    for (step, pairs) in (1..=steps).zip(lessons.iter().cycle()) {
        pairs.step(&mut learner, &EntropoDpo::default(), 1e-4)?;
        if step % EVERY == 0 {
            let memory = Memory::now(&opened.device);
            let largest = if step * 5 <= steps { &mut settled } else { &mut later };
            *largest = largest.max(memory);
            looks.push(Look { step, memory });
        }
        if step % (steps / 5) == 0 {
            eprintln!("step {step} of {steps}: {:?}", looks.last().map(|look| look.memory));
        }
    }
    opened.device.memory_cleanup();
    let cleaned = Memory::now(&opened.device);
    let grown = later.decisive().zip(settled.decisive()).map(|(later, settled)| later.saturating_sub(settled));
    let mebibytes = grown.map_or(f64::NAN, |bytes| bytes as f64 / f64::from(1 << 20));
    let what = if later.device_reserved.is_some() { "device memory" } else { "resident memory" };
    let check =
        Check::new(format!("growth of {what} after {} steps, MiB", steps / 5), mebibytes, arguments.soak_growth as f64);
    Ok(Outcome::new(vec![check], Some(Soaked { steps, settled, later, cleaned, looks })))
}
