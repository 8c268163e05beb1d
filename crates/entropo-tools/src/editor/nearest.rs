//! What to tell a model whose text is not in the file: the lines it probably meant, and how they differ.
//!
//! What differs is often only blanks, which no one can tell apart where they are printed as they are. The first line
//! that differs is therefore shown once more from both sides, with its blanks made visible.

use similar::TextDiff;

/// Lines of the wanted text that are compared and shown.
const COMPARED_LINES: usize = 5;
/// Places that are shown.
const SHOWN: usize = 3;
/// Characters of a line that are compared and shown.
const COMPARED_CHARS: usize = 200;
/// How alike lines must be to be shown, from 0 to 1.
const ALIKE: f32 = 0.6;
/// Lines of the file whose letters are looked at.
const SEARCHED_LINES: usize = 500_000;
/// Places that are compared letter by letter, those with the most letters in common; it takes longest.
const COMPARED_PLACES: usize = 2000;

/// The message that `wanted` is not in the file, with the most similar lines if there are any.
pub(super) fn not_found(name: &str, text: &str, wanted: &str) -> String {
    let wanted: Vec<&str> = wanted.lines().skip_while(|line| line.trim().is_empty()).take(COMPARED_LINES).collect();
    let lines: Vec<&str> = text.lines().collect();
    let mut message = format!("old_str not found in {name}.");
    let places = nearest(&lines, &wanted);
    if !places.is_empty() {
        message.push_str(" The nearest:");
    }
    for at in places {
        let window = || lines.iter().skip(at).take(wanted.len()).zip(at + 1..);
        for (line, number) in window() {
            message.push_str(&format!("\n{number}\t{}", start(line)));
        }
        if let Some(((line, number), wanted)) = window().zip(&wanted).find(|((line, _), wanted)| line != wanted) {
            message.push_str(&difference(number, line, wanted));
        }
    }
    message
}

/// Where the most similar lines begin; of those that are as similar only as many as are shown.
fn nearest(lines: &[&str], wanted: &[&str]) -> Vec<usize> {
    let windows = || lines.windows(wanted.len().clamp(1, lines.len().max(1))).enumerate();
    // Lines that are the same but for blanks are found wherever they are, and then nothing else is meant.
    let blanks: Vec<usize> = windows()
        .filter(|(_, window)| !wanted.is_empty() && window.len() == wanted.len())
        .filter(|(_, window)| window.iter().zip(wanted).all(|(line, wanted)| same_letters(line, wanted)))
        .map(|(at, _)| at)
        .take(SHOWN)
        .collect();
    if !blanks.is_empty() {
        return blanks;
    }
    let letters: Vec<u128> = lines.iter().take(SEARCHED_LINES).map(|line| letters(line)).collect();
    let wanted_letters: Vec<u128> = wanted.iter().map(|line| self::letters(line)).collect();
    let mut places: Vec<(u32, usize, &[&str])> = windows()
        .take(SEARCHED_LINES)
        .map(|(at, window)| {
            let sets = letters.iter().skip(at).zip(&wanted_letters);
            (sets.map(|(a, b)| in_common(*a, *b)).sum(), at, window)
        })
        .filter(|&(common, _, _)| common > 0)
        .collect();
    places.sort_by_key(|&(common, at, _)| (u32::MAX - common, at));
    let mut best: Vec<(f32, usize)> = places
        .into_iter()
        .take(COMPARED_PLACES)
        .map(|(_, at, window)| (likeness(window, wanted), at))
        .filter(|&(alike, _)| alike > ALIKE)
        .collect();
    best.sort_by(|(a, first), (b, second)| b.total_cmp(a).then(first.cmp(second)));
    let Some(&(most, _)) = best.first() else { return Vec::new() };
    best.into_iter().take(SHOWN).filter(|&(alike, _)| alike >= most).map(|(_, at)| at).collect()
}

/// Which letters a line has; quicker to compare than the line.
fn letters(line: &str) -> u128 {
    start(line.trim()).bytes().fold(0, |set, byte| set | 1 << (byte & 0x7f))
}

