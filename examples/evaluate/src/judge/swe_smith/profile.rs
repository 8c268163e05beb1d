//! How the tests of a repository run, and how their output is read.
//!
//! SWE-smith has a profile for each repository; rows only name it. `profiles.txt` has those of Python of the package `swesmith`,
//! version 0.0.9, by their names, but for mypy's, whose command needs names that rows do not have; `files` marks those of which
//! only the files with a row's tests are run. Of every other repository the command is not known, and is not
//! guessed.

use std::collections::BTreeSet;

use clap::Args;
use entropo_core::format::swe_bench::SweBenchInstance;
use entropo_tools::check::swe_bench::LogParser;
use serde::Serialize;

use super::log::Reading;
use super::verdict::Asked;
use crate::dataset;
use crate::failure::Failure;
use crate::judge::container::quoted;

const PROFILES: &str = include_str!("profiles.txt");

/// What runs the tests, unless a profile says otherwise.
const PYTEST: &str = "pytest --disable-warnings --color=no --tb=no --verbose";

/// What Python's images need first.
const ACTIVATE: &str = "source /opt/miniconda3/bin/activate; conda activate testbed; ";

/// How the tests of repositories run that are not known here.
#[derive(Debug, Args, Serialize)]
pub(crate) struct OwnTests {
    /// The command that runs the tests of rows of SWE-smith whose repository is not known here, such as `go test -v ./...`.
    #[arg(long, value_name = "COMMAND", requires = "test_log")]
    test_command: Option<String>,
    /// How its output is read: by a parser of SWE-bench, such as parse_log_gotest, whose names of tests are most like those
    /// in rows, or as one of pytest, unittest, cargo, go, vitest, jest, mocha, junit, tap.
    #[arg(long, value_name = "NAME", requires = "test_command")]
    test_log: Option<String>,
}

/// What runs tests, and how they are read.
#[derive(Debug)]
pub(crate) struct Runner {
    command: String,
    reading: Reading,
}

impl OwnTests {
    /// What was asked for, if anything.
    pub(crate) fn runner(&self) -> Result<Option<Runner>, Failure> {
        let (Some(command), Some(name)) = (&self.test_command, &self.test_log) else { return Ok(None) };
        let reading = match (dataset::log_format(name), LogParser::named(name, "")) {
            (Some(format), _) => Reading::Format(format),
            (None, Ok(parser)) => Reading::Harness(parser),
            (None, Err(error)) => {
                let formats = dataset::known_formats();
                return Err(Failure::Asked(format!("--test-log: {error}, or take one of {formats}")));
            }
        };
        Ok(Some(Runner { command: command.clone(), reading }))
    }
}

/// How a row's tests run.
#[derive(Debug)]
pub(super) struct Profile {
    /// What bash is to run.
    pub(super) command: String,
    /// Files of tests, in which no change counts.
    pub(super) files: Vec<String>,
    pub(super) reading: Reading,
}

impl Profile {
    /// Of a row.
    pub(super) fn of(row: &SweBenchInstance, asked: &Asked, runner: Option<&Runner>) -> Result<Self, Failure> {
        let name = profile_name(row);
        let known = PROFILES.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(name)).then(|| words.next() == Some("files"))
        });
        let Some(only_files) = known else {
            let Some(Runner { command, reading }) = runner else {
                let reason = format!(
                    "how the tests of {:?} run is not known here, only that of SWE-smith's repositories of Python \
                     (swesmith 0.0.9): say it with --test-command and --test-log, such as --test-command 'go test -v ./...' \
                     --test-log parse_log_gotest",
                    row.repo
                );
                return Err(Failure::task(&row.instance_id, reason));
            };
            let (command, reading) = (command.clone(), reading.clone());
            return Ok(Self { command, files: files(asked, name), reading });
        };
        let (mut command, reading) = command(name);
        let files = files(asked, name);
        if only_files {
            files.iter().for_each(|file| command += &format!(" {}", quoted(file)));
        }
        Ok(Self { command, files, reading })
    }
}

/// The command of a profile, and how its output is read.
fn command(name: &str) -> (String, Reading) {
    let (command, reading) = match name {
        "pydantic__pydantic.acb0f10f" => return (format!("/root/.local/bin/uv run {PYTEST}"), Reading::Verbose),
        "HIPS__autograd.ac044f0d" => (PYTEST.to_owned(), Reading::Workers),
        "mido__mido.a0158ff9" => (format!("{PYTEST} -rs -c /dev/null"), Reading::Verbose),
        "paramiko__paramiko.23f92003" => ("pytest -rA --color=no --disable-warnings".to_owned(), Reading::Summary),
        "tkrajina__gpxpy.09fc46b3" => {
            ("pytest test.py --verbose --color=no --tb=no --disable-warnings".to_owned(), Reading::Verbose)
        }
        "tornadoweb__tornado.d5ac65c1" => ("python -m tornado.test --verbose".to_owned(), Reading::Tornado),
        "un33k__python-slugify.872b3750" => ("python test.py --verbose".to_owned(), Reading::Slugify),
        _ => (PYTEST.to_owned(), Reading::Verbose),
    };
    (format!("{ACTIVATE}{command}"), reading)
}

/// The files of the tests that are asked for: first those of which some show the fault.
fn files(asked: &Asked, profile: &str) -> Vec<String> {
    let sorted = |tests: &[String]| tests.iter().filter_map(|test| file(profile, test)).collect::<BTreeSet<String>>();
    let (failing, passing) = (sorted(&asked.fail_to_pass), sorted(&asked.pass_to_pass));
    let more: Vec<String> = passing.difference(&failing).cloned().collect();
    failing.into_iter().chain(more).collect()
}

