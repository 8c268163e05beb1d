//! What happens to queries and keys between projection and attention.

use super::elementwise::normalise;
use crate::ops::parallel::vectorised;

/// Makes a row's queries or keys ready for attention, head by head.
pub(in crate::generate) struct Heads<'a> {
    /// Width of a head.
    pub(in crate::generate) head: usize,
    /// Every head's norm, `[head]`, and what is added to its mean square.
    pub(in crate::generate) norm: Option<(&'a [f32], f32)>,
    /// What heads are multiplied by in the end.
    pub(in crate::generate) scale: f32,
}

impl Heads<'_> {
    /// `x` are whole heads of one row, turned by `cos` and `sin` `[pair]`.
    pub(in crate::generate) fn prepare(&self, x: &mut [f32], (cos, sin): (&[f32], &[f32])) {
        vectorised(
            #[inline(always)]
            || {
                for head in x.chunks_exact_mut(self.head.max(1)) {
                    if let Some((weight, epsilon)) = self.norm {
                        normalise(head, weight, epsilon);
                    }
                    turn(head, cos, sin);
                    head.iter_mut().for_each(|x| *x *= self.scale);
                }
            },
        );
    }
}

/// Turns dimension `i` with dimension `i + pairs`; the dimensions after those pairs stay.
#[inline(always)]
fn turn(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    let (first, second) = head.split_at_mut(cos.len().min(head.len()));
    for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
        (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_normalised_turned_and_scaled() {
        let mut x = [3.0, 4.0, 0.0, 0.0, 2.0, 0.0, 2.0, 0.0, 2.0, 2.0];
        let heads = Heads { head: 5, norm: None, scale: 2.0 };
        heads.prepare(&mut x, (&[0.0, 1.0], &[1.0, 0.0]));
        assert_eq!(x, [0.0, 8.0, 6.0, 0.0, 4.0, 0.0, 4.0, 0.0, 4.0, 4.0]);
        let mut x = [3.0, 4.0];
        Heads { head: 2, norm: Some((&[1.0, 10.0], 0.0)), scale: 1.0 }.prepare(&mut x, (&[], &[]));
        let scale = 12.5f32.sqrt();
        assert!((x[0] - 3.0 / scale).abs() < 1e-6 && (x[1] - 40.0 / scale).abs() < 1e-5);
    }
}
