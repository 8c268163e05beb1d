//! One line of `metrics.jsonl`.

use std::collections::BTreeMap;
use std::path::Path;

use entropo_core::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::METRICS_FORMAT;
use super::scalar::Scalar;
use crate::monitor::error::MonitorError;
use crate::monitor::record::Record;

/// Bytes that a line may have, its newline included.
pub(super) const MAX_LINE: usize = 1 << 20;

/// A record as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    format: String,
    step: usize,
    steps: usize,
    wall_s: f64,
    scalars: BTreeMap<String, Scalar>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// The record as a line with its newline; `number` is the line that it will be.
pub(super) fn encode(path: &Path, number: usize, record: &Record) -> Result<Vec<u8>, MonitorError> {
    let Record { step, steps, wall_s, scalars, notes } = record.clone();
    let scalars = scalars.into_iter().map(|(name, value)| (name, Scalar(value))).collect();
    let line = Line { format: METRICS_FORMAT.to_owned(), step, steps, wall_s, scalars, notes };
    let mut text =
        serde_json::to_vec(&line).map_err(|source| StoreError::Unwritable { path: path.to_owned(), source })?;
    text.push(b'\n');
    if text.len() > MAX_LINE {
        return Err(MonitorError::TooLong { path: path.to_owned(), line: number, limit: MAX_LINE });
    }
    Ok(text)
}

/// The record of a line. The version is asked first, because a line of another version need not look like ours at all.
pub(super) fn decode(path: &Path, number: usize, text: &[u8]) -> Result<Record, MonitorError> {
    #[derive(Deserialize)]
    struct Header {
        #[serde(default)]
        format: Value,
    }
    let malformed = |source| StoreError::Malformed { path: path.to_owned(), line: number, source };
    let Header { format: found } = serde_json::from_slice(text).map_err(malformed)?;
    if found != METRICS_FORMAT {
        let (path, expected) = (path.to_owned(), METRICS_FORMAT);
        return Err(StoreError::Format { path, line: number, found, expected }.into());
    }
    let Line { step, steps, wall_s, scalars, notes, .. } = serde_json::from_slice(text).map_err(malformed)?;
    let scalars = scalars.into_iter().map(|(name, Scalar(value))| (name, value)).collect();
    Ok(Record { step, steps, wall_s, scalars, notes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_the_documentation_says() {
        let record = Record {
            step: 3,
            steps: 10,
            wall_s: 1.5,
            scalars: BTreeMap::from([("loss".to_owned(), 0.5), ("grad_norm".to_owned(), f64::NAN)]),
            notes: Vec::new(),
        };
        let text = String::from_utf8(encode(Path::new("m"), 1, &record).unwrap()).unwrap();
        insta::assert_snapshot!(text.trim_end(), @r#"{"format":"entropo-metrics/1","step":3,"steps":10,"wall_s":1.5,"scalars":{"grad_norm":"NaN","loss":0.5}}"#);
    }

    #[test]
    fn what_is_too_long_is_not_written() {
        let record = Record { notes: vec!["x".repeat(MAX_LINE)], ..Record::default() };
        let error = encode(Path::new("m"), 7, &record).unwrap_err();
        assert!(matches!(error, MonitorError::TooLong { line: 7, .. }), "{error:?}");
    }

    #[test]
    fn other_versions_and_unknown_keys_are_refused() {
        let refused = |text: &str| match decode(Path::new("m"), 2, text.as_bytes()) {
            Err(MonitorError::Metrics(error)) => *error,
            other => panic!("{other:?}"),
        };
        assert!(matches!(refused(r#"{"format":"entropo-metrics/2"}"#), StoreError::Format { line: 2, .. }));
        let key = r#"{"format":"entropo-metrics/1","step":0,"steps":0,"wall_s":0,"scalars":{},"more":1}"#;
        assert!(matches!(refused(key), StoreError::Malformed { line: 2, .. }));
        assert!(matches!(refused("7"), StoreError::Malformed { .. }));
    }
}
