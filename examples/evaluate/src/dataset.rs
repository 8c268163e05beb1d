//! What is to be solved.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use entropo_core::format::Items;
use entropo_core::format::swe_bench::{Instance, LocalInstance, SweBenchInstance};
use entropo_tools::check::LogFormat;
use entropo_tools::check::swe_bench::image_of;

use crate::failure::Failure;

/// Which instances of which file.
#[derive(Debug, Args)]
pub(crate) struct Choice {
    /// The data set: JSON Lines or a JSON list of rows of SWE-bench, SWE-smith or R2E-Gym, or of our own plain format.
    #[arg(long, value_name = "FILE")]
    pub(crate) dataset: PathBuf,
    /// Only these instances; may be given several times.
    #[arg(long = "instance", value_name = "ID")]
    instances: Vec<String>,
    /// Only the first so many.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

impl Choice {
    /// Reads the file, every row of it, so that what is wrong with it is known before anything is done.
    pub(crate) fn read(&self) -> Result<Vec<Instance>, Failure> {
        let path = &self.dataset;
        let file = File::open(path).map_err(Failure::file(path))?;
        let mut all = BTreeMap::new();
        let mut order = Vec::new();
        for row in Items::new(BufReader::new(file), Instance::read) {
            let row = row.map_err(|source| Failure::Row { path: path.clone(), source: Box::new(source) })?;
            let id = row.id().to_owned();
            if all.insert(id.clone(), row).is_some() {
                return Err(Failure::Asked(format!("{}: {id:?} is there twice; keep one of the rows", path.display())));
            }
            order.push(id);
        }
        if let Some(missing) = self.instances.iter().find(|id| !all.contains_key(*id)) {
            return Err(Failure::Asked(format!("{} has no instance {missing:?}", path.display())));
        }
        order.retain(|id| self.instances.is_empty() || self.instances.contains(id));
        order.truncate(self.limit.unwrap_or(usize::MAX));
        Ok(order.into_iter().filter_map(|id| all.remove(&id)).collect())
    }

    /// What relative paths of the file start from.
    pub(crate) fn directory(&self) -> &Path {
        self.dataset.parent().unwrap_or(Path::new("."))
    }
}

/// Whether a row of SWE-bench's shape is one of SWE-smith, whose patch breaks what is to be repaired: it names its image so,
/// and has neither hidden tests nor a script of its own.
pub(crate) fn is_swe_smith(row: &SweBenchInstance) -> bool {
    let has_tests = row.test_patch.as_deref().is_some_and(|patch| !patch.is_empty());
    row.image_name.is_some() && !has_tests && !row.others.contains_key("eval_script")
}

/// What breaks the files of an image that are whole: SWE-smith has one image for all faults of a repository.
pub(crate) fn fault(instance: &Instance) -> Option<&str> {
    match instance {
        Instance::SweBench(row) if is_swe_smith(row) => row.patch.as_deref(),
        _ => None,
    }
}

/// The container image in which an instance lives.
pub(crate) fn image(instance: &Instance) -> String {
    instance.image().map_or_else(|| image_of(instance.id()), str::to_owned)
}

/// The script that runs a row's tests.
pub(crate) fn script(row: &SweBenchInstance) -> Result<&str, Failure> {
    row.others.get("eval_script").and_then(|script| script.as_str()).ok_or_else(|| {
        let reason = "the row has no `eval_script`; take the data set as SWE-bench's harness 5 does, such as \
                      SWE-bench/SWE-bench_Verified, whose rows have one";
        Failure::task(&row.instance_id, reason)
    })
}

/// Formats of test runners' output: a name, what a command has in it that writes it, and the format.
const KNOWN: [(&str, &str, LogFormat); 9] = [
    ("pytest", "pytest", LogFormat::Pytest),
    ("unittest", "unittest", LogFormat::Unittest),
    ("cargo", "cargo test", LogFormat::Cargo),
    ("go", "go test", LogFormat::Go),
    ("vitest", "vitest", LogFormat::Vitest),
    ("jest", "jest", LogFormat::Jest),
    ("mocha", "mocha", LogFormat::Mocha),
    ("junit", "junit", LogFormat::JUnit),
    ("tap", "--test-reporter tap", LogFormat::Tap),
];
/// How the output of a row's tests is read, as the row says or as its command suggests.
pub(crate) fn format(row: &LocalInstance) -> Result<LogFormat, Failure> {
    let command = row.test.as_deref().unwrap_or_default();
    let found = KNOWN.into_iter().find(|(name, sign, _)| match &row.log {
        Some(log) => log == name,
        None => command.contains(sign),
    });
    found.map(|(_, _, format)| format).ok_or_else(|| {
        let names = known_formats();
        let said = row.log.as_ref().map_or("is missing".to_owned(), |log| format!("is {log:?}"));
        Failure::task(&row.id, format!("`log` {said}; say how the tests' output is read: {names}"))
    })
}

/// A format by its name.
pub(crate) fn log_format(name: &str) -> Option<LogFormat> {
    KNOWN.into_iter().find(|(known, ..)| *known == name).map(|(_, _, format)| format)
}

/// The names of all.
pub(crate) fn known_formats() -> String {
    KNOWN.map(|(name, ..)| name).join(", ")
}
