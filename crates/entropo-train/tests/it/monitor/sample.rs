//! A run like those of EntroPO: noisy, with evaluations, warnings, a loss that is not a number, and a crash.
//!
//! It stays in cargo's directory for such files, for `scripts/check_tensorboard.py` and for eyes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use entropo_train::monitor::{Description, Monitor, MonitorOptions, Output, Record, read_metrics};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::events;

const STEPS: usize = 1200;
/// The last step before the crash, and the one from which the run goes on.
const CRASH: usize = 730;
const RESUME: usize = 700;

/// Noise around 0.
fn noise(random: &mut ChaCha8Rng) -> f64 {
    random.random_range(-1.0..1.0) + random.random_range(-1.0..1.0)
}

fn step(step: usize, random: &mut ChaCha8Rng) -> Record {
    let share = step as f64 / STEPS as f64;
    let learned = 1.0 - (-4.0 * share).exp();
    let tokens = random.random_range(24_000..32_000);
    let rate = if step < 60 { (step + 1) as f64 / 60.0 } else { 0.5 * (1.0 + (std::f64::consts::PI * share).cos()) };
    let spike = if step == 410 { 40.0 } else { 1.0 };
    let margin = 2.4 * learned + 0.5 * noise(random);
    let scalars = [
        ("loss", if step == 555 { f64::NAN } else { f64::sqrt(spike) * (0.9 - 0.45 * learned + 0.06 * noise(random)) }),
        ("grad_norm", spike * (2.5 - 1.2 * learned + 0.5 * noise(random)).abs()),
        ("learning_rate", 1e-5 * rate),
        ("tokens", f64::from(tokens)),
        ("action_tokens", f64::from(tokens / 6)),
        ("rewards/chosen", 0.4 * margin - 0.3),
        ("rewards/rejected", -0.6 * margin - 0.3),
        ("rewards/margins", margin),
        ("rewards/accuracies", (0.5 + 0.4 * learned + 0.1 * noise(random)).clamp(0.0, 1.0)),
        ("log_ratio_rewards/margins", 0.8 * margin),
        ("logps/chosen", -180.0 + 20.0 * learned + 6.0 * noise(random)),
        ("logps/rejected", -210.0 - 30.0 * learned + 6.0 * noise(random)),
        ("offset/mean", -0.3 + 0.2 * noise(random)),
        ("offset/p95", 1.2 + 0.2 * noise(random)),
        ("offset/sd", 0.9 + 0.1 * noise(random)),
        ("saturated_fraction", (0.125 * random.random_range(0..3) as f64 * learned).clamp(0.0, 1.0)),
        ("effective_count", 7.5 - 2.0 * learned + 0.3 * noise(random)),
        ("entropy", 0.9 - 0.2 * learned + 0.03 * noise(random)),
        ("aux_loss", 0.01 + 0.002 * noise(random)),
    ];
    let scalars = scalars.map(|(name, value)| (name.to_owned(), value)).into();
    let notes = match step {
        0 => vec!["3 of 8 pairs start saturated (|margin| > 5): lower `alpha` or set `offset = \"clip\"`".to_owned()],
        555 => vec!["the loss is NaN; the step was skipped (1 of at most 5 in a row)".to_owned()],
        _ => Vec::new(),
    };
    Record { step, steps: STEPS, wall_s: 1.9 * (step + 1) as f64, scalars, notes }
}

fn monitor(directory: &Path, first_step: usize) -> Monitor {
    let description = Description {
        title: "EntroPO on a sample".to_owned(),
        configuration: "[objective]\nkind = \"entropo_dpo\"\nalpha = 0.11\nbeta = 0.1\n\n[train]\nepochs = 1\nbatch_size = 8\nlearning_rate = 1e-5\nwarmup_steps = 60\nseed = 0\n".to_owned(),
        data: "rows read      9812\nrows kept      9600\n  too long      180\n  sides equal    32\naction tokens  17 %\n".to_owned(),
        facts: vec![
            ("Model".to_owned(), "Qwen2.5-Coder-0.5B".to_owned()),
            ("Device".to_owned(), "flex".to_owned()),
        ],
    };
    let options = MonitorOptions { first_step, output: Output::Nothing, description, ..MonitorOptions::default() };
    Monitor::start(directory, options).unwrap()
}

fn take(monitor: &mut Monitor, steps: std::ops::Range<usize>) {
    for index in steps {
        let mut random = ChaCha8Rng::seed_from_u64(index as u64);
        let record = step(index, &mut random);
        monitor.step(&record).unwrap();
        if (index + 1).is_multiple_of(100) {
            let learned = 1.0 - (-4.0 * index as f64 / STEPS as f64).exp();
            let scalars = [("loss", 0.92 - 0.4 * learned), ("rewards/accuracies", 0.5 + 0.36 * learned)];
            monitor.step(&Record::evaluation(index, STEPS, record.wall_s + 0.5, scalars)).unwrap();
        }
    }
}

#[test]
fn a_run_that_crashed_and_went_on_has_every_step_once_everywhere() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("monitored-run");
    let _ = fs::remove_dir_all(&directory);
    let mut first = monitor(&directory, 0);
    take(&mut first, 0..CRASH);
    drop(first);
    let mut second = monitor(&directory, RESUME);
    take(&mut second, RESUME..STEPS);
    let finished = second.finish().unwrap();

    let mut logged: BTreeMap<(String, usize), f64> = BTreeMap::new();
    let mut steps = Vec::new();
    read_metrics(directory.join("metrics.jsonl"), |record| {
        steps.extend(record.scalars.contains_key("loss").then_some(record.step));
        let named = record.scalars.into_iter().map(|(name, value)| ((name, record.step), value));
        logged.extend(named);
    })
    .unwrap();
    assert_eq!(steps, (0..STEPS).collect::<Vec<_>>());

    let seen = events::read_directory(&directory);
    assert!(seen.keys().eq(logged.keys()));
    for (place, value) in &logged {
        let (expected, found) = (*value as f32, seen[place]);
        assert!(found == expected || (found.is_nan() && expected.is_nan()), "{place:?}: {found} for {expected}");
    }

    let html = fs::read_to_string(finished.report.unwrap()).unwrap();
    assert!(html.contains("all 1200 steps") && html.contains("30 records of steps that are taken again"), "{html}");
    assert!(html.len() < 3_000_000, "{}", html.len());
}
