//! Killed or interrupted at any moment, quickstart goes on where it was and finds out the same.

use std::collections::{BTreeMap, BTreeSet};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::place::{Place, ROLLOUTS, Running, assert_reference_results};

/// When to strike, in the order in which the moments come.
const MOMENTS: [&str; 6] =
    ["the first rollouts", "more rollouts", "training M-DPO", "training EntroPO", "evaluating SFT", "evaluating M-DPO"];

fn wait_for(running: &mut Running, place: &Place, moment: &str) {
    let lines = |file: usize| place.rollouts(ROLLOUTS[file].0).len();
    running.wait_for(moment, || match moment {
        "the first rollouts" => lines(0) >= 5,
        "more rollouts" => lines(0) >= 30,
        "training M-DPO" => place.out().join("training/M-DPO").exists(),
        "training EntroPO" => place.out().join("training/EntroPO").exists(),
        "evaluating SFT" => lines(1) >= 3,
        _ => lines(2) >= 3,
    });
}

/// Finished rollouts by file.
fn kept(place: &Place) -> BTreeMap<&'static str, Vec<String>> {
    ROLLOUTS.iter().map(|&(file, _)| (file, place.rollouts(file))).collect()
}

/// Everything that was there before still is, at the beginning of its file.
fn assert_kept(place: &Place, before: &BTreeMap<&str, Vec<String>>, moment: &str) {
    for (file, lines) in kept(place) {
        assert!(lines.starts_with(&before[file]), "{file} lost rollouts that were finished before {moment}");
    }
}

fn assert_complete(place: &Place) {
    for (file, count) in ROLLOUTS {
        let lines = place.rollouts(file);
        let id = |line: &String| serde_json::from_str::<Value>(line).unwrap()["id"].to_string();
        assert_eq!((lines.len(), lines.iter().map(id).collect::<BTreeSet<_>>().len()), (count, count), "{file}");
    }
    assert_reference_results(place);
}

#[test]
fn a_killed_run_is_continued() {
    let place = Place::new();
    let mut before = kept(&place);
    for moment in MOMENTS {
        let mut running = place.start(&[]);
        wait_for(&mut running, &place, moment);
        running.signal(Signal::SIGKILL);
        assert!(running.end().status.code().is_none());
        assert!(!place.out().join("results.json").exists());
        assert_kept(&place, &before, moment);
        before = kept(&place);
    }
    let ended = place.run(&[]);
    assert!(ended.status.success(), "{ended:?}");
    assert_kept(&place, &before, "the end");
    assert_complete(&place);
}

#[test]
fn an_interrupted_run_clears_up_and_is_continued() {
    let place = Place::new();
    let mut before = kept(&place);
    for moment in ["the first rollouts", "training M-DPO", "evaluating M-DPO"] {
        let mut running = place.start(&[]);
        wait_for(&mut running, &place, moment);
        running.signal(Signal::SIGINT);
        let ended = running.end();
        assert_eq!(ended.status.code(), Some(130), "{moment}: {}", ended.printed);
        assert!(ended.printed.contains("run the same command again"), "{}", ended.printed);
        place.assert_nothing_left();
        assert!(!place.out().join("results.json").exists());
        assert_kept(&place, &before, moment);
        before = kept(&place);
    }
    let ended = place.run(&[]);
    assert!(ended.status.success(), "{ended:?}");
    assert_kept(&place, &before, "the end");
    assert_complete(&place);
    place.assert_nothing_left();
}
