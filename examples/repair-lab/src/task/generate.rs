//! Draws a task, asks a real shell what its functions print, and keeps it only if it is a fair one.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::once;

use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::difficulty::Naming;
use super::families::FAMILIES;
use super::family::{Family, Function};
use super::script::{printed, test_script};
use super::{Difficulty, LabError, LabTask, names};

/// Draws before giving up; the families are such that the first one holds.
const TRIES: u64 = 8;

/// How often the sibling is written like the truth; otherwise its style is uniform among the four.
const CUE_ACCURACY: f64 = 0.55;

/// The task of a seed: the same seed and difficulty give the same task.
///
/// Runs `sh` once, to compute what the functions print and to check that the bug and the wrong repairs fail the
/// issue's example, all four fixes pass it, and no two fixes agree on the hidden checks. A task that fails is drawn
/// again from the next stream of the same seed.
///
/// # Errors
///
/// [`LabError::Difficulty`] if the difficulty leaves too few names, [`LabError::Shell`] if `sh` does not run, and
/// [`LabError::Unfair`] if no draw passed the checks.
pub fn generate(seed: u64, difficulty: &Difficulty) -> Result<LabTask, LabError> {
    difficulty.check()?;
    let mut reason = "";
    for stream in 0..TRIES {
        let draft = Draft::of_stream(seed, stream, difficulty)?;
        match draft.judge()? {
            Ok(outputs) => return Ok(draft.into_task(seed, outputs)),
            Err(broken) => reason = broken,
        }
    }
    Err(LabError::Unfair { seed, tries: TRIES, reason })
}

#[cfg(test)]
pub(super) fn first_draw_is_fair(seed: u64, difficulty: &Difficulty) -> bool {
    Draft::of_stream(seed, 0, difficulty).unwrap().judge().unwrap().is_ok()
}

/// A task before anything was run.
struct Draft {
    target: Function,
    target_path: String,
    sibling: Function,
    sibling_first: bool,
    truth: usize,
    cue: usize,
    /// Paths and texts of the other files.
    others: BTreeMap<String, String>,
    issue: String,
    probes: Vec<String>,
    /// Calls of functions that work: the sibling's, and perhaps one of another family.
    regression: Vec<String>,
    sibling_probes: Vec<String>,
}

/// What the calls of a [`Draft`] print, in the order of its fields.
struct Outputs {
    got: String,
    want: String,
    probes: Vec<String>,
    regression: Vec<String>,
    sibling_probes: Vec<String>,
}

impl Draft {
    fn of_stream(seed: u64, stream: u64, difficulty: &Difficulty) -> Result<Self, LabError> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        let short = LabError::Difficulty { field: "files", wanted: "met by the pools of names and families" };
        Self::draw(&mut rng, difficulty).ok_or(short)
    }

    /// `None` if a pool is too small, which [`Difficulty::check`] has excluded.
    fn draw(rng: &mut ChaCha8Rng, difficulty: &Difficulty) -> Option<Self> {
        let mut families: Vec<&'static Family> = FAMILIES.iter().collect();
        families.shuffle(rng);
        let family = families.pop()?;
        let mut pair = Pools::new(rng, difficulty);
        let mut function_names = shuffled(rng, &family.names, difficulty.function_names);
        let target = pair.function(rng, family, function_names.pop()?)?;
        let sibling = pair.function(rng, family, function_names.pop()?)?;
        let truth = weighted(rng, family.prior);
        let cue = if rng.random_bool(CUE_ACCURACY) { truth } else { rng.random_range(0..4) };

        let mut files = shuffled(rng, &names::FILES, difficulty.file_names);
        let (least, most) = difficulty.files;
        let count = rng.random_range(least..=most);
        let target_path = path(files.pop()?);
        let mut others = BTreeMap::new();
        let mut distractors = Vec::new();
        for name in files.into_iter().take(count - 1) {
            let mut text = String::new();
            for _ in 0..2 {
                let family = families.pop()?;
                let name = shuffled(rng, &family.names, difficulty.function_names).pop()?;
                let function = Pools::new(rng, difficulty).function(rng, family, name)?;
                text += &function.correct(rng.random_range(0..4));
                distractors.push(function);
            }
            others.insert(path(name), text);
        }

        let words = pool(&names::WORDS, difficulty.words);
        let tested = distractors.choose(rng).filter(|_| rng.random()).copied();
        let regression = once(sibling).chain(tested).map(|function| function.input(rng, words)).collect();
        Some(Self {
            issue: target.input(rng, words),
            probes: target.probes(rng, words),
            sibling_probes: sibling.probes(rng, words),
            sibling_first: rng.random(),
            target,
            target_path,
            sibling,
            truth,
            cue,
            others,
            regression,
        })
    }

    /// Lines that may stand in the place of the bug: the bug itself, the fixes, the wrong repairs.
    fn variants(&self) -> impl Iterator<Item = String> {
        let family = self.target.family;
        once(family.bug).chain(family.fixes).chain(family.wrong).map(|template| self.target.line(template))
    }

    /// Runs every call against every variant in one shell; the inner error says which promise is broken.
    fn judge(&self) -> Result<Result<Outputs, &'static str>, LabError> {
        let unchanging = self.others.values().cloned().chain([self.sibling.correct(self.cue)]);
        let mut script: String = once("unset PORT\n".to_owned()).chain(unchanging).collect();
        let mut call = |line: &str| script = format!("{script}{line}\n");
        self.regression.iter().chain(&self.sibling_probes).for_each(|line| call(line));
        for variant in self.variants() {
            call(&self.target.define(&variant));
            once(&self.issue).chain(&self.probes).for_each(|line| call(line));
        }
        let mut lines = printed(&script)?.into_iter();
        let mut take = |count: usize| lines.by_ref().take(count).collect::<Vec<_>>();
        let regression = take(self.regression.len());
        let sibling_probes = take(self.sibling_probes.len());
        let mut answers = self.variants().map(|_| take(1 + self.probes.len()));
        let (bug, fixes) = (answers.next(), answers.by_ref().take(4).collect::<Vec<_>>());
        let wrong: Vec<_> = answers.collect();
        if lines.next().is_some() || wrong.last().is_none_or(|last| last.len() != 1 + self.probes.len()) {
            return Ok(Err("a call did not print exactly one line"));
        }
        let (Some(bug), Some(truth)) = (bug, fixes.get(self.truth)) else {
            return Ok(Err("there are not four fixes"));
        };
        let (Some(got), Some((want, probes))) = (bug.first(), truth.split_first()) else {
            return Ok(Err("there is no example"));
        };
        if fixes.iter().any(|fix| fix.first() != Some(want)) {
            return Ok(Err("the fixes disagree on the example"));
        }
        if got == want || wrong.iter().any(|line| line.first() == Some(want)) {
            return Ok(Err("the bug or a wrong repair passes the example"));
        }
        if fixes.iter().collect::<BTreeSet<_>>().len() != fixes.len() {
            return Ok(Err("the probes do not separate the fixes"));
        }
        let (got, want, probes) = (got.clone(), want.clone(), probes.to_vec());
        Ok(Ok(Outputs { got, want, probes, regression, sibling_probes }))
    }

    fn into_task(self, seed: u64, outputs: Outputs) -> LabTask {
        let (family, target) = (self.target.family, self.target);
        let bug = target.line(family.bug);
        let sibling = self.sibling.correct(self.cue);
        let definition = target.define(&bug);
        let (target_text, lines_above) = if self.sibling_first {
            (format!("{sibling}{definition}"), sibling.lines().count())
        } else {
            (format!("{definition}{sibling}"), 0)
        };
        let example = once((self.issue.as_str(), outputs.want.as_str()));
        let visible = example.clone().chain(checks(&self.regression, &outputs.regression));
        let hidden = example
            .chain(checks(&self.probes, &outputs.probes))
            .chain(checks(&self.sibling_probes, &outputs.sibling_probes));
        let (test, hidden) = (test_script(visible), test_script(hidden));
        let mut files = self.others;
        files.insert(self.target_path.clone(), target_text);
        files.insert("test.sh".to_owned(), test);
        LabTask {
            id: format!("{}-{seed:016x}", family.name),
            issue: format!("`{}` prints {}, expected {}.", self.issue, outputs.got, outputs.want),
            files,
            hidden,
            family: family.name.to_owned(),
            target: self.target_path,
            function: target.name.to_owned(),
            line: lines_above + target.lines_before() + 1,
            fixes: family.fixes.iter().map(|template| target.line(template)).collect(),
            wrong: family.wrong.iter().map(|template| target.line(template)).collect(),
            bug,
            truth: self.truth,
            cue: self.cue,
        }
    }
}

