//! A writer that is killed at random moments, for real.
//!
//! The test runs its own binary again with an environment variable set. That child appends without end and tells on its
//! standard output what was acknowledged; its parent kills it with SIGKILL (or its equal elsewhere) and looks at the
//! file.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use entropo_core::{Trajectory, TrajectoryStore};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::make::rollout;

const STORE: &str = "ENTROPO_TEST_KILL_STORE";
const KILLS: usize = 16;

/// Record `number`, from a few hundred bytes to a third of a megabyte.
fn record(number: usize) -> Trajectory {
    let mut trajectory = rollout("endless", number, &[1, 2, 3], &[4, 5], 1.0);
    trajectory.outcome.patch = "+line\n".repeat(number * 7_919 % 50_000);
    trajectory
}

fn append_without_end(path: &Path) -> ! {
    let mut store = TrajectoryStore::open(path).unwrap();
    loop {
        let number = store.len();
        store.append(&record(number)).unwrap();
        println!("\nacknowledged {number}"); // panics when the parent is gone
    }
}

#[test]
fn a_killed_writer_leaves_whole_records_and_all_it_acknowledged() {
    if let Some(path) = std::env::var_os(STORE) {
        append_without_end(Path::new(&path));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollouts.jsonl");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut before, mut torn) = (0, 0);
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "store_kill::a_killed_writer_leaves_whole_records_and_all_it_acknowledged",
                "--exact",
                "--nocapture",
            ])
            .env(STORE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut acknowledged = lines.by_ref().find_map(|line| parse(&line)).expect("the child appends");
        std::thread::sleep(Duration::from_micros(rng.random_range(0..30_000)));
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success());
        acknowledged = lines.filter_map(|line| parse(&line)).last().unwrap_or(acknowledged);

        let store = TrajectoryStore::open(&path).unwrap();
        assert!(store.len() > acknowledged, "kill {kill}: {acknowledged} was acknowledged, {} are there", store.len());
        assert!(store.len() > before);
        for (number, trajectory) in store.iter().enumerate() {
            assert_eq!(*trajectory, record(number), "kill {kill}");
        }
        (before, torn) = (store.len(), torn + usize::from(store.recovery().torn_bytes > 0));
        if before > 150 {
            drop(store);
            std::fs::remove_file(&path).unwrap();
            before = 0;
        }
    }
    eprintln!("{torn} of {KILLS} kills tore a line");
}

fn parse(line: &str) -> Option<usize> {
    line.strip_prefix("acknowledged ")?.parse().ok()
}
