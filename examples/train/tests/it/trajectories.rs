//! The program `trajectories`: from and to other agents, and to rows for other trainers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use entropo_core::TrajectoryStore;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::text;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, value: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, value).unwrap();
    }

    fn go(&self, program: &str, arguments: &str) -> Output {
        Command::new(program).args(arguments.split_whitespace()).current_dir(self.0.path()).output().unwrap()
    }

    /// What a call says that succeeds.
    #[track_caller]
    fn done(&self, arguments: &str) -> String {
        let output = self.go(env!("CARGO_BIN_EXE_trajectories"), arguments);
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a call says that fails.
    #[track_caller]
    fn refused(&self, arguments: &str) -> String {
        let output = self.go(env!("CARGO_BIN_EXE_trajectories"), arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && !said.contains("panicked"), "{arguments}: {said}");
        said
    }

    fn lines(&self, name: &str) -> Vec<Value> {
        text(&self.path(name)).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A file that another agent wrote.
fn foreign(name: &str) -> String {
    text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/entropo-core/tests/data/foreign").join(name))
}

/// A run of R2E-Gym that solved its task, and one that wrote something else and did not.
fn two_runs() -> String {
    let first = foreign("r2e.jsonl").lines().next().unwrap().to_owned();
    let mut second: Value = serde_json::from_str(&first).unwrap();
    second["reward"] = json!(0.0);
    second["trajectory_steps"][0]["thought"] = json!("I guess.");
    format!("{first}\n{second}\n")
}

#[test]
fn a_directory_of_swe_agent_is_read_with_its_report_and_goes_on_to_others() {
    let place = Place::new();
    for (directory, task) in [("a", "lab__stats-7"), ("a", "lab__stats-9"), ("b", "lab__stats-7")] {
        place.write(&format!("{directory}/{task}/{task}.traj"), &foreign("swe_agent.traj"));
    }
    place.write("a/notes.txt", "no trajectory");
    place.write("report.json", &foreign("run_report.json"));
    let said = place.done("import --from swe-agent --report report.json --to judged.jsonl a");
    assert_eq!(said, "judged.jsonl: 2 trajectories, 1 judged, 1 solved\n");
    // One verdict is not that of two runs.
    let said = place.refused("import --from swe-agent --report report.json --to rollouts.jsonl a b");
    assert!(said.contains("lab__stats-7, which the report judges, has several runs"), "{said}");
    let said = place.done("import --from swe-agent --to rollouts.jsonl a b");
    assert_eq!(said, "rollouts.jsonl: 3 trajectories, 0 judged, 0 solved\n");
    let stored = TrajectoryStore::open(place.path("rollouts.jsonl")).unwrap().into_records();
    let ids: Vec<String> = stored.iter().map(|one| one.id.to_string()).collect();
    assert_eq!(ids, ["lab__stats-7#0", "lab__stats-9#0", "lab__stats-7#1"]);

    let said = place.done("export --format swe-agent --to swe judged.jsonl");
    assert!(said.starts_with("swe: 2 trajectories\n") && said.contains("1 lost the hidden judgement"), "{said}");
    place.done("export --format mini-swe-agent --to mini rollouts.jsonl");
    place.done("import --from mini-swe-agent --to again.jsonl mini");
    let again = TrajectoryStore::open(place.path("again.jsonl")).unwrap().into_records();
    assert_eq!(again.len(), 3);
    for one in &stored {
        let other = again.iter().find(|other| other.id == one.id);
        let other =
            other.unwrap_or_else(|| panic!("{}: {:?}", one.id, again.iter().map(|one| &one.id).collect::<Vec<_>>()));
        assert_eq!((&one.messages, &one.outcome.patch, one.exit), (&other.messages, &other.outcome.patch, other.exit));
    }
    let before = text(&place.path("mini/lab__stats-7-0.traj.json"));
    assert!(place.refused("export --format mini-swe-agent --to mini again.jsonl").contains("there already"));
    assert_eq!(text(&place.path("mini/lab__stats-7-0.traj.json")), before);
}

#[test]
fn runs_of_r2e_gym_become_rows_for_other_trainers() {
    let place = Place::new();
    place.write("r2e.jsonl", &two_runs());
    let said = place.done("import --from r2e --to rollouts.jsonl r2e.jsonl");
    assert_eq!(said, "rollouts.jsonl: 2 trajectories, 2 judged, 1 solved\n");
    place.write(
        "tools.json",
        r#"[{"type": "function", "function": {"name": "finish", "description": "End.", "parameters": {"type": "object"}}}]"#,
    );
    for (kind, number, keys) in [
        ("demonstrations", 1, ["messages", "tools"].as_slice()),
        ("labels", 2, &["prompt", "completion", "label"]),
        ("pairs", 1, &["prompt", "chosen", "rejected"]),
    ] {
        let said = place.done(&format!("rows --kind {kind} --tools tools.json --to {kind}.jsonl rollouts.jsonl"));
        let unsolved = if kind == "demonstrations" { "\n  1 did not solve their tasks" } else { "" };
        assert_eq!(said, format!("{kind}.jsonl: {number} rows of 2 trajectories{unsolved}\n"));
        let to = format!("--format trl --to {kind}.trl.jsonl {kind}.jsonl");
        let output = place.go(env!("CARGO_BIN_EXE_export"), &to);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let rows = place.lines(&format!("{kind}.trl.jsonl"));
        assert_eq!(rows.len(), number);
        assert!(rows.iter().all(|row| keys.iter().all(|key| row.get(key).is_some())), "{rows:?}");
    }
    let output = place.go(env!("CARGO_BIN_EXE_export"), "--format openai --to openai.jsonl demonstrations.jsonl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(place.lines("openai.jsonl")[0]["tools"][0]["function"]["name"], "finish");

    place.done("export --format r2e --to back.jsonl rollouts.jsonl");
    let (old, new) = (place.lines("r2e.jsonl"), place.lines("back.jsonl"));
    for (old, new) in old.iter().zip(&new) {
        assert_eq!((&old["reward"], &old["output_patch"]), (&new["reward"], &new["output_patch"]));
        assert_eq!(old["trajectory_steps"][0]["action"], new["trajectory_steps"][0]["action"]);
    }
}

#[test]
fn what_cannot_be_carried_is_said_with_its_place_and_nothing_is_written() {
    let place = Place::new();
    place.write("r2e.jsonl", &(two_runs() + "{}\n"));
    place.write("unjudged/a.traj", &foreign("swe_agent.traj"));
    place.write("wrong.json", "{}");
    place.done("import --from swe-agent --to unjudged.jsonl unjudged");
    for (arguments, words) in [
        ("import --from r2e --to out r2e.jsonl", "r2e.jsonl: line 3"),
        ("import --from r2e --report wrong.json --to out r2e.jsonl", "leave --report out"),
        ("import --from swe-agent --to out none.traj", "none.traj: No such file"),
        ("import --from mini-swe-agent --to out unjudged", ".traj.json"),
        ("import --from swe-agent --report wrong.json --to out unjudged", "wrong.json"),
        ("export --format r2e --to out none.jsonl", "none.jsonl: there is no such file"),
        (
            "rows --kind pairs --to out unjudged.jsonl",
            "of 1 trajectories there is no row\n  dropped trajectories: 1 without",
        ),
        ("rows --kind labels --tools wrong.json --to out unjudged.jsonl", "wrong.json: it is no list of tools"),
    ] {
        let said = place.refused(arguments);
        assert!(said.contains(words), "{arguments}: {said}");
        assert!(!place.path("out").exists(), "{arguments}");
    }
}