/// The file of each test that shows a row's fault, as far as names tell of files.
pub(crate) fn failing_files(row: &SweBenchInstance) -> BTreeSet<String> {
    let tests = row.fail_to_pass.iter().flat_map(|tests| &tests.names);
    tests.filter_map(|test| file(profile_name(row), test)).collect()
}

fn profile_name(row: &SweBenchInstance) -> &str {
    row.repo.strip_prefix("swesmith/").unwrap_or(&row.repo)
}

/// The file of a test: for most repositories what is before `::` in its name, as in pytest's. Names of other runners have none,
/// or what is there is not the name of a file.
fn file(profile: &str, test: &str) -> Option<String> {
    let before = || test.split_once("::").map(|(file, _)| file).filter(|file| !file.is_empty());
    match profile {
        "un33k__python-slugify.872b3750" => Some("test.py".to_owned()),
        "tornadoweb__tornado.d5ac65c1" => module(test),
        "mido__mido.a0158ff9" => before().map(|file| file.strip_prefix("../dev/").unwrap_or(file).to_owned()),
        _ => before().map(str::to_owned),
    }
}

/// The file of `test_a (tornado.test.a.Case)`.
fn module(test: &str) -> Option<String> {
    let begin = test.find(" (")? + 2;
    let path = test.get(begin..test.rfind(')')?)?;
    let (module, _) = path.rsplit_once('.')?;
    Some(format!("{}.py", module.replace('.', "/")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn profile(repo: &str, tests: &[&str], runner: Option<&Runner>) -> Result<Profile, Failure> {
        let row = json!({"instance_id": "i", "repo": repo, "problem_statement": "", "FAIL_TO_PASS": tests,
            "PASS_TO_PASS": ["tests/b.py::x"]});
        let row = serde_json::from_value(row).unwrap();
        Profile::of(&row, &Asked::of(&row).unwrap(), runner)
    }

    #[test]
    fn most_run_all_tests_and_some_the_files_that_count() {
        let tests = ["tests/c d.py::A::x", "tests/c d.py::y"];
        let all = profile("swesmith/pallets__flask.bc098406", &tests, None).unwrap();
        assert_eq!(all.command, format!("{ACTIVATE}{PYTEST}"));
        assert_eq!(all.files, ["tests/c d.py", "tests/b.py"]);
        let some = profile("sympy__sympy.2ab64612", &tests, None).unwrap();
        assert_eq!(some.command, format!("{ACTIVATE}{PYTEST} 'tests/c d.py' 'tests/b.py'"));
    }

    #[test]
    fn some_have_commands_and_files_of_their_own() {
        let tornado =
            profile("swesmith/tornadoweb__tornado.d5ac65c1", &["test_a (tornado.test.a.Case)"], None).unwrap();
        assert!(tornado.command.ends_with("python -m tornado.test --verbose"), "{tornado:?}");
        assert_eq!(tornado.files, ["tornado/test/a.py"]);
        let mido = profile("swesmith/mido__mido.a0158ff9", &["../dev/tests/a.py::x"], None).unwrap();
        assert_eq!(mido.files, ["tests/a.py", "tests/b.py"]);
        assert!(mido.command.ends_with("-rs -c /dev/null"), "{mido:?}");
        assert_eq!(
            profile("un33k__python-slugify.872b3750", &["test_a (__main__.A)"], None).unwrap().files,
            ["test.py"]
        );
    }

    #[test]
    fn what_is_not_known_is_refused_unless_it_is_said() {
        for repo in ["swesmith/gin-gonic__gin.3c12d2a8", "pallets__flask", "swesmith/python__mypy.e93f06ce", ""] {
            let error = profile(repo, &["TestA"], None).unwrap_err().to_string();
            assert!(error.starts_with("i: ") && error.contains("--test-command"), "{error}");
        }
        let own = |log: &str| OwnTests { test_command: Some("go test".to_owned()), test_log: Some(log.to_owned()) };
        let runner = own("parse_log_gotest").runner().unwrap().unwrap();
        let said = profile("swesmith/gin-gonic__gin.3c12d2a8", &["TestA"], Some(&runner)).unwrap();
        assert!(said.command == "go test" && matches!(said.reading, Reading::Harness(LogParser::Go)), "{said:?}");
        // Names of Go's tests are no files, though a file can have such a name.
        assert_eq!(said.files, ["tests/b.py"]);
        let said = profile("swesmith/a__b.12345678", &["Makefile", "::x", "src/a.rs::b"], Some(&runner)).unwrap();
        assert_eq!(said.files, ["src/a.rs", "tests/b.py"]);
        // What is known is not run otherwise.
        assert!(profile("pallets__flask.bc098406", &["a"], Some(&runner)).unwrap().command.contains("pytest"));
        assert!(matches!(own("tap").runner().unwrap().unwrap().reading, Reading::Format(_)));
        assert!(own("nonsense").runner().unwrap_err().to_string().contains("--test-log"));
    }

    #[test]
    fn every_profile_is_a_name_and_a_commit() {
        assert_eq!(PROFILES.lines().count(), 132);
        for line in PROFILES.lines() {
            let name = line.strip_suffix(" files").unwrap_or(line);
            let (repository, commit) = name.rsplit_once('.').unwrap();
            assert!(repository.contains("__") && commit.len() == 8 && !line.contains("  "), "{line}");
        }
    }
}
