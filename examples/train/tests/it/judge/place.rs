//! A directory with the reference model, and attempts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use entropo_agent::select::ScoreRow;
use entropo_core::{ExitReason, JsonlStore, Message, RolloutId, Trajectory, TrajectoryStore};
use tempfile::TempDir;

/// The model of the fixtures, with a longer context, and a prompt whose answers are one token each for it.
pub(super) struct Place(TempDir);

/// What the program said.
pub(super) struct Said {
    pub(super) success: bool,
    pub(super) out: String,
    pub(super) error: String,
}

impl Place {
    pub(super) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/models/qwen2/checkpoint");
        fs::create_dir(place.path("model")).unwrap();
        for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), place.path("model").join(file.file_name())).unwrap();
        }
        let config = place.path("model/config.json");
        let short = fs::read_to_string(&config).unwrap();
        let long = short.replace("\"max_position_embeddings\": 512", "\"max_position_embeddings\": 1024");
        assert_ne!(short, long);
        fs::write(config, long).unwrap();
        let prompt =
            "system = \"\"\nquestion = \"?\"\naffirmative = \"action\"\nnegative = \"option\"\nleast_mass = 0.0\n";
        fs::write(place.path("prompt.toml"), prompt).unwrap();
        place
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `judge` in the place, so that names of files are short.
    pub(super) fn judge(&self, arguments: &str) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_judge"));
        self.run(command.args(arguments.split_whitespace()))
    }

    pub(super) fn run(&self, command: &mut Command) -> Said {
        let output = command.current_dir(self.0.path()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { success: output.status.success(), out: text(output.stdout), error: text(output.stderr) }
    }

    /// The same, and it succeeds.
    #[track_caller]
    pub(super) fn done(&self, arguments: &str) -> Said {
        let said = self.judge(arguments);
        assert!(said.success, "{arguments}: {}", said.error);
        said
    }

    /// The same, and it fails, and says why without a trace.
    #[track_caller]
    pub(super) fn refused(&self, arguments: &str) -> String {
        let said = self.judge(arguments);
        assert!(!said.success && !said.error.contains("panicked"), "{arguments}: {}{}", said.out, said.error);
        said.error
    }

    pub(super) fn store(&self, name: &str, attempts: &[Trajectory]) {
        TrajectoryStore::open(self.path(name)).unwrap().append_all(attempts).unwrap();
    }

    pub(super) fn scores(&self, name: &str) -> Vec<ScoreRow> {
        JsonlStore::open(self.path(name)).unwrap().into_records()
    }
}

/// Four attempts at each task, by turns solved and failed ones.
pub(super) fn attempts(tasks: std::ops::Range<usize>) -> Vec<Trajectory> {
    tasks.flat_map(|task| (0..4).map(move |number| attempt(task, number))).collect()
}

/// An attempt, solved if its number is even; the patch tells.
pub(super) fn attempt(task: usize, number: usize) -> Trajectory {
    let id = RolloutId::new(format!("task-{task}"), number);
    let mut trajectory = Trajectory::empty(id, "m", 0, ExitReason::Agent);
    trajectory.messages = vec![Message::user(format!("Fix {task}.")), Message::assistant("Done.")];
    let word = if number.is_multiple_of(2) { "args" } else { "self" };
    trajectory.outcome.patch = format!("+{word} {number}\n");
    trajectory.outcome.reward = Some(f64::from(u8::from(number.is_multiple_of(2))));
    trajectory
}
