//! Elementary functions for whole vectors.

/// `e^x` to within 2 units in the last place, without branches, so that it is computed for whole vectors at once.
/// Below -87 and above 88 it stays at its value there.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it leaves no bits after the point
    let x = x.clamp(-87.0, 88.0);
    let n = x.mul_add(std::f32::consts::LOG2_E, ROUND) - ROUND;
    let r = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, x)); // ln 2 in two parts (Cody and Waite)
    let p = (1.0f32 / 5040.0).mul_add(r, 1.0 / 720.0);
    let p = p.mul_add(r, 1.0 / 120.0);
    let p = p.mul_add(r, 1.0 / 24.0);
    let p = p.mul_add(r, 1.0 / 6.0);
    let p = p.mul_add(r, 0.5);
    let p = p.mul_add(r, 1.0).mul_add(r, 1.0);
    p * f32::from_bits(((n as i32 + 127) as u32) << 23)
}

/// Numbers that are added side by side.
pub(crate) const LANES: usize = 32;

/// Sum of `f` over two rows, in [`LANES`] interleaved sums.
#[inline(always)]
pub(crate) fn sum2(x: &[f32], y: &[f32], f: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    let (x, x_rest) = x.as_chunks::<LANES>();
    let (y, y_rest) = y.as_chunks::<LANES>();
    for (x, y) in x.iter().zip(y) {
        sums.iter_mut().zip(x.iter().zip(y)).for_each(|(sum, (x, y))| *sum = f(*x, *y, *sum));
    }
    sums.iter_mut().zip(x_rest.iter().zip(y_rest)).for_each(|(sum, (x, y))| *sum = f(*x, *y, *sum));
    total(&sums)
}

/// Sum of `f` over a row.
#[inline(always)]
pub(crate) fn sum1(x: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    let (x, rest) = x.as_chunks::<LANES>();
    for x in x {
        sums.iter_mut().zip(x).for_each(|(sum, x)| *sum = f(*x, *sum));
    }
    sums.iter_mut().zip(rest).for_each(|(sum, x)| *sum = f(*x, *sum));
    total(&sums)
}

/// Largest number of a row.
#[inline(always)]
pub(crate) fn largest(x: &[f32]) -> f32 {
    let mut best = [f32::NEG_INFINITY; LANES];
    let (x, rest) = x.as_chunks::<LANES>();
    for x in x {
        best.iter_mut().zip(x).for_each(|(best, x)| *best = if *x > *best { *x } else { *best });
    }
    best.iter_mut().zip(rest).for_each(|(best, x)| *best = if *x > *best { *x } else { *best });
    best.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

#[inline(always)]
fn total(sums: &[f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    let mut sums = *sums;
    while width > 0 {
        let (low, high) = sums.split_at_mut(width);
        low.iter_mut().zip(high.iter()).for_each(|(low, high)| *low += *high);
        width /= 2;
    }
    sums.first().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate() {
        for step in -8_700..8_800 {
            let x = step as f32 / 100.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 3e-7, "{x}: {} {exact}", exp(x));
        }
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn sums_and_maxima_read_every_number() {
        for length in [1, 31, 32, 33, 100] {
            let x: Vec<f32> = (0..length).map(|at| (at as f32).sin()).collect();
            let exact: f64 = x.iter().copied().map(f64::from).sum();
            assert!((f64::from(sum1(&x, |x, sum| sum + x)) - exact).abs() < 1e-5);
            let exact: f64 = x.iter().map(|x| f64::from(*x).powi(2)).sum();
            assert!((f64::from(sum2(&x, &x, |x, y, sum| x.mul_add(y, sum))) - exact).abs() < 1e-5);
            assert_eq!(largest(&x), x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }
}
