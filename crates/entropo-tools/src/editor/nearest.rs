//! What to tell a model whose text is not in the file: the lines it probably meant.

use similar::TextDiff;

/// Lines of the wanted text that are compared and shown.
const COMPARED_LINES: usize = 5;
/// Lines of the file that are compared.
const SEARCHED_LINES: usize = 2000;
/// Characters of a line that are compared and shown.
const COMPARED_CHARS: usize = 200;
/// How alike lines must be to be shown, from 0 to 1.
const ALIKE: f32 = 0.6;

/// The message that `wanted` is not in the file, with the most similar lines if there are any.
pub(super) fn not_found(name: &str, text: &str, wanted: &str) -> String {
    let wanted: Vec<&str> = wanted.lines().skip_while(|line| line.trim().is_empty()).take(COMPARED_LINES).collect();
    let lines: Vec<&str> = text.lines().take(SEARCHED_LINES).collect();
    let mut best = (ALIKE, None);
    for (at, window) in lines.windows(wanted.len().clamp(1, lines.len().max(1))).enumerate() {
        let alike = likeness(window, &wanted);
        if alike > best.0 {
            best = (alike, Some((at, window)));
        }
    }
    let mut message = format!("old_str not found in {name}.");
    if let (_, Some((at, window))) = best {
        message.push_str(" The nearest:");
        for (line, number) in window.iter().zip(at + 1..) {
            message.push_str(&format!("\n{number}\t{}", start(line)));
        }
    }
    message
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
    fn similar_lines_are_shown_with_their_numbers() {
        let text = "one\n\n  total=$((a + b))\n  echo \"$total\"\nend\n";
        assert_eq!(
            not_found("f", text, "total=$((a - b))\necho \"$total\""),
            "old_str not found in f. The nearest:\n3\t  total=$((a + b))\n4\t  echo \"$total\""
        );
        assert_eq!(
            not_found("f", text, "    total=$((a + b))"),
            "old_str not found in f. The nearest:\n3\t  total=$((a + b))"
        );
    }

    #[test]
    fn without_any_nothing_is_shown() {
        for (text, wanted) in [("one\ntwo\n", "quite unlike"), ("", "x"), ("x\n", "\n\n"), ("a\n", "a\nb\nc\nd")] {
            assert_eq!(not_found("f", text, wanted), "old_str not found in f.", "{wanted:?}");
        }
    }
}
