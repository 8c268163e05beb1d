//! What fuzzing found to be worth reading is read again.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are tests too; clippy.toml exempts only the test functions themselves"
)]

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;

/// Calls a target with its seeds and its corpus; with how many.
fn replay(target: &str, check: fn(&[u8])) -> usize {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let seeds = fs::read_dir(here.join("seeds").join(target)).unwrap();
    let mut inputs: Vec<Vec<u8>> = seeds.map(|seed| fs::read(seed.unwrap().path()).unwrap()).collect();
    let corpus = File::open(here.join("corpus").join(format!("{target}.tar.gz"))).unwrap();
    for entry in tar::Archive::new(GzDecoder::new(corpus)).entries().unwrap() {
        let mut input = Vec::new();
        entry.unwrap().read_to_end(&mut input).unwrap();
        inputs.push(input);
    }
    inputs.iter().for_each(|input| check(input));
    inputs.len()
}

#[test]
fn editor() {
    assert!(replay("editor", entropo_fuzz::editor) > 100);
}

#[test]
fn patch() {
    assert!(replay("patch", entropo_fuzz::patch) > 100);
}

#[test]
fn dialect() {
    assert!(replay("dialect", entropo_fuzz::dialect) > 100);
}

#[test]
fn log() {
    assert!(replay("log", entropo_fuzz::log) > 100);
}
