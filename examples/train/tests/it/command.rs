//! The program itself.

use std::process::{Command, Output};

use crate::support::Place;

fn train(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_train")).args(arguments).output().unwrap()
}

fn export(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_export")).args(arguments).output().unwrap()
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

#[test]
fn an_adapter_is_merged_into_its_base() {
    let place = Place::new();
    let settings = place.file("");
    let run = train(&[settings.to_str().unwrap(), "--set", "lora.rank=2"]);
    assert!(run.status.success(), "{}", words(&run.stderr));
    let [model, last, merged] = ["model", "run/last", "merged"].map(|name| place.path(name));
    let [model, last, merged] = [&model, &last, &merged].map(|path| path.to_str().unwrap());
    let merge = Command::new(env!("CARGO_BIN_EXE_merge"))
        .args(["--base", model, "--adapter", last, "--to", merged])
        .output()
        .unwrap();
    assert!(merge.status.success(), "{}", words(&merge.stderr));
    // The next stage starts from there.
    let next = train(&[
        settings.to_str().unwrap(),
        "--set",
        &format!("model={merged}"),
        "--set",
        &format!("output={}", place.path("next").display()),
    ]);
    assert!(next.status.success(), "{}", words(&next.stderr));
}

#[test]
fn rows_go_to_other_trainers_whole_or_not_at_all() {
    let place = Place::new();
    let row = r#"{"prompt":[{"role":"user","content":"Hi"}],"chosen":[{"role":"assistant","content":"Yes"}],"rejected":[{"role":"assistant","content":"No"}]}"#;
    let rows = place.path("words.jsonl");
    std::fs::write(&rows, format!("{row}\n{row}\n")).unwrap();
    let to = place.path("out.jsonl");
    let arguments = |format, rows: &std::path::Path| {
        ["--format", format, "--to", to.to_str().unwrap(), rows.to_str().unwrap()].map(str::to_owned)
    };
    let go = |format, rows: &std::path::Path| export(&arguments(format, rows).each_ref().map(String::as_str));
    let refused = go("trl", &place.path("pairs.jsonl"));
    assert!(!refused.status.success() && !to.exists(), "{}", words(&refused.stdout));
    assert!(words(&refused.stderr).contains("pairs.jsonl, line 1"), "{}", words(&refused.stderr));
    let written = go("llama-factory", &rows);
    assert!(words(&written.stdout).contains("dataset_info.json"), "{}", words(&written.stderr));
    assert!(crate::support::text(&to).lines().all(|line| line.contains("conversations")));
    let mixed = place.path("mixed.jsonl");
    let demonstration = r#"{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes"}]}"#;
    std::fs::write(&mixed, format!("{demonstration}\n{row}\n")).unwrap();
    for format in ["trl", "llama-factory", "openai"] {
        let other = place.path("other.jsonl");
        let refused = export(&["--format", format, "--to", other.to_str().unwrap(), mixed.to_str().unwrap()]);
        let complaint = words(&refused.stderr);
        assert!(!refused.status.success() && !other.exists(), "{format}");
        assert!(complaint.contains("mixed.jsonl, line 2") && complaint.contains("write them apart"), "{complaint}");
    }
    let again = go("trl", &rows);
    assert!(!again.status.success() && words(&again.stderr).contains("there already"), "{}", words(&again.stderr));
}
