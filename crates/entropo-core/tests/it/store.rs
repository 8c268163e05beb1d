//! Stores on disk: what is kept, what is refused, what is recovered.

use std::fs;

use entropo_core::{
    ExitReason, Message, RolloutId, StoreError, ToolMessage, TraceError, Trajectory, TrajectoryStore, Usage,
};
use proptest::prelude::*;
use serde_json::json;

use crate::make::rollout;

fn line(trajectory: &Trajectory) -> String {
    serde_json::to_string(trajectory).unwrap() + "\n"
}

#[test]
fn a_rollout_is_found_by_its_name_before_and_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollouts.jsonl");
    let (first, second) = (rollout("a", 0, &[1], &[2], 1.0), rollout("a", 1, &[1], &[3], 0.0));
    let mut store = TrajectoryStore::open(&path).unwrap();
    store.append_all(&[first.clone(), second.clone()]).unwrap();
    for _ in 0..2 {
        assert_eq!(store.records(), [first.clone(), second.clone()]);
        assert_eq!(store.get(&second.id), Some(&second));
        assert!(store.contains(&first.id) && !store.contains(&RolloutId::new("a", 2)));
        drop(store);
        store = TrajectoryStore::open(&path).unwrap();
    }
}

#[test]
fn a_name_is_taken_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollouts.jsonl");
    let (first, other) = (rollout("a", 0, &[1], &[2], 1.0), rollout("b", 0, &[1], &[2], 1.0));
    let mut store = TrajectoryStore::open(&path).unwrap();
    store.append(&first).unwrap();
    let error = store.append(&first).unwrap_err();
    assert!(matches!(&error, StoreError::Duplicate { line: 2, first: 1, id, .. } if *id == first.id), "{error:?}");
    let error = store.append_all(&[other.clone(), other.clone()]).unwrap_err();
    assert!(matches!(error, StoreError::Duplicate { line: 3, first: 2, .. }), "{error:?}");
    assert!(!store.contains(&other.id), "a refused batch leaves no trace");
    store.append(&other).unwrap();
    drop(store);

    fs::write(&path, line(&first) + &line(&other) + &line(&first)).unwrap();
    assert!(matches!(TrajectoryStore::open(&path), Err(StoreError::Duplicate { line: 3, first: 1, .. })));
}

#[test]
fn another_format_is_refused_before_anything_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollouts.jsonl");
    let good = line(&rollout("a", 0, &[1], &[2], 1.0));
    let newer = "{\"format\":\"entropo-trajectory/2\",\"unknown\":[]}";
    for text in [format!("{good}{newer}\n{{\"torn"), format!("{good}{newer}"), format!("{good}{{}}\n")] {
        fs::write(&path, &text).unwrap();
        let error = TrajectoryStore::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Format { line: 2, .. }), "{error:?}");
        assert!(error.to_string().contains("rollouts.jsonl, line 2 has format "), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn what_would_not_be_read_back_as_it_is_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollouts.jsonl");
    let mut store = TrajectoryStore::open(&path).unwrap();
    let good = rollout("a", 0, &[1], &[2], 1.0);

    let mut undefined_reward = good.clone();
    undefined_reward.outcome.reward = Some(f64::NAN);
    assert!(matches!(store.append(&undefined_reward), Err(StoreError::Lossy { .. })));

    let mut infinite_score = good.clone();
    infinite_score.outcome.scores.insert("verifier".into(), f64::INFINITY);
    assert!(matches!(store.append(&infinite_score), Err(StoreError::Unwritable { .. })));

    let mut other_format = good.clone();
    other_format.format = "entropo-trajectory/0".into();
    assert!(matches!(store.append(&other_format), Err(StoreError::Format { line: 1, .. })));

    let mut broken_trace = serde_json::to_value(&good).unwrap();
    broken_trace["trace"]["segments"][0]["actions"][0]["end"] = json!(99);
    let broken_trace: Trajectory = serde_json::from_value(broken_trace).unwrap();
    let error = store.append(&broken_trace).unwrap_err();
    assert!(matches!(error, StoreError::Trace { source: TraceError::Span { end: 99, .. }, .. }), "{error:?}");

    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    store.append(&good).unwrap();
    drop(store);
    fs::write(&path, line(&good) + &line(&broken_trace)).unwrap();
    assert!(matches!(TrajectoryStore::open(&path), Err(StoreError::Trace { line: 2, .. })));
}

prop_compose! {
    fn any_trajectory()(
        text in any::<String>(),
        actions in prop::collection::vec((any::<u32>(), -50.0_f32..0.0), 1..4),
        reward in prop::option::of(0.0..=1.0),
        model_calls in any::<usize>(),
    ) -> Trajectory {
        let mut trajectory = Trajectory::empty(RolloutId::new(&text, 0), "model", 5, ExitReason::StepLimit);
        let (ids, logprobs): (Vec<u32>, Vec<f32>) = actions.into_iter().unzip();
        trajectory.trace.record(0, &[1, 2], &ids, &logprobs, 2).unwrap();
        trajectory.messages = vec![
            Message::user(&text),
            Message::Tool(ToolMessage { call_id: "1".into(), name: "shell".into(), content: text.clone() }),
        ];
        trajectory.outcome.reward = reward;
        trajectory.usage = Usage { model_calls, ..Usage::default() };
        trajectory.error = Some(text);
        trajectory
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn a_file_cut_anywhere_keeps_its_whole_records(mut trajectories in prop::collection::vec(any_trajectory(), 1..4)) {
        for (number, trajectory) in trajectories.iter_mut().enumerate() {
            trajectory.id.rollout = number;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rollouts.jsonl");
        TrajectoryStore::open(&path).unwrap().append_all(&trajectories).unwrap();
        let bytes = fs::read(&path).unwrap();
        for cut in 0..=bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            let whole = bytes[..cut].iter().filter(|&&byte| byte == b'\n').count();
            let torn = bytes[..cut].iter().rev().take_while(|&&byte| byte != b'\n').count();
            let store = TrajectoryStore::open(&path).unwrap();
            prop_assert_eq!(store.recovery().records, whole);
            prop_assert_eq!(store.recovery().torn_bytes, torn as u64);
            prop_assert_eq!(store.records(), &trajectories[..whole]);
            prop_assert_eq!(fs::metadata(&path).unwrap().len(), (cut - torn) as u64);
        }
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let mut store = TrajectoryStore::open(&path).unwrap();
        store.append(trajectories.last().unwrap()).unwrap();
        prop_assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}
