//! What a run says before it has learned anything.

use entropo_train::objective::{Dpo, EntropoDpo, Margin, Objective};
use entropo_train::trainer::ReferenceCache;

use super::{config, entropo, finish, open};
use crate::support::{assert_within, decoder, pairs};

#[test]
fn saturated_pairs_are_told_of_in_the_first_record() {
    let examples = pairs(8);
    let far = EntropoDpo { alpha: 10.0, ..EntropoDpo::default() };
    let (records, _) = finish(open(&decoder(1), &examples, &entropo(far), None).unwrap(), 2);
    let note = &records[0].notes[0];
    assert!(note.contains("of 8 pairs") && note.contains("`alpha` from 10"), "{note}");
    assert!(records[0].metrics["step_zero/saturated_fraction"] > 0.1);
    assert!(records[1].notes.is_empty() && !records[1].metrics.contains_key("step_zero/loss"));

    let near = EntropoDpo { margin: Margin::PerToken, ..EntropoDpo::default() };
    let (records, _) = finish(open(&decoder(1), &examples, &entropo(near), None).unwrap(), 1);
    assert!(records[0].notes.is_empty(), "{:?}", records[0].notes);
    assert_within("loss", records[0].metrics["step_zero/loss"], std::f64::consts::LN_2, 0.05);
}

#[test]
fn plain_dpo_has_nothing_to_say() {
    let config = config(Objective::Dpo(Dpo::default()));
    let (records, _) = finish(open(&decoder(1), &pairs(8), &config, None).unwrap(), 1);
    assert!(records[0].notes.is_empty() && !records[0].metrics.keys().any(|name| name.starts_with("step_zero/")));
}

#[test]
fn alpha_follows_from_the_reference() {
    let examples = pairs(8);
    let kappa = EntropoDpo { kappa: Some(1.5), ..EntropoDpo::default() };
    let training = open(&decoder(1), &examples, &entropo(kappa), None).unwrap();
    let Objective::EntropoDpo(EntropoDpo { alpha, kappa: None, .. }) = *training.objective() else { panic!() };
    let cache = ReferenceCache::of(&decoder(1), &examples, 16, None).unwrap();
    let gaps: Vec<f64> = (0..8).map(|index| cache.get(index)[0] - cache.get(index)[1]).collect();
    let mean = gaps.iter().sum::<f64>() / 8.0;
    let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / 8.0).sqrt();
    assert_within("alpha", alpha, 0.1 + 1.5 / deviation, 1e-9);
    let (records, _) = finish(training, 1);
    assert_within("offset", records[0].metrics["step_zero/offset_sd"], 1.5, 1e-9);
}

#[test]
fn a_rising_alpha_is_logged() {
    let rising = EntropoDpo { alpha: 0.3, anneal: 0.5, ..EntropoDpo::default() };
    let (records, _) = finish(open(&decoder(1), &pairs(8), &entropo(rising), None).unwrap(), 6);
    let alphas: Vec<f64> = records.iter().map(|record| record.metrics["alpha"]).collect();
    for (alpha, expected) in alphas.iter().zip([0.1, 0.1 + 0.2 / 3.0, 0.1 + 0.4 / 3.0, 0.3, 0.3, 0.3]) {
        assert_within("alpha", *alpha, expected, 1e-12);
    }
    assert_within("the first loss is DPO's", records[0].loss, std::f64::consts::LN_2, 1e-6);
}
