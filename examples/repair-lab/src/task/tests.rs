//! The promises of a task, kept in front of a real shell.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::{fs, iter};

use super::*;

const TASKS: u64 = 200;

fn presets() -> [(&'static str, Difficulty); 3] {
    [("narrow", Difficulty::narrow()), ("standard", Difficulty::standard()), ("wide", Difficulty::wide())]
}

fn write(directory: &Path, files: &BTreeMap<String, String>) {
    for (path, text) in files {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// Whether `script` succeeds in `directory`, and what it prints.
fn run_script(directory: &Path, script: &str) -> (bool, String) {
    let output = Command::new("sh").args(["-c", script]).current_dir(directory).env("PORT", "7").output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

/// Writes the repository with `line` into a fresh folder and runs the visible and the hidden tests.
fn verdicts(task: &LabTask, line: &str) -> (bool, bool) {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &task.with_line(line));
    let visible = run_script(directory.path(), &task.files["test.sh"]);
    let hidden = run_script(directory.path(), &task.hidden);
    for (passed, text) in [&visible, &hidden] {
        let last = text.lines().last().unwrap();
        assert!(if *passed { last == "all passed" } else { last.ends_with(" failed") }, "{text}");
    }
    (visible.0, hidden.0)
}

#[test]
fn exactly_one_fix_is_true_and_all_look_right() {
    for (preset, difficulty) in presets() {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for seed in 0..TASKS {
            let task = generate(seed, &difficulty).unwrap();
            let fixes = task.fixes.iter().enumerate().map(|(index, line)| (line, (true, index == task.truth)));
            let failing = iter::once(&task.bug).chain(&task.wrong).map(|line| (line, (false, false)));
            for (line, expected) in fixes.chain(failing) {
                let found = verdicts(&task, line);
                if found != expected {
                    let what = format!("{}: {found:?} instead of {expected:?}", task.family);
                    *counts.entry(what).or_default() += 1;
                }
            }
        }
        assert!(counts.is_empty(), "{preset}, {TASKS} tasks: {counts:#?}");
    }
}

#[test]
fn fragments_are_unique_and_correct() {
    for (_, difficulty) in presets() {
        for seed in 0..TASKS {
            let task = generate(seed, &difficulty).unwrap();
            let lines: Vec<&String> = iter::once(&task.bug).chain(&task.fixes).chain(&task.wrong).collect();
            for from in &lines {
                let before = &task.with_line(from)[&task.target];
                for to in lines.iter().filter(|to| to != &from) {
                    let (old, new) = fragment(&task.files[&task.target], task.line, from, to);
                    let context = format!("{}: {from} -> {to}: {old:?} -> {new:?}\n{before}", task.id);
                    assert_eq!(before.matches(&old).count(), 1, "{context}");
                    assert_eq!(before.replacen(&old, &new, 1), task.with_line(to)[&task.target], "{context}");
                    assert!([&old, &new].iter().all(|text| !text.is_empty() && text.trim() == *text), "{context}");
                }
            }
        }
    }
}

#[test]
fn a_task_is_described_truly() {
    for (preset, difficulty) in presets() {
        let mut families = BTreeSet::new();
        for seed in 0..TASKS {
            let task = generate(seed, &difficulty).unwrap();
            assert_eq!(task, generate(seed, &difficulty).unwrap(), "{preset}: seed {seed} gave two tasks");
            let written = serde_json::to_string(&task).unwrap();
            assert_eq!(task, serde_json::from_str(&written).unwrap());

            let text = &task.files[&task.target];
            assert_eq!(text.lines().nth(task.line - 1), Some(task.bug.as_str()));
            assert_eq!(task.with_line(&task.bug), task.files);
            let libraries: Vec<&String> =
                task.files.iter().filter(|(path, _)| path.starts_with("lib/")).map(|(_, text)| text).collect();
            assert!((3..=5).contains(&libraries.len()));
            assert!(libraries.iter().all(|text| (8..=20).contains(&text.lines().count())));
            let functions: Vec<&str> =
                libraries.iter().flat_map(|text| text.lines()).filter_map(|line| line.strip_suffix("() {")).collect();
            assert_eq!(functions.iter().collect::<BTreeSet<_>>().len(), functions.len());
            assert!(task.issue.starts_with(&format!("`{} ", task.function)));
            assert!((2..=3).contains(&task.files["test.sh"].matches("\ncheck '").count()));
            families.insert(task.family);
        }
        assert_eq!(families.len(), FAMILIES.len(), "{preset}");
    }
}

#[test]
fn the_cue_helps_and_the_prior_is_kept() {
    let tasks: Vec<LabTask> = (0..2000).map(|seed| generate(seed, &Difficulty::narrow()).unwrap()).collect();
    let share =
        |holds: &dyn Fn(&LabTask) -> bool| tasks.iter().filter(|task| holds(task)).count() as f64 / tasks.len() as f64;
    let cue = share(&|task| task.cue == task.truth);
    assert!((cue - (0.55 + 0.45 / 4.0)).abs() < 0.05, "cue right {cue}");
    let likeliest =
        share(&|task| FAMILIES.iter().any(|family| family.name == task.family && family.prior[task.truth] == 45));
    assert!((likeliest - 0.45).abs() < 0.05, "likeliest fix true {likeliest}");
}

#[test]
fn priors_are_permutations() {
    for family in &FAMILIES {
        let mut prior = family.prior;
        prior.sort_unstable();
        assert_eq!(prior, [11, 17, 27, 45], "{}", family.name);
    }
}

#[test]
fn broken_libraries_fail_every_check() {
    let task = generate(1, &Difficulty::narrow()).unwrap();
    let checks = task.files["test.sh"].matches("\ncheck '").count();
    for broken in ["out=$((\n", "exit 0\n", "}\n", "failed=0\ncheck() { :; }\nexit\n"] {
        let directory = tempfile::tempdir().unwrap();
        let mut files = task.with_line(&task.fixes[task.truth]);
        let path = files.keys().find(|path| **path != task.target).unwrap().clone();
        files.insert(path, broken.to_owned());
        write(directory.path(), &files);
        let (passed, text) = run_script(directory.path(), &task.files["test.sh"]);
        assert!(!passed, "{broken}: {text}");
        assert_eq!(text.matches("not ok").count(), checks, "{broken}: {text}");
        assert_eq!(text.lines().last(), Some(format!("{checks} failed").as_str()));
    }
}

/// A constant that spoils a family would only cost a second draw, so it is looked for here.
#[test]
fn the_first_draw_is_fair() {
    for (preset, difficulty) in presets() {
        let unfair: Vec<_> = (0..1000).filter(|seed| !generate::first_draw_is_fair(*seed, &difficulty)).collect();
        assert!(unfair.is_empty(), "{preset}: {unfair:?}");
    }
}
