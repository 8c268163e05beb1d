//! The frozen reference's log-probabilities.

use std::fs;

use burn::tensor::Device;
use entropo_train::data::{Example, Sequence};
use entropo_train::objective::{EntropoDpo, Reference};
use entropo_train::trainer::{ReferenceCache, ReferenceOptions, TrainConfig, TrainError, Training, frozen_sums};

use super::{entropo, finish, open, runs};
use crate::support::{assert_within, decoder, host, ids, pairs};

/// Numbers that are read from the cache are those that would be computed.
#[test]
fn a_cached_reference_gives_the_same_run() {
    let (config, examples) = runs().swap_remove(2);
    let folder = tempfile::tempdir().unwrap();
    open(&decoder(1), &examples, &config, Some(folder.path())).unwrap();
    let cached = finish(open(&decoder(1), &examples, &config, Some(folder.path())).unwrap(), 6);
    assert!(cached == finish(open(&decoder(1), &examples, &config, None).unwrap(), 6));
}

/// A computation that was killed goes on where it was, and nobody can tell.
#[test]
fn what_was_computed_before_is_not_computed_again() {
    let examples = pairs(40);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reference.jsonl");
    let compute = || {
        let mut seen = Vec::new();
        let mut progress = |done, all| seen.push((done, all));
        let options = ReferenceOptions {
            micro_batch: 1,
            file: Some(file.clone()),
            progress: Some(&mut progress),
            ..ReferenceOptions::default()
        };
        let cache = ReferenceCache::of(&decoder(1), &examples, 1, None).unwrap();
        let source = SliceSource(&examples);
        let found = ReferenceCache::over(&decoder(1), &source, options).unwrap();
        assert_eq!(found, cache);
        seen
    };
    assert_eq!(compute(), [(8, 40), (16, 40), (24, 40), (32, 40), (40, 40)]);
    let whole = fs::read(&file).unwrap();
    assert_eq!(compute(), [], "all of it was there");
    // Killed in the middle of the fourth of five portions.
    let lines: Vec<usize> = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
    for cut in [0, 5, lines[0] + 1, lines[3] + 9] {
        fs::write(&file, &whole[..cut]).unwrap();
        let seen = compute();
        assert_eq!(seen.last(), Some(&(40, 40)), "cut at {cut}");
        assert_eq!(seen.len(), if cut > lines[3] { 2 } else { 5 }, "cut at {cut}");
        assert!(fs::read(&file).unwrap() == whole, "cut at {cut}");
    }
}

struct SliceSource<'a>(&'a [Example]);

impl entropo_train::data::Source for SliceSource<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn tokens(&self, index: usize) -> usize {
        self.0[index].tokens()
    }
    fn get(&self, index: usize) -> Result<std::borrow::Cow<'_, Example>, entropo_train::data::DataError> {
        Ok(std::borrow::Cow::Borrowed(&self.0[index]))
    }
}

/// With logits scaled by `beta / alpha`, token by token.
#[test]
fn a_local_reference_is_the_model_at_another_temperature() {
    const SCALE: f64 = 0.4;
    let (decoder, examples) = (decoder(1), pairs(3));
    let options = ReferenceOptions { scale: SCALE, ..ReferenceOptions::default() };
    let cache = ReferenceCache::over(&decoder, &SliceSource(&examples), options).unwrap();
    for (index, example) in examples.iter().enumerate() {
        for (sequence, sum) in example.sequences().zip(cache.get(index)) {
            let logits = host(decoder.logits(ids(&[sequence.ids().to_vec()], &Device::default())));
            let rows: Vec<&[f32]> = logits.chunks(17).collect();
            let expected: f64 = sequence
                .action_positions()
                .map(|position| {
                    let row = rows[position - 1].iter().map(|&logit| SCALE * f64::from(logit));
                    let total = row.clone().map(f64::exp).sum::<f64>().ln();
                    row.collect::<Vec<_>>()[sequence.ids()[position] as usize] - total
                })
                .sum();
            assert_within(sequence.id(), *sum, expected, 1e-4);
        }
    }
    // It belongs to that temperature alone.
    let plain = entropo(EntropoDpo::default());
    let local = entropo(EntropoDpo { alpha: 0.25, reference: Reference::Local, ..EntropoDpo::default() });
    let start = |config: &TrainConfig| {
        Training::over(&examples, config.clone()).reference(cache.clone()).start(&decoder, &Device::default()).map(drop)
    };
    assert!(matches!(start(&plain), Err(TrainError::OtherReference)));
    start(&local).unwrap();
}

/// At the start the policy is the reference, so that the first loss follows from both sums.
#[test]
fn a_local_reference_is_what_the_policy_is_compared_with() {
    let (start, examples) = (decoder(1), pairs(3));
    let (alpha, beta) = (0.25, 0.1);
    let config = entropo(EntropoDpo { alpha, beta, reference: Reference::Local, ..EntropoDpo::default() });
    let (records, _) = finish(open(&start, &examples, &config, None).unwrap(), 1);
    let options = ReferenceOptions { scale: beta / alpha, ..ReferenceOptions::default() };
    let cache = ReferenceCache::over(&start, &SliceSource(&examples), options).unwrap();
    let losses = examples.iter().enumerate().map(|(index, example)| {
        let sequences: Vec<&Sequence> = example.sequences().collect();
        let plain = frozen_sums(&start, &sequences, 4);
        let q = cache.get(index);
        let margin = alpha * ((plain[0] - q[0]) - (plain[1] - q[1]));
        (1.0 + (-margin).exp()).ln()
    });
    assert_within("loss", records[0].loss, losses.sum::<f64>() / 3.0, 1e-5);
    assert!(records[0].metrics.contains_key("step_zero/loss"));
}
