//! Scores against what the logits say by hand.

use std::sync::Arc;

use burn::tensor::{DType, Device, FloatDType};
use entropo_agent::select::Score;
use entropo_agent::select::scorer::{Scorer, score_all};
use entropo_agent::verifier::{Answer, JudgePrompt, MissingScore, VERIFIER};
use entropo_agent::{CancellationToken, Selector, StageConfig};
use entropo_core::stats::Temperature;
use entropo_core::{RolloutId, Trajectory};
use entropo_train::checkpoint::{self, LoadOptions, SaveOptions};
use entropo_train::data::{Batch, Sequence};
use entropo_train::logprob::score;
use entropo_train::verifier::{Head, LocalVerifier};

use super::{attempt, decoder, judging, prompt};
use crate::support::{host, ids};

fn attempts() -> Vec<Trajectory> {
    let patches = ["+a\n", "+self.b = 1\n", "", "+return None\n"];
    let attempt = |number: usize| {
        let answer = "args ".repeat(number);
        attempt(if number.is_multiple_of(2) { "even" } else { "odd" }, number, &[&answer], patches[number % 4])
    };
    (0..6).map(attempt).collect()
}

/// Logits after the prompt, by the plain forward pass.
#[test]
fn golden_probability_from_logits_by_hand() {
    let (decoder, judging) = (decoder(3), judging(prompt(), 512));
    let attempts = attempts();
    let attempts: Vec<&Trajectory> = attempts.iter().collect();
    for (attempt, scored) in attempts.iter().zip(LocalVerifier::new(&decoder, &judging).score(&attempts)) {
        let judged = judging.read(attempt).unwrap();
        let logits = host(decoder.logits(ids(std::slice::from_ref(&judged.ids), &Device::default())));
        let last: Vec<f64> = logits[logits.len() - 480..].iter().map(|logit| f64::from(*logit)).collect();
        let sum = |answer: Answer| -> f64 {
            let tokens = judging.spoken().iter().filter(|(speaks, _)| *speaks == answer);
            tokens.map(|(_, id)| last[*id as usize].exp()).sum()
        };
        let [yes, no, all] = [sum(Answer::Affirmative), sum(Answer::Negative), last.iter().map(|x| x.exp()).sum()];
        let judgement = scored.judgement.unwrap();
        assert_eq!(scored.rollout, attempt.id);
        assert!((judgement.probability() - yes / (yes + no)).abs() < 1e-5, "{judgement:?}");
        assert!((judgement.mass() - (yes + no) / all).abs() < 1e-5, "{judgement:?}");
    }
}

#[test]
fn neither_order_nor_batches_change_a_score() {
    let (decoder, judging) = (decoder(4), judging(prompt(), 512));
    let attempts = attempts();
    let attempts: Vec<&Trajectory> = attempts.iter().collect();
    let verifier = LocalVerifier::new(&decoder, &judging);
    let score = |verifier: &LocalVerifier, attempts: &[&Trajectory]| -> Vec<(String, f64)> {
        let scored = verifier.score(attempts).into_iter();
        scored.map(|scored| (scored.rollout.to_string(), scored.judgement.unwrap().logit())).collect()
    };
    let together = score(&verifier, &attempts);
    let alone = score(&LocalVerifier::new(&decoder, &judging).batch_tokens(1), &attempts);
    let reversed: Vec<&Trajectory> = attempts.iter().rev().copied().collect();
    let mut back = score(&verifier, &reversed);
    back.reverse();
    for ((one, other), third) in together.iter().zip(&alone).zip(&back) {
        assert_eq!((&one.0, &one.0), (&other.0, &third.0));
        assert!((one.1 - other.1).abs() < 1e-5 && (one.1 - third.1).abs() < 1e-5, "{one:?} {other:?} {third:?}");
    }
    // Attempts that are the same to the last letter share everything, and each has its score.
    let twins = [attempt("a", 0, &["x"], "+x\n"), attempt("a", 1, &["x"], "+x\n")];
    let twins = score(&verifier, &[&twins[0], &twins[1]]);
    assert!(twins[0].0 != twins[1].0 && twins[0].1 == twins[1].1, "{twins:?}");
    let different: std::collections::BTreeSet<_> = together.iter().map(|(_, logit)| logit.to_bits()).collect();
    assert!(different.len() > 3, "the attempts are told apart");
}

#[test]
fn what_has_no_score_says_why_and_the_others_have_theirs() {
    let decoder = decoder(5);
    let fine = attempt("a", 0, &["x"], "+x\n");
    let long = attempt("a", 1, &["x"], &"+ long\n".repeat(900));
    let mut silent = attempt("a", 2, &[], "");
    silent.messages.clear();
    let all = [&long, &fine, &silent];
    let tight = judging(prompt(), 400);
    let scored = LocalVerifier::new(&decoder, &tight).score(&all);
    assert!(matches!(scored[0].judgement, Err(MissingScore::TooLong { .. })));
    assert!(scored[1].judgement.is_ok());
    assert!(matches!(scored[2].judgement, Err(MissingScore::Nothing)));
    // A budget beyond the context, and a model that is not about to answer.
    let loose = judging(prompt(), 1 << 20);
    let scored = LocalVerifier::new(&decoder, &loose).score(&[&long]);
    let Err(MissingScore::Failed { reason }) = &scored[0].judgement else { panic!("{scored:?}") };
    assert!(reason.contains("do not fit a context of 512"), "{reason}");
    let sure = judging(JudgePrompt { least_mass: 0.5, ..prompt() }, 400);
    let scored = LocalVerifier::new(&decoder, &sure).score(&[&fine]);
    assert!(matches!(scored[0].judgement, Err(MissingScore::Improbable { least: 0.5, .. })), "{scored:?}");
}

