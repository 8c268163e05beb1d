//! A private place to run quickstart in: its own output directory, its own temporary directory, and a look at what is
//! left of both.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// A small experiment that is a whole one.
const SETTINGS: &[(&str, &str)] = &[
    ("--training-tasks", "12"),
    ("--training-rollouts", "4"),
    ("--evaluation-tasks", "4"),
    ("--rollouts", "4"),
    ("--epochs", "1"),
];
/// Rollouts that these settings make, by file.
pub(crate) const ROLLOUTS: [(&str, usize); 4] = [
    ("rollouts-preferences.jsonl", 48),
    ("rollouts-SFT.jsonl", 16),
    ("rollouts-M-DPO.jsonl", 16),
    ("rollouts-EntroPO.jsonl", 16),
];
/// Longer than any run on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// Files by their paths below a directory.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Everything below a directory; nothing if it does not exist.
pub(crate) fn files(directory: &Path) -> Files {
    let mut found = Files::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                directories.push(path);
            } else {
                found.insert(path.strip_prefix(directory).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// What an undisturbed run writes.
pub(crate) fn reference() -> &'static Files {
    static REFERENCE: OnceLock<Files> = OnceLock::new();
    REFERENCE.get_or_init(|| {
        let place = Place::new();
        let ended = place.run(&[]);
        assert!(ended.status.success(), "{ended:?}");
        place.assert_nothing_left();
        files(&place.out())
    })
}

/// `results.json` of an undisturbed run.
pub(crate) fn reference_results() -> &'static [u8] {
    &reference()[Path::new("results.json")]
}

/// Fails unless a run in `place` found out what the undisturbed run did.
#[track_caller]
pub(crate) fn assert_reference_results(place: &Place) {
    let results = fs::read(place.out().join("results.json")).unwrap();
    let (found, expected) = (String::from_utf8_lossy(&results), String::from_utf8_lossy(reference_results()));
    assert_eq!(found, expected);
}

/// Directories of one experiment, removed in the end.
pub(crate) struct Place(TempDir);

/// How quickstart ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) printed: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        fs::create_dir(directory.path().join("tmp")).unwrap();
        Self(directory)
    }

    /// The `--out` directory; not there yet.
    pub(crate) fn out(&self) -> PathBuf {
        self.0.path().join("out")
    }

    /// The `TMPDIR`.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.0.path().join("tmp")
    }

    /// Starts quickstart with the small settings, but for `arguments`: `--name=value` each.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let given = |name: &str| arguments.iter().any(|argument| argument.starts_with(&format!("{name}=")));
        let mut command = Command::new(example("quickstart"));
        command.env("TMPDIR", self.temporary()).stdin(Stdio::null());
        for (name, value) in SETTINGS.iter().filter(|(name, _)| !given(name)) {
            command.args([name, value]);
        }
        command.args(arguments).arg("--out").arg(self.out());
        let printed = self.0.path().join("printed");
        let file = File::create(&printed).unwrap();
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Running { child, printed }
    }

    /// Runs quickstart to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).end()
    }

    /// Fails if a finished program left files or processes behind.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        let left: Vec<_> = fs::read_dir(self.temporary()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
        let processes = wait(Duration::from_secs(5), || Some(processes_of(self.0.path())).filter(Vec::is_empty));
        assert!(processes.is_some(), "still running: {:?}", processes_of(self.0.path()));
    }

    /// Complete lines of a file of rollouts; none if it is not there.
    pub(crate) fn rollouts(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.out().join(file)).unwrap_or_default();
        text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::to_owned).collect()
    }
}

/// Quickstart under way; killed when dropped.
pub(crate) struct Running {
    child: Child,
    printed: PathBuf,
}

impl Running {
    /// Waits until `moment`, which must come before the program's end.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: &str, mut moment: impl FnMut() -> bool) {
        let ended = wait(PATIENCE, || match moment() {
            true => Some(None),
            false => self.child.try_wait().unwrap().map(Some),
        });
        let printed = || fs::read_to_string(&self.printed).unwrap();
        match ended {
            Some(None) => {}
            Some(Some(status)) => panic!("ended before {what}: {status}\n{}", printed()),
            None => panic!("no {what} in {PATIENCE:?}\n{}", printed()),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let status = wait(PATIENCE, || self.child.try_wait().unwrap());
        let printed = fs::read_to_string(&self.printed).unwrap();
        Ended { status: status.unwrap_or_else(|| panic!("no end in {PATIENCE:?}\n{printed}")), printed }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks `question` until it has an answer or the time is up.
pub(crate) fn wait<T>(patience: Duration, mut question: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let answer = question();
        if answer.is_some() || start.elapsed() > patience {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The example that cargo built beside this test.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let program = profile.join("examples").join(name);
    assert!(
        program.exists(),
        "{} is missing; `cargo test` without a choice of targets builds it, as does `cargo build --workspace --examples`",
        program.display()
    );
    program
}

/// Other processes whose command line, environment or working directory mentions `path`.
pub(crate) fn processes_of(path: &Path) -> Vec<String> {
    let wanted = path.as_os_str().as_encoded_bytes();
    let mentions = |bytes: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap());
    let processes = processes.filter(|entry| {
        let name = entry.file_name();
        name != *own && name.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit())
    });
    let mentioned = |process: &PathBuf| {
        let read = |file: &str| fs::read(process.join(file)).unwrap_or_default();
        let directory = fs::read_link(process.join("cwd")).unwrap_or_default();
        mentions(&read("cmdline")) || mentions(&read("environ")) || directory.starts_with(path)
    };
    let describe = |process: PathBuf| {
        let words = fs::read(process.join("cmdline")).unwrap_or_default();
        format!("{}: {}", process.display(), String::from_utf8_lossy(&words).replace('\0', " "))
    };
    processes.map(|entry| entry.path()).filter(mentioned).map(describe).collect()
}
