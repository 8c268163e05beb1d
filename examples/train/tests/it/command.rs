//! The program itself.

use std::process::{Command, Output};

use crate::support::Place;

fn train(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_train")).args(arguments).output().unwrap()
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_configuration_is_printed_whole() {
    let place = Place::new();
    let settings = place.file("");
    let printed = train(&[settings.to_str().unwrap(), "--print-config", "--set", "training.seed=7"]);
    assert!(printed.status.success());
    let printed = words(&printed.stdout);
    assert!(
        printed.contains("seed = 7") && printed.contains("alpha = 0.11") && printed.contains("max_grad_norm"),
        "{printed}"
    );
}

#[test]
fn a_dry_run_writes_no_run_and_a_run_says_where_things_are() {
    let place = Place::new();
    let settings = place.file("");
    let dry = train(&[settings.to_str().unwrap(), "--dry-run"]);
    assert!(dry.status.success(), "{}", words(&dry.stderr));
    assert!(words(&dry.stdout).contains("memory: about") && !place.path("run/last").exists());
    let run = train(&[settings.to_str().unwrap()]);
    assert!(run.status.success(), "{}", words(&run.stderr));
    let said = words(&run.stdout);
    assert!(said.contains("steps are done") && said.contains("report.html"), "{said}");
    assert!(place.path("run/last/config.json").exists());
}

#[test]
fn what_is_wrong_is_said_in_one_line_without_a_trace() {
    let place = Place::new();
    let settings = place.file("");
    for (arguments, word) in [
        (vec!["nowhere.toml"], "nowhere.toml"),
        (vec![settings.to_str().unwrap(), "--set", "device=cuda:x"], "device"),
        (vec![settings.to_str().unwrap(), "--set", "device=tpu"], "this program was built for"),
        (vec![settings.to_str().unwrap(), "--set", "model=/no/such/model"], "/no/such/model"),
    ] {
        let output = train(&arguments);
        let said = words(&output.stderr);
        assert!(!output.status.success() && said.contains(word) && !said.contains("panicked"), "{said}");
    }
}
