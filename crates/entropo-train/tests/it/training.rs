//! Whole runs: resuming, refusing what does not belong together, and stopping without damage.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use burn::tensor::Device;
use entropo_train::checkpoint::decoder_to_bytes;
use entropo_train::data::{Example, Sequence};
use entropo_train::decoder::Decoder;
use entropo_train::objective::{
    Dpo, EntropoDpo, EntropoKto, Kto, Margin, Objective, Reference, ReferencePoint, SequenceLogProbs, Sft, Verifier,
};
use entropo_train::trainer::{
    AdafactorConfig, AdamWConfig, Judgement, Learner, MuonConfig, OptimizerConfig, Schedule, StepRecord, TrainConfig,
    TrainError, Training, frozen_sums,
};

use crate::support::{assert_within, decoder, demonstrations, labelled, pairs};

mod data;
mod diverged;
mod evaluation;
mod killed;
mod precision;
mod reference;
mod refused;
mod resume;
mod start;

/// 8 examples in batches of 3 twice: 6 steps, the third and the last with a batch of 2.
fn config(objective: Objective) -> TrainConfig {
    TrainConfig {
        objective,
        epochs: 2,
        batch_size: 3,
        learning_rate: 1e-2,
        optimizer: AdamWConfig { weight_decay: 0.01, ..AdamWConfig::default() }.into(),
        ..TrainConfig::default()
    }
}

fn entropo(entropo: EntropoDpo) -> TrainConfig {
    config(Objective::EntropoDpo(entropo))
}

/// Every kind of run, with the examples it takes.
fn runs() -> Vec<(TrainConfig, Vec<Example>)> {
    let mismatched = EntropoKto { z0: ReferencePoint::Mismatch, ..EntropoKto::default() };
    let local = EntropoDpo { alpha: 0.2, reference: Reference::Local, ..EntropoDpo::default() };
    let muon = OptimizerConfig::Muon(MuonConfig { weight_decay: 0.01, ..MuonConfig::default() });
    let adafactor = OptimizerConfig::Adafactor(AdafactorConfig::default());
    vec![
        (config(Objective::Sft(Sft::default())), demonstrations(8)),
        (config(Objective::Dpo(Dpo::default())), pairs(8)),
        (entropo(EntropoDpo::default()), pairs(8)),
        (config(Objective::Kto(Kto::default())), labelled(8)),
        // The default keeps a moving average, which a resumed run must take up again.
        (config(Objective::EntropoKto(EntropoKto::default())), labelled(8)),
        (config(Objective::EntropoKto(mismatched)), labelled(8)),
        // Differentiated in parts, all at once and after the whole batch is known.
        (TrainConfig { micro_batch: 2, ..entropo(EntropoDpo::default()) }, pairs(8)),
        (
            TrainConfig { micro_batch: 2, ..entropo(EntropoDpo { margin: Margin::Centred, ..EntropoDpo::default() }) },
            pairs(8),
        ),
        (entropo(local), pairs(8)),
        (entropo(EntropoDpo { alpha: 0.3, anneal: 0.5, ..EntropoDpo::default() }), pairs(8)),
        (entropo(EntropoDpo { kappa: Some(1.0), margin: Margin::PerTurn, ..EntropoDpo::default() }), pairs(8)),
        (config(Objective::Verifier(Verifier::default())), pairs(8)),
        (TrainConfig { optimizer: muon, ..config(Objective::Dpo(Dpo::default())) }, pairs(8)),
        (TrainConfig { optimizer: adafactor, ..config(Objective::Dpo(Dpo::default())) }, pairs(8)),
    ]
}

fn open<'a>(
    start: &Decoder,
    examples: &'a [Example],
    config: &TrainConfig,
    directory: Option<&Path>,
) -> Result<Training<'a>, TrainError> {
    Training::new(start, examples, config.clone(), &Device::default(), directory.map(Path::to_owned))
}

/// Runs to the end or until `steps` steps of the run are done. Returns what was observed and the weights.
fn finish(training: Training<'_>, steps: usize) -> (Vec<StepRecord>, Vec<u8>) {
    let mut records = Vec::new();
    let decoder = training.run(|record, _| {
        records.push(record.clone());
        if record.step + 1 == steps { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    (records, decoder_to_bytes(&decoder.unwrap()).unwrap())
}

/// All files below a directory with their bytes; what a killed process had begun is left out.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with(".entropo-") {
            continue;
        }
        match entry.file_type().unwrap().is_dir() {
            true => {
                found.extend(files(&entry.path()).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)))
            }
            false => drop(found.insert(name, fs::read(entry.path()).unwrap())),
        }
    }
    found
}

#[test]
fn settings_survive_a_round_trip_and_unknown_ones_are_refused() {
    for (config, _) in runs() {
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TrainConfig>(&text).unwrap(), config);
        let misspelt = text.replacen("learning_rate", "learning_rat", 1);
        assert!(serde_json::from_str::<TrainConfig>(&misspelt).is_err(), "{misspelt}");
    }
    assert_eq!(serde_json::from_str::<TrainConfig>("{}").unwrap(), TrainConfig::default());
}

