//! Small systems of linear equations.

/// The solution of A x = b for a symmetric positive definite A, by Cholesky's decomposition; `None` if A is none.
pub(super) fn solve(matrix: &[Vec<f64>], right: &[f64]) -> Option<Vec<f64>> {
    let mut lower: Vec<Vec<f64>> = Vec::with_capacity(matrix.len());
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    for (row, entries) in matrix.iter().enumerate() {
        let mut own: Vec<f64> = Vec::with_capacity(row + 1);
        for (column, entry) in entries.iter().take(row + 1).enumerate() {
            let above = lower.get(column);
            let left = entry - dot(&own, above.map_or(own.as_slice(), |above| above.get(..column).unwrap_or_default()));
            own.push(match above {
                Some(above) => left / above.last()?,
                None if left > 0.0 && left.is_finite() => left.sqrt(),
                None => return None,
            });
        }
        lower.push(own);
    }
    let mut forward: Vec<f64> = Vec::with_capacity(right.len());
    for (row, value) in lower.iter().zip(right) {
        let (diagonal, rest) = row.split_last()?;
        forward.push((value - dot(rest, &forward)) / diagonal);
    }
    let mut solution = vec![0.0; forward.len()];
    for row in (0..forward.len()).rev() {
        let below: f64 =
            (row + 1..lower.len()).filter_map(|other| Some(lower.get(other)?.get(row)? * solution.get(other)?)).sum();
        let value = (forward.get(row)? - below) / lower.get(row)?.last()?;
        *solution.get_mut(row)? = value;
    }
    solution.iter().all(|value| value.is_finite()).then_some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_by_hand() {
        let matrix = vec![vec![4.0, 2.0, 0.0], vec![2.0, 5.0, 3.0], vec![0.0, 3.0, 6.0]];
        let solution = solve(&matrix, &[8.0, 21.0, 24.0]).unwrap(); // of x = (1, 2, 3)
        for (value, expected) in solution.iter().zip([1.0, 2.0, 3.0]) {
            assert!((value - expected).abs() < 1e-12, "{solution:?}");
        }
        assert_eq!(solve(&[vec![1.0, 2.0], vec![2.0, 1.0]], &[1.0, 1.0]), None, "not positive definite");
        assert_eq!(solve(&[vec![f64::NAN]], &[1.0]), None);
        assert_eq!(solve(&[], &[]), Some(vec![]));
    }
}
