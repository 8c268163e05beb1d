//! Finding the likeliest tokens without sorting all.

/// Logits that share a peak.
const CHUNK: usize = 64;
/// The first guess of how many tokens hold most of the mass.
const FEW: usize = 256;

/// A token that may be sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) token: u32,
    logit: f32,
    /// Relative to the likeliest token's, which is 1.
    pub(super) weight: f64,
}

/// A row of logits with the largest of each chunk: where the likeliest tokens are, and where they are not.
#[derive(Debug)]
pub(super) struct Peaks<'a> {
    logits: &'a [f32],
    /// `[chunk]`
    peaks: Vec<f32>,
}

impl<'a> Peaks<'a> {
    pub(super) fn new(logits: &'a [f32]) -> Self {
        let peak = |chunk: &[f32]| {
            let larger = |peak: f32, &logit: &f32| if logit > peak { logit } else { peak };
            let (lanes, rest) = chunk.as_chunks::<16>();
            let mut peaks = [f32::NEG_INFINITY; 16];
            lanes
                .iter()
                .for_each(|lane| peaks.iter_mut().zip(lane).for_each(|(peak, logit)| *peak = larger(*peak, logit)));
            peaks.iter().chain(rest).fold(f32::NEG_INFINITY, larger)
        };
        Self { logits, peaks: logits.chunks(CHUNK).map(peak).collect() }
    }

    /// The tokens whose logits are at least `bound`, by token. Minus infinity never is.
    pub(super) fn reaching(&self, bound: f32, weight: impl Fn(f32) -> f64) -> Vec<Candidate> {
        let passes = |logit: f32| logit >= bound && logit > f32::NEG_INFINITY;
        let chunks = self.logits.chunks(CHUNK).zip(&self.peaks).enumerate().filter(|&(_, (_, &peak))| passes(peak));
        let tokens = chunks.flat_map(|(index, (chunk, _))| (index * CHUNK..).zip(chunk));
        let candidate =
            |(token, &logit): (usize, &f32)| Candidate { token: token as u32, logit, weight: weight(logit) };
        tokens.filter(|&(_, &logit)| passes(logit)).map(candidate).collect()
    }

    /// The `count` likeliest tokens and those as likely as the last of them, by token.
    pub(super) fn top(&self, count: usize, weight: impl Fn(f32) -> f64) -> Vec<Candidate> {
        let mut candidates = self.reaching(self.bound(count), weight);
        let mut logits: Vec<f32> = candidates.iter().map(|candidate| candidate.logit).collect();
        if let Some(smallest) = nth_largest(&mut logits, count) {
            candidates.retain(|candidate| candidate.logit >= smallest);
        }
        candidates
    }

    /// At least the likeliest tokens that weigh `enough` together, by token.
    pub(super) fn heaviest(&self, enough: f64, weight: impl Fn(f32) -> f64) -> Vec<Candidate> {
        for count in [FEW, 16 * FEW] {
            let candidates = self.reaching(self.bound(count), &weight);
            if candidates.iter().map(|candidate| candidate.weight).sum::<f64>() >= enough {
                return candidates;
            }
        }
        self.reaching(f32::NEG_INFINITY, weight)
    }

    /// The `count` likeliest tokens with their logits, the likeliest first, of equals the smaller id.
    pub(super) fn likeliest(&self, count: usize) -> Vec<(u32, f32)> {
        if count == 0 {
            return Vec::new();
        }
        let mut candidates = self.top(count, |_| 0.0);
        candidates.sort_unstable_by(likelier);
        candidates.into_iter().take(count).map(|candidate| (candidate.token, candidate.logit)).collect()
    }

    /// A logit that at least `count` tokens reach: so many chunks have one.
    fn bound(&self, count: usize) -> f32 {
        nth_largest(&mut self.peaks.clone(), count).unwrap_or(f32::NEG_INFINITY)
    }
}

/// The smallest set of likeliest tokens that weigh `enough` together, at least one; of equally likely ones those with the
/// smaller ids.
///
/// As in a search by halves, the middle candidate is put where a sort would put it, and one half is done with: it is in
/// the set as a whole, or out of it.
pub(super) fn nucleus(mut candidates: Vec<Candidate>, enough: f64) -> Vec<Candidate> {
    let mut ranked = candidates.clone();
    let (mut rest, mut reached) = (ranked.as_mut_slice(), 0.0);
    let mut last = None;
    while !rest.is_empty() {
        let (likelier, middle, others) = rest.select_nth_unstable_by(rest.len() / 2, likelier);
        let before = reached + likelier.iter().map(|candidate| candidate.weight).sum::<f64>();
        if before < enough {
            reached = before + middle.weight;
            last = Some(*middle);
            rest = others;
        } else {
            rest = likelier;
        }
    }
    if let Some(last) = last {
        candidates.retain(|candidate| likelier(candidate, &last).is_le());
    }
    candidates
}

fn likelier(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.logit.total_cmp(&a.logit).then(a.token.cmp(&b.token))
}

fn nth_largest(values: &mut [f32], count: usize) -> Option<f32> {
    let index = count.checked_sub(1).filter(|&index| index < values.len())?;
    Some(*values.select_nth_unstable_by(index, |a, b| b.total_cmp(a)).1)
}