#[test]
fn every_objective_trains_with_finite_numbers() {
    for (config, examples) in runs() {
        let training = open(&decoder(1), &examples, &config, None).unwrap();
        assert_eq!((training.steps(), training.done()), (6, 0));
        let (records, bytes) = finish(training, 6);
        assert_eq!(records.iter().map(|record| record.step).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        for record in &records {
            assert!(record.loss.is_finite() && record.grad_norm > 0.0 && record.grad_norm.is_finite(), "{record:?}");
            let rate = 1e-2 * Schedule::default().factor(record.step, 6);
            assert_eq!((record.steps, record.learning_rate), (6, rate));
        }
        // Every epoch reads every example once.
        let tokens: usize = examples.iter().map(Example::tokens).sum();
        assert_eq!(records[..3].iter().map(|record| record.tokens).sum::<usize>(), tokens);
        assert_eq!(records[3..].iter().map(|record| record.tokens).sum::<usize>(), tokens);
        assert!(bytes != decoder_to_bytes(&decoder(1)).unwrap());
    }
}

/// How many sequences are differentiated at a time changes rounding only, for objectives whose parts are judged alone and
/// for those that need the whole batch.
#[test]
fn one_at_a_time_is_all_at_once() {
    for (config, examples) in runs() {
        let run = |micro_batch| {
            let config = TrainConfig { batch_size: 8, micro_batch, ..config.clone() };
            finish(open(&decoder(1), &examples, &config, None).unwrap(), 2).0
        };
        let whole = run(16);
        for micro_batch in [1, 3] {
            for (part, whole) in run(micro_batch).iter().zip(&whole) {
                let what = format!("{:?} {micro_batch} at a time, step {}", config.objective, part.step);
                assert_within(&what, part.loss, whole.loss, 1e-4 * whole.loss.abs().max(1.0));
                assert_within(&what, part.grad_norm, whole.grad_norm, 1e-3 * whole.grad_norm);
            }
        }
    }
}

/// What is computed again in the backward pass is what was computed first.
#[test]
fn checkpointing_changes_nothing() {
    let (config, examples) = runs().swap_remove(2);
    let run = |checkpointing| {
        let config = TrainConfig { checkpointing, ..config.clone() };
        finish(open(&decoder(1), &examples, &config, None).unwrap(), 6)
    };
    assert!(run(true) == run(false));
}

#[test]
fn the_last_step_may_come_early() {
    let (config, examples) = runs().swap_remove(0);
    let config = TrainConfig { max_steps: Some(4), ..config };
    let training = open(&decoder(1), &examples, &config, None).unwrap();
    assert_eq!(training.steps(), 4);
    let (records, _) = finish(training, 9);
    assert_eq!(records.iter().map(|record| record.step).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(records[3].learning_rate, 1e-2 * config.schedule.factor(3, 4));
}

#[test]
fn demonstrations_are_learned() {
    let config = TrainConfig { epochs: 40, batch_size: 8, ..config(Objective::Sft(Sft::default())) };
    let (records, _) = finish(open(&decoder(1), &demonstrations(8), &config, None).unwrap(), 40);
    assert!(records[39].loss < 0.75 * records[0].loss, "{} to {}", records[0].loss, records[39].loss);
}

/// Every example meets its own reference: as long as nothing is learned, log-ratios are 0.
#[test]
fn at_rest_the_policy_is_the_reference() {
    let config = TrainConfig { learning_rate: 0.0, micro_batch: 5, ..config(Objective::Dpo(Dpo::default())) };
    for record in finish(open(&decoder(1), &pairs(8), &config, None).unwrap(), 6).0 {
        assert_within("loss", record.loss, std::f64::consts::LN_2, 1e-6);
    }
}

/// KTO's reference point is the mean log-ratio of each prompt with the other's completion.
#[test]
fn kto_is_a_loop_over_steps_of_a_learner() {
    let kto = Kto { undesirable_weight: 1.25, ..Kto::default() };
    let settings = TrainConfig { epochs: 4, batch_size: 2, ..config(Objective::Kto(kto)) };
    let examples = labelled(2);
    let (records, _) = finish(open(&decoder(1), &examples, &settings, None).unwrap(), 4);

    let device = Device::default();
    let start = decoder(1);
    let mut learner = Learner::new(start.clone(), &settings.optimizer, &device, 2);
    let both: Vec<&Sequence> = examples.iter().flat_map(Example::sequences).collect();
    let [first, second] = both[..] else { panic!() };
    let mixed = [first.with_completion_of(second).unwrap(), second.with_completion_of(first).unwrap()];
    let mixed: Vec<&Sequence> = mixed.iter().collect();
    let join = |sequences: &[&Sequence], policy: &[f64]| -> Vec<SequenceLogProbs> {
        let sums = policy.iter().zip(frozen_sums(&start, sequences, 2)).zip(sequences);
        sums.map(|((&policy, reference), sequence)| SequenceLogProbs {
            policy,
            reference,
            tokens: sequence.action_tokens(),
            turns: 1,
        })
        .collect()
    };
    let mut estimates = Vec::new();
    for record in &records {
        let estimate = Kto::kl_estimate(&join(&mixed, &learner.log_probs(&mixed))).unwrap();
        let outcome = learner.step(&both, record.learning_rate, |policy: &[f64]| {
            let labelled: Vec<_> = join(&both, policy).into_iter().zip([true, false]).collect();
            let evaluation = kto.evaluate(&labelled, estimate).unwrap();
            Ok(Judgement { loss: evaluation.loss, weights: evaluation.weights, metrics: evaluation.metrics })
        });
        let outcome = outcome.unwrap();
        assert_within("loss", record.loss, outcome.loss, 1e-5);
        assert_within("estimate", record.metrics["kl/estimate"], estimate, 1e-3 * estimate.abs().max(1e-2));
        estimates.push(estimate);
    }
    assert!(estimates[3].abs() > 1e-2, "{estimates:?}");
}

#[test]
fn a_seed_is_a_run() {
    for (config, examples) in runs() {
        let run = |seed| {
            let config = TrainConfig { seed, ..config.clone() };
            finish(open(&decoder(1), &examples, &config, None).unwrap(), 6)
        };
        let (first, again, other) = (run(0), run(0), run(1));
        assert!(first == again, "{:?}", config.objective);
        assert!(first.1 != other.1, "{:?}", config.objective);
    }
}
