//! From recorded tokens to the rows that predict actions.

use burn::tensor::Device;
use entropo_core::Segment;
use entropo_train::data::{Batch, Example, Sequence, SequenceError};
use entropo_train::logprob::logprobs;
use serde_json::json;

use crate::support::{assert_within, decoder, host, ids};

fn sequence(id: &str, ids: &[u32], actions: &[u8]) -> Sequence {
    Sequence::new(id, ids.to_vec(), actions.iter().map(|&action| action == 1).collect()).unwrap()
}

#[test]
fn a_batch_asks_for_the_actions_that_can_be_predicted() {
    let long = sequence("long", &[5, 6, 7, 8], &[0, 1, 0, 1]);
    // The first token is never predicted, marked or not.
    let short = sequence("short", &[9, 10], &[1, 1]);
    let batch = Batch::new(&[&long, &short], &Device::default());
    assert_eq!((batch.tokens(), batch.actions()), (6, 3));
    assert_eq!(batch.by_sequence(&['a', 'b', 'c']), [['a', 'b'].as_slice(), ['c'].as_slice()]);
    assert_eq!(batch.sums(&[-1.0, -2.0, -4.0]), [-3.0, -4.0]);
    assert_eq!(batch.spread(&[0.5, 2.0]), [0.5, 0.5, 2.0]);
}

#[test]
fn log_probabilities_are_those_of_the_actions() {
    let decoder = decoder(1);
    let tokens = [5, 6, 7, 8, 9];
    let sequence = sequence("one", &tokens, &[0, 0, 1, 0, 1]);
    let actual = logprobs(&decoder, &Batch::new(&[&sequence], &Device::default())).remove(0);
    let logits = host(decoder.logits(ids(&[tokens.to_vec()], &Device::default())));
    assert_eq!(actual.len(), 2);
    for (actual, position) in actual.into_iter().zip([2, 4]) {
        let row: Vec<f64> = logits[(position - 1) * 17..position * 17].iter().map(|&logit| logit.into()).collect();
        let total = row.iter().map(|logit| logit.exp()).sum::<f64>().ln();
        assert_within("log-probability", actual.into(), row[tokens[position] as usize] - total, 1e-5);
    }
}

#[test]
fn a_prompt_is_joined_with_another_completion() {
    let first = sequence("first", &[1, 2, 3, 4], &[0, 0, 1, 1]);
    let second = sequence("second", &[5, 6, 7, 8], &[0, 1, 0, 1]);
    let mixed = first.with_completion_of(&second).unwrap();
    assert_eq!(mixed, sequence("first answered by second", &[1, 2, 6, 7, 8], &[0, 0, 1, 0, 1]));
    // Without a prompt the only action would be a first token, which nothing predicts.
    let bare = sequence("bare", &[1, 2], &[1, 1]);
    assert_eq!(bare.with_completion_of(&sequence("last", &[1, 2], &[0, 1])), None);
}

#[test]
fn a_recorded_context_keeps_its_actions() {
    let actions = [(1, 2), (4, 6)].map(|(start, end)| json!({ "turn": 0, "start": start, "end": end }));
    let segment = json!({ "ids": [5, 6, 7, 8, 9, 10], "actions": actions, "messages": 4 });
    let segment: Segment = serde_json::from_value(segment).unwrap();
    let expected = sequence("recorded", &[5, 6, 7, 8, 9, 10], &[0, 1, 0, 0, 1, 1]);
    assert_eq!(Sequence::from_segment("recorded", &segment), Ok(expected));
}

#[test]
fn lengths_must_agree() {
    let error = Sequence::new("task", vec![1, 2, 3], vec![false, true]).unwrap_err();
    assert_eq!(error, SequenceError::Length { id: "task".into(), tokens: 3, mask: 2 });
}

#[test]
fn a_preference_gives_its_chosen_sequence_first() {
    let (chosen, rejected) = (sequence("w", &[1, 2], &[0, 1]), sequence("l", &[1, 2, 3], &[0, 1, 1]));
    let example = Example::Preference { chosen, rejected };
    assert_eq!(example.sequences().map(Sequence::id).collect::<Vec<_>>(), ["w", "l"]);
    assert_eq!(example.tokens(), 5);
}
