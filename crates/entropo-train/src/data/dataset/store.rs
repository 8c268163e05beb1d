//! Tokenised examples on disk: `tokens.bin`, one little-endian word a token with the action mark in its highest bit, and
//! `examples.jsonl`, a line an example. `manifest.json` says of what they were made. All three appear together or not at
//! all.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::error::DataError;
use super::super::example::Example;
use super::super::sequence::Sequence;
use super::report::Report;
use crate::checkpoint::{Map, Staging};

/// The version of the files.
const FORMAT: &str = "entropo-dataset/1";
const MANIFEST: &str = "manifest.json";
const TOKENS: &str = "tokens.bin";
const EXAMPLES: &str = "examples.jsonl";
/// The mark of an action; token ids are below it.
const ACTION: u32 = 1 << 31;
/// Bytes of a token.
const WORD: usize = size_of::<u32>();

/// What the files were made of.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    key: String,
    tokens: u64,
    report: Report,
}

/// One example's line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// Examples of one group are on one side of a split.
    group: String,
    /// Absent but for labelled examples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    desirable: Option<bool>,
    /// Names and lengths, in the order of the tokens: two of a pair.
    sequences: Vec<(String, usize)>,
}

/// Where one example is.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) group: String,
    desirable: Option<bool>,
    /// Names, and tokens by number.
    sequences: Vec<(String, Range<usize>)>,
}

/// Files that are open.
#[derive(Debug)]
pub(super) struct Stored {
    tokens: Map,
    pub(super) places: Vec<Place>,
    pub(super) report: Report,
    pub(super) key: String,
}

/// Files in the making; they vanish if this is dropped.
pub(super) struct Writer {
    target: PathBuf,
    staging: Staging,
    tokens: BufWriter<File>,
    examples: BufWriter<File>,
    written: u64,
}

impl Writer {
    /// Begins files that will be at `target`.
    pub(super) fn create(target: &Path) -> Result<Self, DataError> {
        let at = |source| DataError::Write { path: target.to_owned(), source };
        let staging = Staging::beside(target).map_err(at)?;
        let file = |name| File::create(staging.path().join(name)).map(BufWriter::new).map_err(at);
        let (tokens, examples) = (file(TOKENS)?, file(EXAMPLES)?);
        Ok(Self { target: target.to_owned(), staging, tokens, examples, written: 0 })
    }

    /// Adds an example.
    pub(super) fn push(&mut self, example: &Example, group: &str) -> Result<(), DataError> {
        let desirable = match example {
            Example::Labelled { desirable, .. } => Some(*desirable),
            _ => None,
        };
        let sequences = example.sequences().map(|sequence| (sequence.id().to_owned(), sequence.ids().len())).collect();
        let line = Line { group: group.to_owned(), desirable, sequences };
        let written = self.write(example, &line);
        written.map_err(|source| DataError::Write { path: self.target.clone(), source })
    }

    fn write(&mut self, example: &Example, line: &Line) -> std::io::Result<()> {
        for sequence in example.sequences() {
            for (&id, &action) in sequence.ids().iter().zip(sequence.actions()) {
                self.tokens.write_all(&(id | if action { ACTION } else { 0 }).to_le_bytes())?;
            }
            self.written += sequence.ids().len() as u64;
        }
        serde_json::to_writer(&mut self.examples, line)?;
        self.examples.write_all(b"\n")
    }

    /// Puts the files in their place and opens them.
    pub(super) fn finish(self, key: &str, report: Report) -> Result<Stored, DataError> {
        let Self { target, staging, tokens, examples, written } = self;
        let manifest = Manifest { format: FORMAT.to_owned(), key: key.to_owned(), tokens: written, report };
        let finish = || {
            for file in [tokens, examples] {
                file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
            }
            let mut file = File::create(staging.path().join(MANIFEST))?;
            serde_json::to_writer_pretty(&mut file, &manifest)?;
            file.sync_all()?;
            staging.commit(|_| false)
        };
        finish().map_err(|source| DataError::Write { path: target.clone(), source })?;
        Stored::open(&target, key)
    }
}

impl Stored {
    /// Opens files that were made for `key`.
    ///
    /// # Errors
    /// [`DataError::Cache`] if they are of something else, of another version, or damaged.
    pub(super) fn open(directory: &Path, key: &str) -> Result<Self, DataError> {
        let refused = |reason: String| DataError::Cache { path: directory.to_owned(), reason };
        let text = fs::read(directory.join(MANIFEST)).map_err(|error| refused(format!("{MANIFEST}: {error}")))?;
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| refused(format!("{MANIFEST}: {error}")))?;
        if manifest.format != FORMAT {
            return Err(refused(format!("its format is {:?} and not {FORMAT:?}", manifest.format)));
        }
        if manifest.key != key {
            return Err(refused("it was made of other files, settings or another tokenizer".to_owned()));
        }
        let tokens = Map::open(&directory.join(TOKENS)).map_err(|error| refused(format!("{TOKENS}: {error}")))?;
        let count = tokens.bytes().len() / WORD;
        if count as u64 != manifest.tokens || !tokens.bytes().len().is_multiple_of(WORD) {
            return Err(refused(format!("{TOKENS} has {count} tokens and not {}", manifest.tokens)));
        }
        let places = places(&directory.join(EXAMPLES)).map_err(|error| refused(format!("{EXAMPLES}: {error}")))?;
        let end = places.last().and_then(|place| place.sequences.last()).map_or(0, |(_, range)| range.end);
        if end != count || places.len() != manifest.report.examples {
            return Err(refused(format!("{EXAMPLES} does not fit {TOKENS}")));
        }
        Ok(Self { tokens, places, report: manifest.report, key: manifest.key })
    }

    /// One example; `None` if there is none of this number, or the files hold none.
    pub(super) fn get(&self, index: usize) -> Option<Example> {
        let place = self.places.get(index)?;
        let mut sequences = place.sequences.iter().map(|(id, range)| self.sequence(id, range));
        let first = sequences.next()??;
        Some(match (sequences.next(), place.desirable) {
            (Some(second), _) => Example::Preference { chosen: first, rejected: second? },
            (None, Some(desirable)) => Example::Labelled { sequence: first, desirable },
            (None, None) => Example::Demonstration(first),
        })
    }

    fn sequence(&self, id: &str, range: &Range<usize>) -> Option<Sequence> {
        let bytes = self.tokens.bytes().get(range.start * WORD..range.end * WORD)?;
        let words = bytes.as_chunks::<WORD>().0.iter().map(|word| u32::from_le_bytes(*word));
        let (ids, actions) = words.map(|word| (word & !ACTION, word & ACTION != 0)).unzip();
        Sequence::new(id, ids, actions).ok()
    }

    /// Tokens of one example.
    pub(super) fn tokens(&self, index: usize) -> usize {
        self.places.get(index).map_or(0, |place| place.sequences.iter().map(|(_, range)| range.len()).sum())
    }
}

fn places(path: &Path) -> std::io::Result<Vec<Place>> {
    let (mut places, mut end) = (Vec::new(), 0);
    for line in BufReader::new(File::open(path)?).lines() {
        let Line { group, desirable, sequences } = serde_json::from_str(&line?)?;
        let mut ranges = Vec::with_capacity(sequences.len());
        for (id, tokens) in sequences {
            let start = end;
            end = tokens.checked_add(start).ok_or(std::io::ErrorKind::InvalidData)?;
            ranges.push((id, start..end));
        }
        places.push(Place { group, desirable, sequences: ranges });
    }
    Ok(places)
}
