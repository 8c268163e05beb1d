//! What a trace does not hold, computed for the viewer.

use std::path::Path;
use std::process::{Command, Output};

use entropo_agent::view::{MeasuredSegment, View};
use entropo_core::{ExitReason, RolloutId, TokenTrace, Trajectory, TrajectoryStore};
use entropo_train::burn::tensor::Device;
use entropo_train::checkpoint::{SaveOptions, load, save};
use entropo_train::decoder::Decoder;

use crate::support::{Place, text};

/// A rollout of two turns.
fn rollout(number: usize) -> Trajectory {
    let mut trace = TokenTrace::default();
    trace.record(0, &[1, 2, 3], &[4, 5], &[-0.5, -2.5], 3).unwrap();
    trace.record(1, &[1, 2, 3, 4, 5, 6], &[7, 60], &[-0.3, -0.1], 5).unwrap();
    let empty = Trajectory::empty(RolloutId::new("task", number), "policy", 7, ExitReason::Agent);
    Trajectory { trace, ..empty }
}

fn measure(place: &Place, to: &str, more: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_measure"));
    command.arg("--model").arg(place.path("model")).arg("--to").arg(place.path(to)).args(more);
    command.arg(place.path("rollouts.jsonl")).output().unwrap()
}

#[test]
fn each_action_token_has_an_entropy_and_a_gap_to_the_reference() {
    let place = Place::new();
    let mut store = TrajectoryStore::open(place.path("rollouts.jsonl")).unwrap();
    let rollouts = [rollout(0), rollout(1)];
    rollouts.iter().for_each(|rollout| store.append(rollout).unwrap());
    drop(store);
    let other = load(&place.path("model"), &Device::default()).unwrap().config().clone();
    save(&Decoder::new(&other, 4, &Device::default()), &place.path("other"), &SaveOptions::default()).unwrap();

    let rows = |to: &str| -> Vec<MeasuredSegment> {
        text(&place.path(to)).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert!(measure(&place, "alone.jsonl", &[]).status.success());
    let (other, own) = (place.path("other"), place.path("model"));
    assert!(measure(&place, "other.jsonl", &["--reference".as_ref(), &other]).status.success());
    assert!(measure(&place, "own.jsonl", &["--reference".as_ref(), &own]).status.success());
    let (alone, against, equal) = (rows("alone.jsonl"), rows("other.jsonl"), rows("own.jsonl"));
    assert_eq!(alone.len(), 2);
    for row in alone.iter().chain(&against).chain(&equal) {
        assert_eq!((row.segment, row.measures.entropy.len()), (0, 4));
        // A tiny model that was never trained knows nothing: nearly the entropy of 64 tokens, 4.16 nats.
        assert!(row.measures.entropy.iter().all(|entropy| (3.0..4.17).contains(entropy)), "{row:?}");
    }
    assert!(alone.iter().all(|row| row.measures.reference_gap.is_empty()));
    assert!(against.iter().all(|row| row.measures.reference_gap.iter().any(|gap| gap.abs() > 0.01)), "{against:?}");
    assert!(equal.iter().all(|row| row.measures.reference_gap == [0.0; 4]), "{equal:?}");

    let view = against
        .into_iter()
        .fold(View::new("t", &rollouts), |view, row| view.measures(row.rollout, row.segment, row.measures));
    assert!(view.html().unwrap().contains("\"gap\":["));
}

#[test]
fn what_cannot_be_measured_is_said_and_nothing_is_written() {
    let place = Place::new();
    let said = |output: Output| {
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said(measure(&place, "to.jsonl", &[])).contains("there is no such file"));
    let empty = Trajectory::empty(RolloutId::new("task", 0), "policy", 7, ExitReason::Agent);
    TrajectoryStore::open(place.path("rollouts.jsonl")).unwrap().append(&empty).unwrap();
    assert!(said(measure(&place, "to.jsonl", &[])).contains("no rollout has tokens"));
    let mut foreign = rollout(1);
    foreign.trace = TokenTrace::default();
    foreign.trace.record(0, &[1, 2], &[99], &[-0.5], 3).unwrap();
    TrajectoryStore::open(place.path("rollouts.jsonl")).unwrap().append(&foreign).unwrap();
    let outside = said(measure(&place, "to.jsonl", &[]));
    assert!(outside.contains("task#1: token 99 at position 2 is outside the vocabulary of 64"), "{outside}");
    assert!(!place.path("to.jsonl").exists());
}
