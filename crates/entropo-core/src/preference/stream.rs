//! Pairs out of a file of trajectories that is larger than memory.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Seek, SeekFrom};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{DropReport, PreferencePair, PreferenceRules, build_pairs};
use crate::format::{ROW_BYTES, scan};
use crate::{RolloutId, TRAJECTORY_FORMAT, TraceError, Trajectory};

/// A file of stored trajectories that is read task by task.
///
/// One pass notes where each task's rollouts are: some bytes for each, whatever their length. Another store may append
/// to the file meanwhile; what it adds is not seen.
///
/// ```
/// use entropo_core::preference::{PreferenceRules, StreamError, TrajectoryIndex};
///
/// # let file = std::io::Cursor::new(Vec::new());
/// let mut index = TrajectoryIndex::new(file)?;
/// let mut lines = Vec::new();
/// let dropped = index.pairs(&PreferenceRules::default(), |pair| {
///     lines.push(format!("{} over {}", pair.chosen.id, pair.rejected.id));
///     Ok::<(), StreamError>(())
/// })?;
/// # assert!(dropped.is_empty() && lines.is_empty());
/// # Ok::<(), StreamError>(())
/// ```
#[derive(Debug)]
pub struct TrajectoryIndex<R> {
    reader: R,
    tasks: BTreeMap<String, Vec<Entry>>,
    rollouts: usize,
    torn_bytes: u64,
}

/// Where a rollout is.
#[derive(Clone, Copy, Debug)]
struct Entry {
    rollout: usize,
    line: u64,
    offset: u64,
    bytes: u64,
}

/// Why a file of trajectories cannot be read task by task. Lines are counted from 1; who opened the file knows its name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The file could not be read.
    #[error("the trajectories cannot be read")]
    Io(#[from] io::Error),
    /// A whole line that is no trajectory.
    #[error("line {line} is no trajectory; it is whole, so no crash tore it: repair or remove it")]
    Malformed {
        /// The line.
        line: u64,
        /// Where in the line, and why. Its own line number is always 1.
        source: serde_json::Error,
    },
    /// A line of another format.
    #[error("line {line} has another format than {TRAJECTORY_FORMAT:?}; convert it or use another file")]
    Format {
        /// The line.
        line: u64,
    },
    /// A line with more bytes than are read.
    #[error("line {line} has {bytes} bytes; at most {ROW_BYTES} are read")]
    TooLong {
        /// The line.
        line: u64,
        /// Its bytes.
        bytes: u64,
    },
    /// A trajectory whose trace is not valid.
    #[error("line {line}: the token trace is not valid")]
    Trace {
        /// The line.
        line: u64,
        /// What is wrong with it.
        source: TraceError,
    },
    /// A second trajectory of the same name.
    #[error("line {line}: rollout {id} is in line {first} already; remove one")]
    Duplicate {
        /// The line.
        line: u64,
        /// The name.
        id: RolloutId,
        /// The line that has the name.
        first: u64,
    },
    /// The file is not what it was when it was indexed.
    #[error("line {line} is not what it was when the file was indexed; nobody may rewrite it meanwhile")]
    Changed {
        /// The line.
        line: u64,
    },
}

/// What the index needs of a line; whatever else it has is skipped.
#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    format: serde_json::Value,
    id: Option<RolloutId>,
}

impl<R: BufRead + Seek> TrajectoryIndex<R> {
    /// Notes where each rollout is, from the beginning of `reader`. Blank lines are passed over; a last line without
    /// its newline that is not whole is left out as [`torn`](Self::torn_bytes).
    ///
    /// # Errors
    /// [`StreamError`] for a line that is not the beginning of a trajectory, or has a name that was there before.
    pub fn new(mut reader: R) -> Result<Self, StreamError> {
        reader.seek(SeekFrom::Start(0))?;
        let mut index = Self { reader, tasks: BTreeMap::new(), rollouts: 0, torn_bytes: 0 };
        let (mut line, mut offset) = (1, 0);
        loop {
            let piece = scan::line(&mut index.reader, ROW_BYTES)?;
            index.note(&piece, line, offset)?;
            if piece.end.is_none() {
                break;
            }
            (line, offset) = (line + 1, offset + piece.bytes);
        }
        for (task, entries) in &mut index.tasks {
            entries.sort_by_key(|entry| (entry.rollout, entry.line));
            check_names(task, entries)?;
        }
        Ok(index)
    }

