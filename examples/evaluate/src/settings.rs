//! What rollouts of one directory have in common.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use entropo_core::format::swe_bench::Instance;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::digest;
use crate::failure::Failure;
use crate::report;

/// Under which key the rows are.
const ROWS: &str = "rows";

/// Notes settings, anything that is an object, and the rows that rollouts are made of. Refuses if rollouts were begun with
/// others. What an older file does not tell cannot be compared, and is taken over; so are rows that are new.
pub(crate) fn keep(path: &Path, settings: &impl Serialize, instances: &[Arc<Instance>]) -> Result<(), Failure> {
    // Through text: a number of 32 bits that is read back is one of 64.
    let text = serde_json::to_string(settings).map_err(Failure::json(path))?;
    let mut now: Map<String, Value> = serde_json::from_str(&text).map_err(Failure::json(path))?;
    let rows = instances.iter().map(|one| Ok((one.id(), digest::row(one)?)));
    let rows = rows.collect::<Result<BTreeMap<&str, String>, Failure>>()?;
    now.insert(ROWS.to_owned(), serde_json::to_value(rows).map_err(Failure::json(path))?);
    let then: Map<String, Value> = match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map_err(Failure::json(path))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
        Err(error) => return Err(Failure::file(path)(error)),
    };
    let mut differences = Vec::new();
    let mut kept = then.clone();
    for (key, value) in now {
        match (kept.get_mut(&key), value) {
            (Some(Value::Object(rows)), Value::Object(new)) if key == ROWS => {
                for (id, hash) in new {
                    if rows.get(&id).is_some_and(|known| *known != hash) {
                        differences.push(format!("the row of {id} is not the same"));
                    }
                    rows.insert(id, hash);
                }
            }
            (Some(known), value) if *known == value => {}
            (Some(known), value) => differences.push(format!("{key} was {known} and is {value}")),
            (None, value) => drop(kept.insert(key, value)),
        }
    }
    if !differences.is_empty() {
        let directory = path.parent().unwrap_or(path).display();
        let differences = differences.join("; ");
        let words = format!(
            "{directory} was begun with other settings: {differences}; go on with those, or name another --output"
        );
        return Err(Failure::Asked(words));
    }
    if kept == then {
        return Ok(());
    }
    report::put_json(path, &kept)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(id: &str, problem: &str) -> Arc<Instance> {
        let row = json!({"problem_statement": problem, "repo": "a/b", "instance_id": id});
        Arc::new(Instance::read(&row).unwrap())
    }

    #[test]
    fn an_old_file_is_read_and_completed() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("settings.json");
        // As it was before there were more settings.
        std::fs::write(&path, r#"{"model": "m", "temperature": 0.6}"#).unwrap();
        let settings = |seconds: u64| json!({"model": "m", "temperature": 0.6, "max_seconds": seconds});
        keep(&path, &settings(60), &[row("a", "")]).unwrap();
        keep(&path, &settings(60), &[row("a", "")]).unwrap();
        let error = keep(&path, &settings(30), &[]).unwrap_err().to_string();
        assert!(error.contains("max_seconds was 60 and is 30"), "{error}");
    }

    #[test]
    fn rows_may_come_and_must_not_change() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("settings.json");
        keep(&path, &json!({}), &[row("a", "one")]).unwrap();
        keep(&path, &json!({}), &[row("b", "two")]).unwrap();
        keep(&path, &json!({}), &[row("a", "one"), row("b", "two")]).unwrap();
        for changed in [row("a", "other"), row("b", "other")] {
            let error = keep(&path, &json!({}), &[changed]).unwrap_err().to_string();
            assert!(error.contains("the row of"), "{error}");
        }
    }
}
