//! Probability mass of a row of logits.

use pulp::{Arch, Simd, WithSimd};

use crate::ops::math::exp;

/// Logits whose mass is summed in single precision before it goes on in double.
const CHUNK: usize = 1024;
/// Sums side by side.
const LANES: usize = 16;
/// Weights `e^x` below this exponent are 0: single precision has none.
const SMALLEST: f32 = -87.0;

/// Weights `exp((logit - highest) * inverse)` of a row of logits, where `inverse` is one over the temperature. They are
/// computed with the same operations in the same order on every processor.
#[derive(Debug)]
pub(super) struct Mass {
    highest: f32,
    inverse: f32,
    /// `[chunk]`
    chunks: Vec<f64>,
    total: f64,
    /// Sum of `weight * (logit - highest) * inverse`.
    moment: f64,
}

/// The largest logit; `None` if there is none, or if one is not a number or positive infinity.
pub(super) fn highest(logits: &[f32]) -> Option<f32> {
    let mut peaks = [f32::NEG_INFINITY; LANES];
    let mut broken = [0; LANES]; // as wide as the peaks, so that both are vectors
    let mut see = |logits: &[f32]| {
        for ((peak, broken), &logit) in peaks.iter_mut().zip(&mut broken).zip(logits) {
            *peak = if logit > *peak { logit } else { *peak };
            *broken |= u32::from(logit.is_nan() | (logit == f32::INFINITY));
        }
    };
    let (lanes, rest) = logits.as_chunks::<LANES>();
    lanes.iter().for_each(|lane| see(lane));
    see(rest);
    let highest = peaks.into_iter().fold(f32::NEG_INFINITY, f32::max);
    (highest > f32::NEG_INFINITY && broken == [0; LANES]).then_some(highest)
}

impl Mass {
    pub(super) fn new(logits: &[f32], highest: f32, inverse: f32) -> Self {
        let mut mass = Self { highest, inverse, chunks: Vec::new(), total: 0.0, moment: 0.0 };
        for chunk in logits.chunks(CHUNK) {
            let (total, moment) = Arch::new().dispatch(Sum(Weights { logits: chunk, highest, inverse }));
            mass.chunks.push(total);
            mass.total += total;
            mass.moment += moment;
        }
        mass
    }

    /// All weights together.
    pub(super) fn total(&self) -> f64 {
        self.total
    }

    /// Natural logarithm of a token's probability.
    pub(super) fn logprob(&self, logit: f32) -> f32 {
        (f64::from(logit - self.highest) * f64::from(self.inverse) - self.total.ln()) as f32
    }

    /// In nats.
    pub(super) fn entropy(&self) -> f32 {
        (self.total.ln() - self.moment / self.total).max(0.0) as f32
    }

    /// The token at which the sum of the weights, in the order of ids, goes beyond `draw`, in [0, 1), of the total.
    pub(super) fn draw(&self, logits: &[f32], draw: f64) -> Option<usize> {
        let mut rest = draw * self.total;
        let mut last = None;
        for (index, (chunk, &total)) in logits.chunks(CHUNK).zip(&self.chunks).enumerate() {
            if rest >= total {
                rest -= total;
                continue;
            }
            let weights = Arch::new().dispatch(Weights { logits: chunk, highest: self.highest, inverse: self.inverse });
            for (token, weight) in (index * CHUNK..).zip(weights).filter(|&(_, weight)| weight > 0.0) {
                rest -= f64::from(weight);
                last = Some(token);
                if rest < 0.0 {
                    return last;
                }
            }
        }
        // Rounding: the sum of the weights was a little smaller than the total.
        last.or_else(|| logits.iter().rposition(|&logit| logit == self.highest))
    }
}

/// Weights of some logits, as vector code: only what is inlined into it becomes that.
#[derive(Clone, Copy)]
struct Weights<'a> {
    logits: &'a [f32],
    highest: f32,
    inverse: f32,
}

/// The sums of weights, and of weights times their logarithms.
struct Sum<'a>(Weights<'a>);

impl Weights<'_> {
    /// A weight and its logarithm.
    #[inline(always)]
    fn of(self, logit: f32) -> (f32, f32) {
        let exponent = (logit - self.highest) * self.inverse;
        let weight = exp(exponent);
        if exponent > SMALLEST { (weight, exponent) } else { (0.0, 0.0) }
    }
}

impl WithSimd for Weights<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Vec<f32> {
        self.logits.iter().map(|&logit| self.of(logit).0).collect()
    }
}

impl WithSimd for Sum<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (f64, f64) {
        let (mut totals, mut moments) = ([0.0; LANES], [0.0; LANES]);
        let (lanes, rest) = self.0.logits.as_chunks::<LANES>();
        for lane in lanes {
            for ((total, moment), &logit) in totals.iter_mut().zip(&mut moments).zip(lane) {
                let (weight, exponent) = self.0.of(logit);
                *total += weight;
                *moment = weight.mul_add(exponent, *moment);
            }
        }
        for ((total, moment), &logit) in totals.iter_mut().zip(&mut moments).zip(rest) {
            let (weight, exponent) = self.0.of(logit);
            *total += weight;
            *moment = weight.mul_add(exponent, *moment);
        }
        let sum = |lanes: [f32; LANES]| lanes.into_iter().map(f64::from).sum();
        (sum(totals), sum(moments))
    }
}
