//! Something is learned: a random decoder comes to prefer the chosen of two continuations, and says it.

use entropo_train::burn::module::Module;
use entropo_train::data::Sequence;
use entropo_train::decoder::{Decoder, DecoderConfig};
use entropo_train::objective::EntropoDpo;
use entropo_train::trainer::{Learner, OptimizerConfig};

use crate::device::Opened;
use crate::failure::Failure;
use crate::fixtures::greedy;
use crate::pairs::Pairs;
use crate::report::{Check, Outcome};

const STEPS: usize = 40;
/// Tokens of the prompt.
const PROMPT: u32 = 4;
/// Tokens of the continuation.
const ANSWER: u32 = 12;

/// A decoder of a few layers, small enough for a driver in software.
pub(crate) fn small(vocabulary: usize) -> Result<DecoderConfig, Failure> {
    let keys = serde_json::json!({
        "model_type": "qwen2",
        "vocab_size": vocabulary,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "tie_word_embeddings": true,
    });
    Ok(DecoderConfig::from_json(&keys.to_string(), "the small decoder")?)
}

/// A prompt that is the same for both, then counting up (chosen) or down (rejected).
fn lesson(chosen: bool) -> Result<Sequence, Failure> {
    let prompt = (0..PROMPT).map(|position| 100 + position);
    let answer = (0..ANSWER).map(|position| if chosen { 10 + position } else { 60 - position });
    let actions = (0..PROMPT + ANSWER).map(|position| position >= PROMPT).collect();
    Ok(Sequence::new(if chosen { "up" } else { "down" }, prompt.chain(answer).collect(), actions)?)
}

/// Trains and generates.
pub(crate) fn check(opened: &Opened) -> Result<Outcome<()>, Failure> {
    let device = opened.device.clone().autodiff();
    let start = Decoder::new(&small(128)?, 0, &opened.device);
    let (chosen, rejected) = (lesson(true)?, lesson(false)?);
    let pairs = Pairs::new(vec![chosen.clone(), rejected], &start);
    let mut learner = Learner::new(start.to_device(&device).train(), &OptimizerConfig::default(), &device, 2);
    // Preference alone would only make both less likely than they were, one of them more so.
    let objective = EntropoDpo { sft_weight: 1.0, ..EntropoDpo::default() };
    let mut losses = Vec::new();
    for step in 0..STEPS {
        let loss = pairs.step(&mut learner, &objective, 5e-3)?.loss;
        if step == 0 || (step + 1) % 10 == 0 {
            eprintln!("step {}: loss {loss:.4}", step + 1);
        }
        losses.push(loss);
    }
    let (first, last) = (losses.first().copied().unwrap_or(f64::NAN), losses.last().copied().unwrap_or(f64::NAN));

    let ids = chosen.ids();
    let (prompt, answer) = ids.split_at((PROMPT as usize).min(ids.len()));
    let said = greedy(&learner.frozen(), prompt, answer.len())?;
    let wrong = answer.iter().zip(&said).filter(|(expected, said)| expected != said).count();
    let checks = vec![
        Check::new("loss after training, of the loss before", last / first, 0.2),
        Check::new("tokens generated otherwise than learned", wrong as f64, 0.0),
    ];
    Ok(Outcome::new(checks, None))
}
