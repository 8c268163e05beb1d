//! The files that are left of judging, named and shaped as SWE-bench's harness names and shapes them.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use entropo_core::format::swe_bench::{Instance, Prediction, RunReport, Verdict};
use entropo_tools::check::swe_bench::{Tier, classify};
use serde::Serialize;

use crate::failure::Failure;

pub(crate) const REPORT: &str = "report.json";
pub(crate) const LOG: &str = "test_output.txt";
pub(crate) const NOTES: &str = "run_instance.log";

/// Where what came of one instance is.
pub(crate) fn directory(output: &Path, run_id: &str, model: &str, instance: &str) -> PathBuf {
    // Names come from files: none leads out of the directory.
    let plain = |name: &str| match name {
        "" | "." | ".." => "__".to_owned(),
        _ => name.replace('/', "__"),
    };
    output.join("logs/run_evaluation").join(plain(run_id)).join(plain(model)).join(plain(instance))
}

/// Writes a file, whole or not at all.
pub(crate) fn put(path: &Path, text: &str) -> Result<(), Failure> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let readable = std::fs::Permissions::from_mode(0o666); // less what the user's mask takes
    let written = tempfile::Builder::new().permissions(readable).tempfile_in(directory).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)
    });
    written.map(drop).map_err(Failure::file(path))
}

/// The same for a value, as JSON.
pub(crate) fn put_json(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    put(path, &serde_json::to_string_pretty(value).map_err(Failure::json(path))?)
}

/// A run of which a report is to be written.
pub(crate) struct Run<'a> {
    pub(crate) output: &'a Path,
    pub(crate) run_id: &'a str,
    pub(crate) instances: &'a [Arc<Instance>],
    /// Of what is not judged under its model's own name, under which.
    pub(crate) judged_as: &'a BTreeMap<String, String>,
}

impl Run<'_> {
    /// Writes the final report, and tells of it in words.
    pub(crate) fn write(
        &self,
        predictions: &[Prediction],
        verdicts: &BTreeMap<String, Verdict>,
    ) -> Result<String, Failure> {
        let model = predictions.first().map_or("nobody", |prediction| &prediction.model_name_or_path);
        let mut report = RunReport::new(self.instances.iter().map(|one| one.id()), predictions, verdicts);
        let (mut broken, mut doubtful, mut reasons) = (Vec::new(), Vec::new(), BTreeMap::new());
        let models = predictions.iter().map(|one| (&one.instance_id, &one.model_name_or_path));
        let models: BTreeMap<&String, &String> = models.chain(self.judged_as).collect();
        let failed: Vec<&String> = report.unresolved_ids.iter().chain(&report.error_ids).collect();
        for id in failed {
            let Some(model) = models.get(id) else { continue };
            let place = directory(self.output, self.run_id, model, id);
            let read = |name| std::fs::read_to_string(place.join(name)).unwrap_or_default();
            if let Some(failure) = classify(&format!("{}\n{}", read(LOG), read(NOTES)))? {
                reasons.insert(id.clone(), failure.reason.to_owned());
                let list = if failure.tier == Tier::Environment { &mut broken } else { &mut doubtful };
                list.push(id.clone());
            }
        }
        [&mut broken, &mut doubtful].into_iter().for_each(|list| list.sort());
        (report.infra_failure_instances, report.ambiguous_failure_instances) =
            (Some(broken.len()), Some(doubtful.len()));
        (report.infra_failure_ids, report.ambiguous_failure_ids) = (Some(broken), Some(doubtful));
        report.failure_reasons = Some(reasons);
        let path = self.output.join(format!("{}.{}.json", model, self.run_id).replace('/', "__"));
        put_json(&path, &report)?;
        Ok(format!(
            "{} of {} resolved ({:.1} %); {} unresolved, {} empty, {} without a prediction, {} not judged\nreport: {}",
            report.resolved_instances,
            report.total_instances,
            100.0 * report.resolved_share(),
            report.unresolved_instances,
            report.empty_patch_instances,
            report.incomplete_ids.len(),
            report.error_instances,
            path.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_directory() {
        let place = directory(Path::new("out"), "r", "../org/m", "..");
        assert_eq!(place, Path::new("out/logs/run_evaluation/r/..__org__m/__"));
    }
}