/// How many of the letters of two lines are in both, of a thousand.
fn in_common(a: u128, b: u128) -> u32 {
    1000 * (a & b).count_ones() / (a | b).count_ones().max(1)
}

/// Whether lines are the same but for blanks, and have anything but blanks.
fn same_letters(line: &str, wanted: &str) -> bool {
    let mut letters = line.chars().filter(|letter| !letter.is_whitespace()).peekable();
    letters.peek().is_some() == wanted.chars().any(|letter| !letter.is_whitespace())
        && letters.eq(wanted.chars().filter(|letter| !letter.is_whitespace()))
}

/// The line of the file and the wanted one, one below the other, with blanks made visible.
fn difference(number: usize, line: &str, wanted: &str) -> String {
    let column = line.chars().zip(wanted.chars()).take_while(|(a, b)| a == b).count();
    // A difference that is far to the right is shown from a little before it.
    let skipped = column.saturating_sub(COMPARED_CHARS / 2);
    let shown = |text: &str| -> String { text.chars().skip(skipped).take(COMPARED_CHARS).map(visible).collect() };
    format!(
        "\nLine {number} differs from column {} on (· is a space, → a tab):\nfile:    {}\nold_str: {}",
        column + 1,
        shown(line),
        shown(wanted)
    )
}

fn visible(letter: char) -> char {
    match letter {
        ' ' => '·',
        '\t' => '→',
        '\r' => '␍',
        '\u{a0}' => '⍽',
        other => other,
    }
}

/// The mean likeness of lines side by side, from 0 to 1; a line without a counterpart counts 0.
fn likeness(window: &[&str], wanted: &[&str]) -> f32 {
    let sum: f32 = window.iter().zip(wanted).map(|(line, wanted)| line_likeness(line.trim(), wanted.trim())).sum();
    sum / wanted.len().max(1) as f32
}

fn line_likeness(line: &str, wanted: &str) -> f32 {
    if line == wanted {
        return 1.0;
    }
    if line.is_empty() || wanted.is_empty() {
        return 0.0;
    }
    TextDiff::from_chars(start(line), start(wanted)).ratio()
}

fn start(line: &str) -> &str {
    line.char_indices().nth(COMPARED_CHARS).map_or(line, |(end, _)| line.split_at(end).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_lines_are_shown_with_what_differs() {
        let text = "one\n\n  total=$((a + b))\n\techo \"$total\"\nend\n";
        assert_eq!(
            not_found("f", text, "total=$((a - b))\necho \"$total\""),
            "old_str not found in f. The nearest:\n3\t  total=$((a + b))\n4\t\techo \"$total\"\n\
             Line 3 differs from column 1 on (· is a space, → a tab):\n\
             file:    ··total=$((a·+·b))\nold_str: total=$((a·-·b))"
        );
        assert_eq!(
            not_found("f", text, "    echo \"$total\""),
            "old_str not found in f. The nearest:\n4\t\techo \"$total\"\n\
             Line 4 differs from column 1 on (· is a space, → a tab):\n\
             file:    →echo·\"$total\"\nold_str: ····echo·\"$total\""
        );
    }

    #[test]
    fn several_places_that_are_as_near_are_shown_wherever_they_are() {
        let text = format!("{}\tx = 1\n{}\tx = 1\n", "filler of some length\n".repeat(5000), "more\n".repeat(10));
        let message = not_found("f", &text, "  x = 1");
        assert!(message.contains("\n5001\t\tx = 1\nLine 5001 differs from column 1 on"), "{message}");
        assert!(message.contains("\n5012\t\tx = 1\n"), "{message}");
        assert!(!message.contains("filler"), "{message}");
        let fuzzy = not_found("f", &text.replace("x = 1", "total = first + second"), "total = first - second");
        assert!(fuzzy.contains("\n5001\t") && fuzzy.contains("\n5012\t"), "{fuzzy}");
    }

    #[test]
    fn without_any_nothing_is_shown() {
        for (text, wanted) in [("one\ntwo\n", "quite unlike"), ("", "x"), ("x\n", "\n\n"), ("a\n", "a\nb\nc\nd")] {
            assert_eq!(not_found("f", text, wanted), "old_str not found in f.", "{wanted:?}");
        }
    }
}
