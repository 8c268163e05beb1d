//! What is read. Files are not opened as stores: a store locks its file and repairs it, a viewer does neither.

use std::path::{Path, PathBuf};

use entropo_agent::Selection;
use entropo_agent::view::MeasuredSegment;
use entropo_core::{TRAJECTORY_FORMAT, TraceError, Trajectory};
use serde::Deserialize;
use tokenizers::Tokenizer;

/// Why something cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    #[error("cannot read {}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{}, line {line} is no rollout: {source}", path.display())]
    Rollout { path: PathBuf, line: usize, source: serde_json::Error },
    #[error("{}, line {line} has format {found:?}, but only {TRAJECTORY_FORMAT:?} is known", path.display())]
    Format { path: PathBuf, line: usize, found: String },
    #[error("{}, line {line} has tokens that do not fit together: {source}", path.display())]
    Trace { path: PathBuf, line: usize, source: TraceError },
    #[error("{} holds no rollout{of}", path.display())]
    Nothing { path: PathBuf, of: String },
    #[error("{} is neither a selection nor a list of them: {source}", path.display())]
    Selection { path: PathBuf, source: serde_json::Error },
    #[error("{}, line {line} is no measures of a segment: {source}", path.display())]
    Measures { path: PathBuf, line: usize, source: serde_json::Error },
    #[error("{} is no tokenizer: {source}", path.display())]
    Tokenizer { path: PathBuf, source: tokenizers::Error },
}

fn text(path: &Path) -> Result<String, InputError> {
    std::fs::read_to_string(path).map_err(|source| InputError::Io { path: path.to_owned(), source })
}

/// The rollouts of some tasks, of all if none is named. A last line that was not written to its end is left out.
pub(crate) fn rollouts(path: &Path, tasks: &[String]) -> Result<Vec<Trajectory>, InputError> {
    let text = text(path)?;
    let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
    let mut found = Vec::new();
    for (line, json) in (1..).zip(whole.lines()) {
        let path = || path.to_owned();
        let rollout: Trajectory =
            serde_json::from_str(json).map_err(|source| InputError::Rollout { path: path(), line, source })?;
        if rollout.format != TRAJECTORY_FORMAT {
            return Err(InputError::Format { path: path(), line, found: rollout.format });
        }
        rollout.trace.validate().map_err(|source| InputError::Trace { path: path(), line, source })?;
        if tasks.is_empty() || tasks.contains(&rollout.id.task) {
            found.push(rollout);
        }
    }
    if found.is_empty() {
        let of = if tasks.is_empty() { String::new() } else { format!(" of {}", tasks.join(", ")) };
        return Err(InputError::Nothing { path: path.to_owned(), of });
    }
    Ok(found)
}

/// One selection, or several.
pub(crate) fn selections(path: &Path) -> Result<Vec<Selection>, InputError> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Selections {
        Several(Vec<Selection>),
        One(Box<Selection>),
    }
    match serde_json::from_str(&text(path)?) {
        Ok(Selections::Several(selections)) => Ok(selections),
        Ok(Selections::One(selection)) => Ok(vec![*selection]),
        Err(source) => Err(InputError::Selection { path: path.to_owned(), source }),
    }
}

/// Values of segments' action tokens.
pub(crate) fn measures(path: &Path) -> Result<Vec<MeasuredSegment>, InputError> {
    let read = |(line, json)| {
        serde_json::from_str(json).map_err(|source| InputError::Measures { path: path.to_owned(), line, source })
    };
    (1..).zip(text(path)?.lines()).map(read).collect()
}

pub(crate) fn tokenizer(path: &Path) -> Result<Tokenizer, InputError> {
    Tokenizer::from_file(path).map_err(|source| InputError::Tokenizer { path: path.to_owned(), source })
}

/// The text of each token. A character of several tokens belongs to the last of them.
pub(crate) fn texts(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<String> {
    let mut stream = tokenizer.decode_stream(false);
    ids.iter().map(|id| stream.step(*id).ok().flatten().unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use entropo_core::{ExitReason, RolloutId};

    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rollouts.jsonl");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn line(task: &str) -> String {
        let rollout = Trajectory::empty(RolloutId::new(task, 0), "m", 0, ExitReason::Agent);
        serde_json::to_string(&rollout).unwrap()
    }

    #[test]
    fn a_file_that_is_being_written_is_read_and_left_alone() {
        let text = format!("{}\n{}\n{{\"form", line("a"), line("b"));
        let (_folder, path) = file(&text);
        assert_eq!(rollouts(&path, &[]).unwrap().len(), 2);
        assert_eq!(rollouts(&path, &["b".to_owned()]).unwrap()[0].id.task, "b");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, told) in [
            (format!("{}\nnonsense\n", line("a")), "line 2 is no rollout"),
            (format!("{}\n", line("a").replace("trajectory/1", "trajectory/9")), "line 1 has format"),
            (String::new(), "holds no rollout"),
        ] {
            let (_folder, path) = file(&text);
            let error = rollouts(&path, &[]).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn measures_are_one_segment_a_line() {
        let row = r#"{"rollout":{"task":"a","rollout":1},"segment":2,"entropy":[0.5]}"#;
        let (_folder, path) = file(&format!("{row}\n"));
        let read = measures(&path).unwrap();
        assert_eq!((read[0].rollout.clone(), read[0].segment), (RolloutId::new("a", 1), 2));
        assert_eq!((&read[0].measures.entropy[..], read[0].measures.reference_gap.len()), (&[0.5][..], 0));
        assert_eq!(serde_json::to_string(&read[0]).unwrap(), row);
        let (_folder, path) = file(&format!("{row}\n{{}}\n"));
        assert!(measures(&path).unwrap_err().to_string().contains("line 2 is no measures of a segment"));
    }

    #[test]
    fn a_selection_may_stand_alone() {
        let one = serde_json::to_string(&Selection::default()).unwrap();
        let (_folder, path) = file(&one);
        assert_eq!(selections(&path).unwrap().len(), 1);
        let (_folder, path) = file(&format!("[{one},{one}]"));
        assert_eq!(selections(&path).unwrap().len(), 2);
        let (_folder, path) = file("7");
        assert!(selections(&path).is_err());
    }
}
