//! Processes that die: killed at any moment, or out of disk.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use burn::tensor::Device;
use entropo_train::objective::{EntropoKto, Objective};
use entropo_train::trainer::{MuonConfig, OptimizerConfig, TrainConfig, TrainError, Training};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{config, files};
use crate::support::{decoder, labelled};

/// Where the child's run is.
const DIRECTORY: &str = "ENTROPO_TEST_DIRECTORY";
/// Steps of the child's run.
const STEPS: usize = 120;

/// A run with everything that there is to take up again: two optimisers, a moving average, evaluations.
fn settings() -> TrainConfig {
    TrainConfig {
        epochs: 30,
        batch_size: 2,
        save_every: 3,
        evaluate_every: 7,
        learning_rate: 1e-3,
        optimizer: OptimizerConfig::Muon(MuonConfig::default()),
        ..config(Objective::EntropoKto(EntropoKto::default()))
    }
}

/// The child, started by the other tests: runs in its directory, and keeps a log there as [`Training`] says.
#[test]
#[ignore = "is started by other tests of this file"]
fn child() {
    let directory = std::env::var_os(DIRECTORY).expect("is started by other tests of this file");
    let directory = Path::new(&directory);
    let (examples, held_out) = (labelled(8), labelled(5));
    let training = Training::over(&examples, settings()).evaluate_on(&held_out).directory(directory.join("run"));
    let training = training.start(&decoder(1), &Device::default()).unwrap();
    let path = directory.join("log.jsonl");
    let known = fs::read(&path).unwrap_or_default();
    let kept: usize = known.split_inclusive(|byte| *byte == b'\n').take(training.done()).map(<[u8]>::len).sum();
    let mut log = OpenOptions::new().append(true).create(true).open(&path).unwrap();
    // Cut in one call: a file that is written anew is empty in between, and this process dies at any moment.
    log.set_len(kept as u64).unwrap();
    let end = training.run(|record, _| {
        log.write_all(format!("{}\n", serde_json::to_string(record).unwrap()).as_bytes()).unwrap();
        ControlFlow::Continue(())
    });
    if let Err(error) = end {
        assert!(matches!(error, TrainError::Checkpoint(_)), "{error:?}");
        fs::write(directory.join("error"), error.to_string()).unwrap();
    }
}

fn command(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.env(DIRECTORY, directory).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn arguments() -> [&'static str; 4] {
    ["--exact", "training::killed::child", "--ignored", "--nocapture"]
}

fn lines(path: &Path) -> usize {
    fs::read(path).map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count())
}

#[test]
fn a_process_killed_at_any_moment_goes_on_to_the_last_bit() {
    let program = std::env::current_exe().unwrap();
    let [whole, killed] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    assert!(command(&program, whole.path()).args(arguments()).status().unwrap().success());
    assert_eq!(lines(&whole.path().join("log.jsonl")), STEPS);

    let mut random = ChaCha8Rng::seed_from_u64(3);
    let (log, mut kills) = (killed.path().join("log.jsonl"), 0);
    let finished = loop {
        let mut child = command(&program, killed.path()).args(arguments()).spawn().unwrap();
        // Some steps further, and then at no step's end in particular.
        let (goal, moment) = (lines(&log) + random.random_range(0..16), random.random_range(0..4000));
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if kills < 12 && lines(&log) >= goal => {
                    std::thread::sleep(Duration::from_micros(moment));
                    child.kill().unwrap();
                    child.wait().unwrap();
                    break None;
                }
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        match status {
            Some(status) => break status,
            None => kills += 1,
        }
    };
    assert!(finished.success() && kills >= 3, "{kills} kills, {finished}");
    let [whole, killed] = [whole, killed].map(|folder| files(folder.path()));
    assert!(whole.keys().eq(killed.keys()), "{:?} and {:?}", whole.keys(), killed.keys());
    for (name, bytes) in &whole {
        assert!(killed[name] == *bytes, "{name} differs after {kills} kills");
    }
}

/// The system refuses files beyond a size, first that of the kept weights, then that of the state.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_what_was_saved() {
    let program = std::env::current_exe().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let (examples, held_out) = (labelled(8), labelled(5));
    let open = || {
        let training = Training::over(&examples, settings()).evaluate_on(&held_out).directory(&run);
        training.start(&decoder(1), &Device::default()).unwrap()
    };
    let stop = |record: &entropo_train::trainer::StepRecord, _: &_| {
        if record.step == 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    open().run(stop).unwrap();
    let before = files(&run);
    let size = |name: &str| before[name].len();
    let (weights, state) = (size("last/model.safetensors"), size("state.safetensors"));
    // The child's own log has to fit, up to the fifth step of the run.
    assert!(weights > 7000 && weights + 2048 < state, "{weights} and {state}");
    for (limit, refused) in [(weights - 1024, "model.safetensors"), ((weights + state) / 2, "state.safetensors")] {
        fs::write(folder.path().join("log.jsonl"), "").unwrap();
        // The signal that would end the process is ignored, so that writing fails instead; sizes are in half kilobytes.
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", limit / 512);
        let mut shell = command(Path::new("sh"), folder.path());
        let status = shell.args(["-c", &script]).arg(&program).args(arguments()).status().unwrap();
        assert!(status.success(), "{status}");
        let error = fs::read_to_string(folder.path().join("error")).unwrap();
        assert!(error.contains(refused) && error.contains("arge"), "{error}"); // File too large
        let after = files(&run);
        assert!(after["state.safetensors"] == before["state.safetensors"], "{refused}");
        assert!(
            !fs::read_dir(&run)
                .unwrap()
                .any(|entry| { entry.unwrap().file_name().to_string_lossy().starts_with(".entropo-") })
        );
        assert_eq!(open().done(), 2);
    }
    // With room again it goes on.
    fs::remove_file(folder.path().join("error")).unwrap();
    fs::write(folder.path().join("log.jsonl"), "1\n2\n").unwrap();
    assert!(command(&program, folder.path()).args(arguments()).status().unwrap().success());
    assert_eq!(lines(&folder.path().join("log.jsonl")), STEPS);
    assert!(!folder.path().join("error").exists());
}
