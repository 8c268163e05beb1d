//! Reference solutions.

mod commit;
mod reversed;

use entropo_core::format::swe_bench::Instance;

use crate::dataset;

/// The reference solution, where the row has what it can be made of.
pub(crate) fn gold(instance: &Instance) -> Option<String> {
    match instance {
        Instance::SweBench(row) if dataset::is_swe_smith(row) => reversed::reversed(row.patch.as_deref()?),
        Instance::SweBench(row) => row.patch.clone(),
        Instance::Local(row) => row.patch.clone(),
        Instance::R2eGym(row) => commit::patch(row.others.get("parsed_commit_content")?.as_str()?),
        _ => None,
    }
}
