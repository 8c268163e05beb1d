//! What of an image an agent must not see.
//!
//! R2E-Gym's images have the hidden tests and the script that runs them in the repository. SWE-smith has one image for all
//! faults of a repository, with the very tests that show the fault; its own environments take the files of these tests away.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use entropo_core::format::swe_bench::Instance;

use crate::{dataset, judge};

/// Where R2E-Gym's images have hidden tests beside those in the repository.
pub(crate) const R2E_TESTS: &str = "/r2e_tests /root/r2e_tests /root/run_tests.sh";

/// Whether there is something to be removed from the files of an instance's image.
pub(crate) fn is_any(instance: &Instance) -> bool {
    matches!(instance, Instance::R2eGym(_)) || !failing_files(instance).is_empty()
}

/// Removes what an agent must not see from an instance's files.
pub(crate) fn remove(root: &Path, instance: &Instance) -> io::Result<()> {
    if let Instance::R2eGym(_) = instance {
        for name in ["run_tests.sh", "r2e_tests"] {
            let path = root.join(name);
            let removed = match fs::symlink_metadata(&path) {
                Ok(there) if there.is_dir() => fs::remove_dir_all(&path),
                Ok(_) => fs::remove_file(&path),
                Err(error) => Err(error),
            };
            removed.or_else(absent)?;
        }
    }
    for file in failing_files(instance) {
        remove_test(root, &file)?;
    }
    Ok(())
}

/// The files of SWE-smith's failing tests, the same that are put back before a patch is judged.
fn failing_files(instance: &Instance) -> BTreeSet<PathBuf> {
    let Instance::SweBench(row) = instance else { return BTreeSet::new() };
    if !dataset::is_swe_smith(row) {
        return BTreeSet::new();
    }
    judge::failing_files(row).into_iter().map(PathBuf::from).filter(|file| is_plain(file)).collect()
}

/// Whether a path from a data set names something below where it starts from.
fn is_plain(path: &Path) -> bool {
    path.components().next().is_some() && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Removes a file, and what Python compiled of it; a directory stays, and so does what only a link leads to.
fn remove_test(root: &Path, file: &Path) -> io::Result<()> {
    let mut directory = root.to_owned();
    for part in file.parent().into_iter().flat_map(Path::components) {
        directory.push(part);
        if !is_directory(&directory) {
            return Ok(());
        }
    }
    let path = root.join(file);
    match fs::symlink_metadata(&path) {
        Ok(there) if there.is_dir() => return Ok(()),
        Ok(_) => fs::remove_file(&path)?,
        Err(error) => return absent(error),
    }
    let compiled = directory.join("__pycache__");
    let Some(stem) = file.file_stem().and_then(|stem| stem.to_str()).filter(|_| is_directory(&compiled)) else {
        return Ok(());
    };
    for entry in fs::read_dir(compiled)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&format!("{stem}.")) && !entry.file_type()?.is_dir() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| there.is_dir())
}

fn absent(error: io::Error) -> io::Result<()> {
    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn smith(tests: &[&str]) -> Instance {
        smith_of("a", tests)
    }

    fn smith_of(repository: &str, tests: &[&str]) -> Instance {
        let row = json!({"instance_id": "a", "repo": repository, "problem_statement": "", "image_name": "a", "patch": "",
            "FAIL_TO_PASS": tests, "PASS_TO_PASS": ["tests/test_b.py::test_b"]});
        Instance::read(&row).unwrap()
    }

    /// Files below `there/repository`, and one above it.
    fn place() -> (tempfile::TempDir, PathBuf) {
        let there = tempfile::tempdir().unwrap();
        let root = there.path().join("repository");
        fs::create_dir_all(root.join("tests/__pycache__")).unwrap();
        for name in ["tests/test_a.py", "tests/test_b.py", "tests/__pycache__/test_a.cpython-311.pyc", "../secret.py"] {
            fs::write(root.join(name), "").unwrap();
        }
        std::os::unix::fs::symlink("..", root.join("up")).unwrap();
        (there, root)
    }

    #[test]
    fn files_of_failing_tests_go_and_nothing_else() {
        let (_there, root) = place();
        let row = smith(&["tests/test_a.py::test_one", "tests/test_a.py::Case::test_two[a::b]", "tests/test_c.py::x"]);
        assert!(is_any(&row));
        remove(&root, &row).unwrap();
        for (name, stays) in [
            ("tests/test_a.py", false),
            ("tests/__pycache__/test_a.cpython-311.pyc", false),
            ("tests/test_b.py", true),
            ("up", true),
        ] {
            assert_eq!(fs::symlink_metadata(root.join(name)).is_ok(), stays, "{name}");
        }
    }

    #[test]
    fn names_of_other_shapes_are_those_of_files_too() {
        for (repository, test, file) in [
            ("swesmith/mido__mido.a0158ff9", "../dev/tests/test_a.py::x", "tests/test_a.py"),
            ("swesmith/tornadoweb__tornado.d5ac65c1", "test_a (tests.test_a.Case)", "tests/test_a.py"),
            ("swesmith/un33k__python-slugify.872b3750", "test_a (__main__.Case)", "test.py"),
        ] {
            let (_there, root) = place();
            fs::write(root.join("test.py"), "").unwrap();
            remove(&root, &smith_of(repository, &[test])).unwrap();
            assert!(!root.join(file).exists() && root.join("tests/test_b.py").exists(), "{repository}");
        }
    }

    #[test]
    fn names_lead_nowhere_else() {
        let (there, root) = place();
        let outside = there.path().join("secret.py");
        let absolute = format!("{}::test", outside.display());
        let names = [
            "../secret.py::x",
            "up/secret.py::x",
            "tests::module::x",
            "",
            "::",
            "tests/test_b.py/x::y",
            absolute.as_str(),
        ];
        remove(&root, &smith(&names)).unwrap();
        assert!(outside.exists() && root.join("tests/test_b.py").exists() && root.join("up").exists());
    }

    #[test]
    fn nothing_is_removed_from_rows_of_swe_bench() {
        let row =
            json!({"instance_id": "a", "repo": "a", "problem_statement": "", "FAIL_TO_PASS": ["tests/test_a.py::x"]});
        assert!(!is_any(&Instance::read(&row).unwrap()));
    }
}
