//! Files to a data set.

use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use entropo_core::format::{Format, Line, LineError, Lines, Record, Row, RowError, Side, parse};
use entropo_core::preference::{StreamError, TrajectoryIndex};
use entropo_core::{TRAJECTORY_FORMAT, Trajectory};
use rayon::prelude::*;
use serde_json::Value;

use super::super::error::DataError;
use super::Dataset;
use super::config::{BadRows, DataConfig, Kind};
use super::judgement::Judgements;
use super::key::key;
use super::report::{Lengths, Report};
use super::rows::{Made, Rules, fingerprint, group};
use super::store::{Stored, Writer};
use crate::text::ChatFormat;

/// Rows that are tokenised at a time.
const ROWS: usize = 64;
/// Bytes of rows that are tokenised at a time, unless one row has more.
const BYTES: u64 = 16 << 20;

/// A data set that is being described.
#[must_use]
pub struct DatasetBuilder<'a> {
    files: Vec<PathBuf>,
    kind: Kind,
    config: DataConfig,
    chat: Option<&'a ChatFormat>,
    context: usize,
    progress: Option<Box<dyn FnMut(u64, u64) + 'a>>,
}

impl Dataset {
    /// Describes a data set of the rows of files, one JSON value a line or a JSON array of rows.
    pub fn of<'a>(files: impl IntoIterator<Item = impl Into<PathBuf>>, kind: Kind) -> DatasetBuilder<'a> {
        DatasetBuilder {
            files: files.into_iter().map(Into::into).collect(),
            kind,
            config: DataConfig::default(),
            chat: None,
            context: usize::MAX,
            progress: None,
        }
    }
}

/// A row that gives nothing.
struct Refused {
    reason: &'static str,
    words: String,
    usable: Usable,
}

/// Whether somebody has to look at a row that gives nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Usable {
    /// It is understood, and there is nothing to learn from it.
    No,
    /// It is broken, or of a format that is not known.
    Unknown,
}

/// Why pairs are not drawn to the end.
enum Stopped {
    Reading(StreamError),
    Keeping(DataError),
}

impl From<StreamError> for Stopped {
    fn from(error: StreamError) -> Self {
        Self::Reading(error)
    }
}

/// A row's group and examples.
fn read(value: Result<Value, LineError>, rules: &Rules<'_>, name: &str) -> Result<(Option<String>, Made), Refused> {
    let broken = |error: LineError| Refused { reason: "not JSON", words: chain(&error), usable: Usable::Unknown };
    let row = parse(&value.map_err(broken)?, rules.config.format).map_err(|error| Refused {
        reason: error.reason(),
        words: chain(&error),
        usable: match error {
            RowError::NothingLearned { .. } | RowError::EqualSides | RowError::Trajectory(_) => Usable::No,
            _ => Usable::Unknown,
        },
    })?;
    let made = rules.examples(&row, name);
    Ok((row.group, made))
}

/// An error with everything that it is about.
fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |words, source| format!("{words}: {source}"))
}

impl<'a> DatasetBuilder<'a> {
    /// How rows are read.
    pub fn config(mut self, config: DataConfig) -> Self {
        self.config = config;
        self
    }

    /// The tokenizer and template of the model that is trained. Rows that are words need them, rows of tokens do not.
    pub fn chat(mut self, chat: &'a ChatFormat) -> Self {
        self.chat = Some(chat);
        self
    }

    /// The model's context, in tokens; no sequence may be longer, whatever [`DataConfig::max_tokens`] says.
    pub fn context(mut self, tokens: usize) -> Self {
        self.context = tokens;
        self
    }

    /// Is told how many bytes of the files are read, and how many there are.
    pub fn progress(mut self, progress: impl FnMut(u64, u64) + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// The data set, from `cache` if it is there, otherwise made and left there under its key.
    ///
    /// # Errors
    /// Files that cannot be read, the first row that cannot be understood unless such rows are to be dropped, data of
    /// which nothing is left ([`DataError::Nothing`], with the report), a cache that is damaged; nothing is left in the
    /// cache then.
    pub fn open(mut self, cache: &Path) -> Result<Dataset, DataError> {
        if self.files.is_empty() {
            return Err(DataError::NoFiles);
        }
        let max_tokens = self.config.max_tokens.unwrap_or(self.context).min(self.context);
        let key = key(&self.files, self.kind, &self.config, max_tokens, self.chat)?;
        let directory = cache.join(&key);
        if directory.exists() {
            return Stored::open(&directory, &key).map(Dataset::new);
        }
        let mut progress = self.progress.take();
        let judgements = match (self.kind, self.chat) {
            (Kind::Judgements, Some(chat)) => {
                Some(Judgements::new(&self.config.question, chat).map_err(|error| DataError::Question(error.into()))?)
            }
            _ => None,
        };
        let (kind, config, chat) = (self.kind, &self.config, self.chat);
        let rules = Rules { kind, config, chat, max_tokens, judgements };
        let mut making = Making::new(&rules, Writer::create(&directory)?);
        let whole = self.files.iter().map(|path| bytes(path)).sum::<Result<u64, _>>()?;
        let mut before = 0;
        for path in &self.files {
            let mut tell = |done: u64| {
                if let Some(progress) = &mut progress {
                    progress(before + done, whole);
                }
            };
            making.file(path, &mut tell)?;
            before += bytes(path)?;
        }
        making.finish(&key).map(Dataset::new)
    }
}

fn bytes(path: &Path) -> Result<u64, DataError> {
    let metadata = std::fs::metadata(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
    Ok(metadata.len())
}

/// A data set in the making.
struct Making<'a> {
    rules: &'a Rules<'a>,
    writer: Writer,
    report: Report,
    lengths: Vec<usize>,
    seen: HashSet<[u8; 16]>,
}

impl<'a> Making<'a> {
    fn new(rules: &'a Rules<'a>, writer: Writer) -> Self {
        let report = Report { kind: rules.kind.name().to_owned(), ..Report::default() };
        Self { rules, writer, report, lengths: Vec::new(), seen: HashSet::new() }
    }