    fn note(&mut self, piece: &scan::Piece, line: u64, offset: u64) -> Result<(), StreamError> {
        if piece.too_long {
            return Err(StreamError::TooLong { line, bytes: piece.bytes });
        }
        let text = piece.text.trim_ascii();
        if text.is_empty() {
            return Ok(());
        }
        let header = match serde_json::from_slice::<Header>(text) {
            Ok(header) => header,
            // whole JSON that is no trajectory is no accident
            Err(_) if piece.end.is_none() && serde_json::from_slice::<IgnoredAny>(text).is_err() => {
                self.torn_bytes = piece.bytes;
                return Ok(());
            }
            Err(source) => return Err(StreamError::Malformed { line, source }),
        };
        if header.format != TRAJECTORY_FORMAT {
            return Err(StreamError::Format { line });
        }
        let Some(id) = header.id else {
            let source = serde::de::Error::missing_field("id");
            return Err(StreamError::Malformed { line, source });
        };
        let entry = Entry { rollout: id.rollout, line, offset, bytes: piece.bytes };
        self.tasks.entry(id.task).or_default().push(entry);
        self.rollouts += 1;
        Ok(())
    }

    /// How many rollouts there are.
    pub fn len(&self) -> usize {
        self.rollouts
    }

    /// Whether there is no rollout.
    pub fn is_empty(&self) -> bool {
        self.rollouts == 0
    }

    /// The tasks in the order of their names.
    pub fn tasks(&self) -> impl Iterator<Item = &str> {
        self.tasks.keys().map(String::as_str)
    }

    /// Bytes of a last line whose writer died; usually 0.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// The rollouts of one task by their numbers; none for a task that is not there.
    ///
    /// # Errors
    /// [`StreamError`] if a line is no trajectory, has no valid trace, or changed since it was indexed.
    pub fn load(&mut self, task: &str) -> Result<Vec<Trajectory>, StreamError> {
        let entries = self.tasks.get(task).map(Vec::as_slice).unwrap_or_default();
        entries.iter().map(|entry| read(&mut self.reader, task, entry)).collect()
    }

    /// Pairs as [`build_pairs`] makes them of all trajectories together, with one task's in memory at a time; `each` is
    /// given every pair, tasks in the order of their names. What was left out is summed over the tasks.
    ///
    /// # Errors
    /// Those of [`load`](Self::load), and the first that `each` gives.
    pub fn pairs<E: From<StreamError>>(
        &mut self,
        rules: &PreferenceRules,
        mut each: impl FnMut(PreferencePair<'_>) -> Result<(), E>,
    ) -> Result<DropReport, E> {
        let tasks: Vec<String> = self.tasks.keys().cloned().collect();
        let mut dropped = DropReport::default();
        for task in tasks {
            let trajectories = self.load(&task)?;
            let data = build_pairs(&trajectories, rules);
            data.dropped.iter().for_each(|(reason, count)| dropped.add(reason, count));
            data.pairs.into_iter().try_for_each(&mut each)?;
        }
        Ok(dropped)
    }
}

fn read(reader: &mut (impl BufRead + Seek), task: &str, entry: &Entry) -> Result<Trajectory, StreamError> {
    let Entry { rollout, line, offset, bytes } = *entry;
    reader.seek(SeekFrom::Start(offset))?;
    let piece = scan::line(reader, ROW_BYTES)?;
    // a line that was whole without its newline may have got it, and others after it, since
    if piece.bytes != bytes && !(piece.bytes == bytes + 1 && piece.end.is_some()) {
        return Err(StreamError::Changed { line });
    }
    let trajectory: Trajectory =
        serde_json::from_slice(piece.text.trim_ascii()).map_err(|source| StreamError::Malformed { line, source })?;
    trajectory.trace.validate().map_err(|source| StreamError::Trace { line, source })?;
    if trajectory.id.task != task || trajectory.id.rollout != rollout {
        return Err(StreamError::Changed { line });
    }
    Ok(trajectory)
}

/// Refuses equal names among entries that are sorted by rollout.
fn check_names(task: &str, entries: &[Entry]) -> Result<(), StreamError> {
    let equal = entries.iter().zip(entries.iter().skip(1)).find(|(one, next)| one.rollout == next.rollout);
    match equal {
        None => Ok(()),
        Some((first, second)) => Err(StreamError::Duplicate {
            line: second.line,
            id: RolloutId::new(task, second.rollout),
            first: first.line,
        }),
    }
}
