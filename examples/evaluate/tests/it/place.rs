//! A repository with a fault, a data set about it, and the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Makes the shop add.
pub(crate) const FIX: &str = "--- a/shop.sh\n+++ b/shop.sh\n@@ -1,2 +1,2 @@\n-add() { echo $(($1 - $2)); }\n+add() { echo $(($1 + $2)); }\n take() { echo $(($1 - $2)); }\n";

/// Makes the shop add, and no longer take away.
pub(crate) const SPOIL: &str = "--- a/shop.sh\n+++ b/shop.sh\n@@ -1,2 +1,2 @@\n-add() { echo $(($1 - $2)); }\n-take() { echo $(($1 - $2)); }\n+add() { echo $(($1 + $2)); }\n+take() { echo $(($1 + $2)); }\n";

const SHOP: &str = "add() { echo $(($1 - $2)); }\ntake() { echo $(($1 - $2)); }\n";

/// Brings the hidden test.
const TESTS: &str = "--- /dev/null\n+++ b/tests/hidden.sh\n@@ -0,0 +1,3 @@\n+. ./shop.sh\n+[ \"$(add 2 3)\" = 5 ] && echo ok 1 - adds || echo not ok 1 - adds\n+[ \"$(take 3 2)\" = 1 ] && echo ok 2 - takes || echo not ok 2 - takes\n";

pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    /// A repository in a folder, and a row about it.
    pub(crate) fn new() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir_all(place.path("shop/tests")).unwrap();
        fs::write(place.path("shop/shop.sh"), SHOP).unwrap();
        place.rows(&[place.row()]);
        place
    }

    pub(crate) fn row(&self) -> Value {
        json!({
            "format": "entropo-task/1", "id": "shop-1", "problem": "The shop cannot add.", "repository": "shop",
            "test": "sh tests/hidden.sh; echo 1..2", "log": "tap", "test_patch": TESTS, "patch": FIX,
            "FAIL_TO_PASS": ["adds"], "PASS_TO_PASS": ["takes"],
        })
    }

    pub(crate) fn rows(&self, rows: &[Value]) {
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        fs::write(self.path("tasks.jsonl"), lines).unwrap();
    }

    pub(crate) fn predictions(&self, model: &str, patch: &str) -> PathBuf {
        let path = self.path(&format!("{model}.jsonl"));
        let line = json!({"instance_id": "shop-1", "model_name_or_path": model, "model_patch": patch});
        fs::write(&path, format!("{line}\n")).unwrap();
        path
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs the program on the data set.
    pub(crate) fn evaluate(&self, command: &str, more: &[&str]) -> Ran {
        let dataset = self.path("tasks.jsonl");
        let mut arguments = vec![command, "--dataset", dataset.to_str().unwrap()];
        arguments.extend(more);
        self.program(&arguments)
    }

    pub(crate) fn program(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap())
    }

    /// Begins what [`Self::evaluate`] runs.
    pub(crate) fn begin(&self, command: &str, more: &[&str]) -> Child {
        let dataset = self.path("tasks.jsonl");
        let mut arguments = vec![command, "--dataset", dataset.to_str().unwrap()];
        arguments.extend(more);
        self.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_evaluate"));
        program.args(arguments).current_dir(self.directory.path()).env_remove("OPENAI_API_KEY");
        program
    }

    /// The records of a file of JSON Lines.
    pub(crate) fn lines(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What became of the row's tests.
    pub(crate) fn report(&self, model: &str) -> Value {
        let name = format!("logs/run_evaluation/evaluation/{model}/shop-1/report.json");
        json_of(&self.path(&name))["shop-1"].clone()
    }
}

pub(crate) fn json_of(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// What the program printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) printed: String,
    pub(crate) complaint: String,
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let status = output.status.code().unwrap();
        let ran = Self { status, printed: text(&output.stdout), complaint: text(&output.stderr) };
        assert!(!ran.complaint.contains("panicked"), "{ran:?}");
        ran
    }
}