/// As training sums it: blocks that compute in f32 lose nothing on the way to a vocabulary in bf16.
#[test]
fn words_have_the_probabilities_that_training_sees() {
    let directory = tempfile::tempdir().unwrap();
    checkpoint::save(&decoder(7), directory.path(), &SaveOptions::default()).unwrap();
    let options = LoadOptions { dtype: Some(FloatDType::BF16), ..LoadOptions::default() };
    let decoder = checkpoint::load_with(directory.path(), &Device::default(), &options).unwrap();
    let judging = judging(prompt(), 512);
    let attempt = attempt("a", 0, &["x"], "+x\n");
    let ids = judging.read(&attempt).unwrap().ids;
    let trained = |id: u32| {
        let ids = [ids.as_slice(), &[id]].concat();
        let actions = (1..=ids.len()).map(|position| position == ids.len()).collect();
        let sequence = Sequence::new("a".to_owned(), ids, actions).unwrap();
        let scores = score(&decoder, &Batch::new(&[&sequence], &Device::default()), 1.0, Some(DType::F32));
        f64::from(scores.logprobs[0])
    };
    let verifier = LocalVerifier::new(&decoder, &judging).compute(DType::F32);
    let judgement = verifier.score(&[&attempt]).remove(0).judgement.unwrap();
    for (answer, found) in [(Answer::Affirmative, judgement.affirmative), (Answer::Negative, judgement.negative)] {
        let tokens = judging.spoken().iter().filter(|(speaks, _)| *speaks == answer);
        let sum: f64 = tokens.map(|(_, id)| trained(*id).exp()).sum();
        assert!((found - sum.ln()).abs() < 1e-6, "{answer}: {found} {}", sum.ln());
    }
}

/// In the place of any other score: probabilities with their temperature, and failures of their own.
#[tokio::test]
async fn a_verifier_is_one_of_a_selectors_scorers() {
    let (decoder, judging) = (decoder(3), judging(prompt(), 512));
    let mut attempts: Vec<Trajectory> = attempts().into_iter().filter(|attempt| attempt.id.task == "odd").collect();
    attempts[1].messages.clear();
    let attempts: Vec<&Trajectory> = attempts.iter().collect();
    let verifier = LocalVerifier::new(&decoder, &judging);
    let temperature = Temperature::new(0.5).unwrap();
    let scorers: [Arc<dyn Scorer>; 1] = [Arc::new(verifier.clone().calibrated(temperature))];
    let found = score_all(&scorers, &attempts, 2, &CancellationToken::new()).await;
    let [failure] = &found.failures[..] else { panic!("{found:?}") };
    assert!(failure.rollout == attempts[1].id && failure.reason.contains("nothing to judge"), "{failure:?}");
    let mut best: Option<(f64, &RolloutId)> = None;
    for scored in verifier.score(&[attempts[0], attempts[2]]) {
        let logit = scored.judgement.unwrap().logit();
        let id = &attempts.iter().find(|attempt| attempt.id == scored.rollout).unwrap().id;
        assert!((found.scores.get(id, VERIFIER).unwrap() - temperature.probability(logit)).abs() < 1e-5);
        best = best.into_iter().chain([(logit, id)]).max_by(|one, other| one.0.total_cmp(&other.0));
    }
    let selector = Selector::from_config([StageConfig::Score(Score::new(VERIFIER))]);
    assert_eq!(selector.select_by(&attempts, &found.scores).unwrap().chosen.as_ref(), best.map(|(_, id)| id));
}

#[test]
fn a_head_reads_the_hidden_state_there() {
    let (decoder, judging) = (decoder(6), judging(prompt(), 512));
    let one = attempt("a", 0, &["x"], "+x\n");
    let judged = judging.read(&one).unwrap();
    let hidden = host(decoder.hidden(ids(&[judged.ids], &Device::default())));
    let last = &hidden[hidden.len() - 32..];
    let head = Head::new((0..32).map(|index| index as f32 / 32.0 - 0.4).collect(), 0.25);
    let by_hand: f64 = head.weight().iter().zip(last).map(|(a, b)| f64::from(a * b)).sum::<f64>() + 0.25;
    let verifier = LocalVerifier::new(&decoder, &judging);
    let found = verifier.hidden(&[&one]).remove(0).1.unwrap();
    assert!(found.iter().zip(last).all(|(one, other)| (one - other).abs() < 1e-5));
    let judgement = verifier.head(head).score(&[&one]).remove(0).judgement.unwrap();
    assert!((judgement.logit() - by_hand).abs() < 1e-4, "{judgement:?} {by_hand}");
    assert!((judgement.mass() - 1.0).abs() < 1e-12);
}
