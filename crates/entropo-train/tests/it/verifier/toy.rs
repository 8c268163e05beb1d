//! A tiny model learns to judge: an attempt is right if its patch has the one word and not the other, whatever tools
//! answered. What it is tested on are tasks that it never saw.

use std::ops::ControlFlow;

use std::sync::Arc;

use burn::tensor::Device;
use entropo_agent::verifier::Scored;
use entropo_core::Trajectory;
use entropo_train::adapter::{Adapter, LoraConfig};
use entropo_train::decoder::Decoder;
use entropo_train::objective::{Objective, Sft, Verifier};
use entropo_train::trainer::{TrainConfig, Training};
use entropo_train::verifier::{
    Balance, Fitted, HEAD, Head, HeadBasis, HeadFit, Judging, Learned, LocalVerifier, judgements,
};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{attempt, decoder, judging, prompt};

const WORDS: [&str; 6] = ["self", "args", "string", "return", "group", "text"];

/// Attempts at so many tasks, four a task, half of them right on average.
fn attempts(first: usize, tasks: usize) -> Vec<Trajectory> {
    let mut random = ChaCha8Rng::seed_from_u64(first as u64);
    let mut made = Vec::new();
    for task in first..first + tasks {
        for number in 0..4 {
            let mut words = || -> Vec<&str> { (0..3).map(|_| *WORDS.choose(&mut random).unwrap()).collect() };
            let (seen, mut patch) = (words().join(" "), words());
            let right = random.random::<bool>();
            patch.insert(random.random_range(0..4), if right { "help" } else { "None" });
            let mut attempt = attempt(&format!("t{task}"), number, &[&seen], &format!("+ {}\n", patch.join(" ")));
            attempt.outcome.reward = Some(f64::from(u8::from(right)));
            made.push(attempt);
        }
    }
    made
}

fn trained(judging: &Judging, objective: Objective, learned: Learned, seed: u64) -> Decoder {
    let made = judgements(judging, &Balance::default(), &attempts(0, 48), learned).unwrap();
    assert_eq!(made.report.dropped, []);
    let config =
        TrainConfig { objective, epochs: 12, batch_size: 16, learning_rate: 3e-3, seed, ..TrainConfig::default() };
    let start = decoder(seed);
    let training = Training::new(&start, &made.examples, config, &Device::default(), None).unwrap();
    training.run(|_, _| ControlFlow::Continue(())).unwrap()
}

/// The probability that a right attempt has a higher score than a wrong one.
fn auroc(scored: &[Scored], attempts: &[Trajectory]) -> f64 {
    let logits = scored.iter().map(|scored| scored.judgement.as_ref().unwrap().logit());
    let all: Vec<(f64, bool)> = logits.zip(attempts).map(|(logit, attempt)| (logit, attempt.is_solved())).collect();
    let side = |solved| all.iter().filter(move |(_, is)| *is == solved).map(|(logit, _)| *logit);
    let wins = side(true).flat_map(|right| side(false).map(move |wrong| f64::from(u8::from(right > wrong))));
    wins.clone().sum::<f64>() / wins.count() as f64
}

fn scores(decoder: &Decoder, judging: &Arc<Judging>, attempts: &[Trajectory]) -> Vec<Scored> {
    LocalVerifier::new(decoder, judging).score(&attempts.iter().collect::<Vec<_>>())
}

#[test]
fn masked_demonstrations_teach_a_judge_that_repeats_by_its_seed() {
    let (judging, held_out) = (judging(prompt(), 512), attempts(1000, 40));
    let untrained = auroc(&scores(&decoder(1), &judging, &held_out), &held_out);
    let train = || trained(&judging, Objective::Sft(Sft::default()), Learned::Right, 1);
    let scored = scores(&train(), &judging, &held_out);
    let found = auroc(&scored, &held_out);
    println!("held-out AUROC {untrained:.3} before, {found:.3} after");
    assert!(found > 0.95 && untrained < 0.9, "{untrained} {found}");
    assert!(scored.iter().all(|scored| scored.judgement.as_ref().unwrap().mass() > 0.9), "it answers");
    let logits = |scored: &[Scored]| -> Vec<u64> {
        scored.iter().map(|scored| scored.judgement.as_ref().unwrap().logit().to_bits()).collect()
    };
    assert_eq!(logits(&scores(&train(), &judging, &held_out)), logits(&scored), "bit for bit");
}

#[test]
fn right_over_wrong_teaches_one_too() {
    let (judging, held_out) = (judging(prompt(), 512), attempts(1000, 40));
    let decoder = trained(&judging, Objective::Verifier(Verifier::default()), Learned::RightOverWrong, 2);
    let found = auroc(&scores(&decoder, &judging, &held_out), &held_out);
    println!("held-out AUROC {found:.3}");
    assert!(found > 0.95, "{found}");
}

#[test]
fn a_head_is_fitted_to_hidden_states_and_kept_beside_the_adapter() {
    let (judging, seen, held_out) = (judging(prompt(), 512), attempts(0, 48), attempts(1000, 40));
    let decoder = trained(&judging, Objective::Sft(Sft::default()), Learned::Right, 3);
    let verifier = LocalVerifier::new(&decoder, &judging);
    let states = verifier.hidden(&seen.iter().collect::<Vec<_>>()).into_iter();
    let states: Vec<Vec<f32>> = states.map(|(_, state)| state.unwrap()).collect();
    let solved: Vec<bool> = seen.iter().map(Trajectory::is_solved).collect();
    let (head, report) = Head::fit(&states, &solved, HeadFit::default()).unwrap();
    assert!(report.slope <= 1e-7, "{report:?}");

    // An adapter that is saved over leaves the head where it is.
    let directory = tempfile::tempdir().unwrap();
    let adapter = Adapter::new(&LoraConfig::default(), &decoder, 0).unwrap();
    let fitted = |name: &str, fingerprint: String| Fitted { name: name.to_owned(), fingerprint };
    let basis = HeadBasis {
        prompt: judging.fingerprint(),
        model: fitted("toy", "trained".to_owned()),
        adapter: Some(fitted("new", adapter.fingerprint())),
    };
    head.save(directory.path(), &basis).unwrap();
    adapter.save(directory.path()).unwrap();
    assert!(directory.path().join(HEAD).exists());
    // An adapter is the same on disk and off it, and another one is another.
    let mut stored = basis.clone();
    let same = Adapter::load(directory.path(), &decoder).unwrap();
    stored.adapter = Some(fitted("stored", same.fingerprint()));
    let read = Head::load(directory.path(), 32, &stored).unwrap();
    let other = Adapter::new(&LoraConfig::default(), &decoder, 1).unwrap();
    assert_ne!(other.fingerprint(), adapter.fingerprint());
    assert_eq!(read, head);

    let scored = LocalVerifier::new(&decoder, &judging).head(read).score(&held_out.iter().collect::<Vec<_>>());
    let found = auroc(&scored, &held_out);
    println!("held-out AUROC of the head {found:.3}, {report:?}");
    assert!(found > 0.95, "{found}");
}