    fn file(&mut self, path: &Path, tell: &mut dyn FnMut(u64)) -> Result<(), DataError> {
        let open =
            || File::open(path).map(BufReader::new).map_err(|source| DataError::Read { path: path.to_owned(), source });
        if self.rules.kind == Kind::Pairs && self.holds_trajectories(open()?) {
            return self.pairs(path, open()?);
        }
        let mut lines = Lines::new(open()?).peekable();
        while let Some(first) = lines.peek() {
            let start = first.offset;
            let (mut found, mut position) = (Vec::new(), start);
            while found.len() < ROWS && position - start < BYTES {
                let Some(line) = lines.next() else { break };
                position = line.offset + line.length;
                found.push(line);
            }
            self.rows(path, found)?;
            tell(position);
        }
        Ok(())
    }

    /// Whether a file is a store of trajectories, as its first row says.
    fn holds_trajectories(&self, file: BufReader<File>) -> bool {
        let first = || Lines::new(file).next()?.value.ok();
        match self.rules.config.format {
            Format::Trajectory => true,
            Format::Auto => first().is_some_and(|row| row.get("format").is_some_and(|it| it == TRAJECTORY_FORMAT)),
            _ => false,
        }
    }

    fn rows(&mut self, path: &Path, found: Vec<Line>) -> Result<(), DataError> {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let rules = self.rules;
        let made: Vec<_> = found
            .into_par_iter()
            .map(|Line { number, value, .. }| {
                let name = format!("{file}:{number}");
                (number, read(value, rules, &name), name)
            })
            .collect();
        for (line, made, name) in made {
            self.report.rows += 1;
            match made {
                Ok((group, made)) => self.keep(group.as_deref(), made)?,
                Err(refused) if refused.usable == Usable::No || rules.config.bad_rows == BadRows::Drop => {
                    self.report.drop(refused.reason, format!("{name}: {}", refused.words));
                }
                Err(Refused { words, .. }) => {
                    return Err(DataError::Row { path: path.to_owned(), line, reason: words });
                }
            }
        }
        Ok(())
    }

    fn keep(&mut self, known: Option<&str>, made: Made) -> Result<(), DataError> {
        let Made { examples, dropped, cut, cut_turns } = made;
        self.report.cut += cut;
        self.report.cut_turns += cut_turns;
        for (reason, words) in dropped {
            self.report.drop(reason, words);
        }
        for example in &examples {
            self.report.duplicates += usize::from(!self.seen.insert(fingerprint(example)));
            self.report.keep(example, &mut self.lengths);
            match known {
                Some(group) => self.writer.push(example, group)?,
                None => self.writer.push(example, &group(example))?,
            }
        }
        Ok(())
    }

    /// Pairs drawn from a store of trajectories.
    fn pairs(&mut self, path: &Path, file: BufReader<File>) -> Result<(), DataError> {
        let refused = |error: &StreamError| DataError::Trajectories { path: path.to_owned(), reason: chain(error) };
        let mut index = TrajectoryIndex::new(file).map_err(|error| refused(&error))?;
        self.report.rows += index.len();
        let drawn = index.pairs(&self.rules.config.pairing.clone(), |pair| {
            let side = |trajectory: &Trajectory| trajectory.trace.segments().first().cloned().map(Side::Tokens);
            if let (Some(chosen), Some(rejected)) = (side(pair.chosen), side(pair.rejected)) {
                let id = format!("{} over {}", pair.chosen.id, pair.rejected.id);
                let group = Some(pair.chosen.id.task.clone());
                let row = Row { id: Some(id.clone()), group, record: Record::Preference { chosen, rejected } };
                self.keep(row.group.as_deref(), self.rules.examples(&row, &id)).map_err(Stopped::Keeping)?;
            }
            Ok(())
        });
        let unpaired = drawn.map_err(|stopped| match stopped {
            Stopped::Reading(error) => refused(&error),
            Stopped::Keeping(error) => error,
        })?;
        unpaired.iter().for_each(|(reason, count)| *self.report.unpaired.entry(reason).or_default() += count);
        Ok(())
    }

    fn finish(mut self, key: &str) -> Result<Stored, DataError> {
        self.report.lengths = Lengths::of(std::mem::take(&mut self.lengths));
        if self.report.examples == 0 {
            return Err(DataError::Nothing(Box::new(self.report)));
        }
        self.writer.finish(key, self.report)
    }
}
