//! Finding lines among lines, in time that grows with their number only.

/// Where `wanted` begins in `lines`, overlapping places too, by Knuth, Morris and Pratt.
pub(super) fn all(lines: &[&str], wanted: &[&str]) -> Vec<usize> {
    let Some(&first) = wanted.first() else { return (0..=lines.len()).collect() };
    let at = |index: usize| wanted.get(index).copied().unwrap_or(first);
    // For each beginning of `wanted`, how much of it is at its own end as well.
    let mut borders = vec![0_usize];
    let border = |borders: &[usize], matched: usize| borders.get(matched.wrapping_sub(1)).copied().unwrap_or(0);
    for index in 1..wanted.len() {
        let mut matched = border(&borders, index);
        while matched > 0 && at(matched) != at(index) {
            matched = border(&borders, matched);
        }
        borders.push(matched + usize::from(at(matched) == at(index)));
    }
    let mut found = Vec::new();
    let mut matched = 0;
    for (index, &line) in lines.iter().enumerate() {
        while matched > 0 && (matched == wanted.len() || at(matched) != line) {
            matched = border(&borders, matched);
        }
        matched += usize::from(at(matched) == line);
        if matched == wanted.len() {
            found.push(index + 1 - matched);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_by_looking_at_each_place(
            lines in prop::collection::vec("[ab]", 0..20), wanted in prop::collection::vec("[ab]", 0..5)
        ) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
            let plainly: Vec<usize> = (0..=lines.len()).filter(|&at| lines[at..].starts_with(&wanted)).collect();
            prop_assert_eq!(all(&lines, &wanted), plainly);
        }
    }
}