/// Where the names in a function's body come from.
enum Pools {
    /// Drawn without replacement, the constant with.
    Drawn { variables: Vec<&'static str>, results: Vec<&'static str>, constants: usize },
    /// Those that belong to the function's name.
    Conventional,
}

impl Pools {
    fn new(rng: &mut ChaCha8Rng, difficulty: &Difficulty) -> Self {
        match difficulty.naming {
            Naming::Conventional => Self::Conventional,
            Naming::Drawn { variables, results, constants } => Self::Drawn {
                variables: shuffled(rng, &names::VARIABLES, variables),
                results: shuffled(rng, &names::RESULTS, results),
                constants,
            },
        }
    }

    fn function(&mut self, rng: &mut ChaCha8Rng, family: &'static Family, name: &'static str) -> Option<Function> {
        match self {
            Self::Drawn { variables, results, constants } => Some(Function {
                family,
                name,
                variables: (variables.pop()?, variables.pop()?),
                result: results.pop()?,
                constant: *pool(family.constants, *constants).choose(rng)?,
            }),
            Self::Conventional => {
                let place = family.names.iter().position(|other| *other == name)?;
                let (pairs, _) = names::VARIABLES.as_chunks::<2>();
                let &[first, second] = pairs.get(place)?;
                Some(Function {
                    family,
                    name,
                    variables: (first, second),
                    result: names::RESULTS.iter().cycle().nth(place)?,
                    constant: *family.constants.iter().cycle().nth(place)?,
                })
            }
        }
    }
}

fn pool<T>(all: &[T], count: usize) -> &[T] {
    all.get(..count).unwrap_or(all)
}

fn shuffled(rng: &mut ChaCha8Rng, all: &[&'static str], count: usize) -> Vec<&'static str> {
    let mut names = pool(all, count).to_vec();
    names.shuffle(rng);
    names
}

/// An index, drawn in proportion to weights that sum to 100.
fn weighted(rng: &mut ChaCha8Rng, weights: [u32; 4]) -> usize {
    let point = rng.random_range(0..100);
    let ends = weights.iter().scan(0, |sum, weight| {
        *sum += weight;
        Some(*sum)
    });
    ends.take_while(|end| *end <= point).count()
}

fn path(name: &str) -> String {
    format!("lib/{name}.sh")
}

fn checks<'a>(calls: &'a [String], wanted: &'a [String]) -> impl Iterator<Item = (&'a str, &'a str)> {
    calls.iter().map(String::as_str).zip(wanted.iter().map(String::as_str))
}
