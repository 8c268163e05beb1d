//! An attempt that is too long loses what tools answered, turn by turn.

use serde::{Deserialize, Serialize};

use super::missing::MissingScore;
use super::transcript::{Answered, Transcript};

/// What was left out of an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condensed {
    /// Turns whose answers were left out, the oldest ones.
    pub turns: usize,
    /// The answers in these turns.
    pub observations: usize,
    /// Their bytes.
    pub bytes: usize,
}

impl Condensed {
    fn of(turns: &[Answered]) -> Self {
        turns.iter().fold(Self::default(), |sum, turn| Self {
            turns: sum.turns + 1,
            observations: sum.observations + turn.observations,
            bytes: sum.bytes + turn.bytes,
        })
    }
}

/// The text of an attempt of `steps` turns without the answers of so many of its oldest turns that it fits `budget` by `count`,
/// if there is such a number. The last `keep` turns lose nothing.
///
/// It is the smallest such number where leaving out one turn more never counts more. Answers that are no longer than what
/// would stand for them stay, so bytes never do; but a short answer may have fewer tokens than `[omitted]`, and then more
/// turns than had to may go.
pub(super) fn fitting(
    transcript: &Transcript,
    [steps, keep]: [usize; 2],
    budget: usize,
    mut count: impl FnMut(&str) -> Result<usize, MissingScore>,
) -> Result<(String, Condensed), MissingScore> {
    let mut turns = transcript.answered();
    turns.retain(|turn| turn.turn + keep <= steps);
    let mut without = |oldest: usize| {
        let without = turns.get(..oldest).unwrap_or_default();
        let text = transcript.text(without);
        Ok::<_, MissingScore>((count(&text)?, text, Condensed::of(without)))
    };
    // First of all the whole text is tried, for most attempts fit.
    let (mut found, mut open, mut middle) = (None, 0..turns.len() + 1, 0);
    while !open.is_empty() {
        let (tokens, text, condensed) = without(middle)?;
        if tokens <= budget {
            found = Some((text, condensed));
            open.end = middle;
        } else {
            open.start = middle + 1;
        }
        middle = open.start + open.len() / 2;
    }
    if let Some(found) = found {
        return Ok(found);
    }
    // Halves pass over what fits where the count goes up again.
    let mut shortest = None;
    for oldest in 0..=turns.len() {
        let (tokens, text, condensed) = without(oldest)?;
        if tokens <= budget {
            return Ok((text, condensed));
        }
        shortest = shortest.filter(|(least, _)| *least < tokens).or(Some((tokens, condensed)));
    }
    let (tokens, condensed) = shortest.unwrap_or_default();
    Err(MissingScore::TooLong { tokens, budget, condensed })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::marks::Marks;
    use super::super::transcript::tests::attempt;
    use super::*;

    fn bytes(text: &str) -> Result<usize, MissingScore> {
        Ok(text.len())
    }

    /// A counter like a tokenizer's, to which `[omitted]` is more than a short answer.
    fn words(text: &str) -> Result<usize, MissingScore> {
        Ok(text.split_whitespace().count() + 4 * text.matches("[omitted]").count())
    }

    fn answers() -> impl Strategy<Value = Vec<Vec<String>>> {
        let answer = prop_oneof!["[a-z\n]{0,60}", "[a-z ]{0,20}\n{0,60}"];
        prop::collection::vec(prop::collection::vec(answer, 0..3), 0..8)
    }

    #[test]
    fn the_oldest_turns_go_first_and_whole() {
        let long = |letter: &str| letter.repeat(50);
        let trajectory = attempt(&[vec![long("a"), long("b")], vec![long("c")], vec![long("d")]]);
        let transcript = Transcript::of(&trajectory, &Marks::default());
        let whole = transcript.text(&[]).len();
        let (text, condensed) = fitting(&transcript, [3, 1], whole - 1, bytes).unwrap();
        assert_eq!(condensed, Condensed { turns: 1, observations: 2, bytes: 100 });
        assert!(text.contains("[TOOL]\n[omitted]\n\n[TOOL]\n[omitted]\n") && text.contains(&long("c")), "{text}");
        assert!(!text.contains(&long("a")) && !text.contains(&long("b")));
        let error = fitting(&transcript, [3, 1], 10, bytes).unwrap_err();
        let MissingScore::TooLong { tokens, budget: 10, condensed } = error else { panic!("{error}") };
        assert_eq!((condensed.turns, tokens), (2, whole - 3 * (50 - "[omitted]".len())), "the last turn stays");
    }

    #[test]
    fn what_fits_is_found_behind_an_answer_that_is_shorter_than_what_stands_for_it() {
        let answers = [vec!["x".repeat(100)], vec!["\n".repeat(50)], vec!["y".to_owned()]];
        let trajectory = attempt(&answers);
        let transcript = Transcript::of(&trajectory, &Marks::default());
        let budget = transcript.text(&[]).len() - 100 + "[omitted]".len();
        let (text, condensed) = fitting(&transcript, [3, 1], budget, bytes).unwrap();
        assert_eq!((text.len(), condensed), (budget, Condensed { turns: 1, observations: 1, bytes: 100 }));
        // In words, the second turn is shorter than what would stand for it, though not in bytes.
        let trajectory = attempt(&[vec!["x ".repeat(100)], vec!["a-long-single-word".to_owned()], vec![]]);
        let transcript = Transcript::of(&trajectory, &Marks::default());
        let budget = words(&transcript.text(&[])).unwrap() - 95;
        let (_, condensed) = fitting(&transcript, [3, 1], budget, words).unwrap();
        assert_eq!(condensed.turns, 1);
        let error = fitting(&transcript, [3, 1], budget - 1, words).unwrap_err();
        let MissingScore::TooLong { tokens, condensed, .. } = error else { panic!("{error}") };
        assert_eq!((tokens, condensed.turns), (budget, 1), "the shortest, not the one with the least in it");
    }

    proptest! {
        #[test]
        fn nothing_that_fits_is_refused(
            answers in answers(), keep in 0usize..4, place in any::<prop::sample::Index>(), over in 0usize..3,
        ) {
            let trajectory = attempt(&answers);
            let (transcript, steps) = (Transcript::of(&trajectory, &Marks::default()), trajectory.steps());
            let mut candidates = transcript.answered();
            candidates.retain(|turn| turn.turn + keep <= steps);
            for count in [bytes, words] {
                let lengths: Vec<usize> =
                    (0..=candidates.len()).map(|oldest| count(&transcript.text(&candidates[..oldest])).unwrap()).collect();
                let budget = place.get(&lengths).saturating_sub(over);
                match fitting(&transcript, [steps, keep], budget, count) {
                    Ok((text, condensed)) => {
                        prop_assert_eq!(&text, &transcript.text(&candidates[..condensed.turns]));
                        prop_assert!(count(&text).unwrap() <= budget);
                    }
                    Err(MissingScore::TooLong { tokens, .. }) => {
                        prop_assert!(tokens > budget && Some(&tokens) == lengths.iter().min(), "{:?} {}", lengths, budget);
                    }
                    Err(error) => prop_assert!(false, "{error}"),
                }
            }
        }

        #[test]
        fn condensing_keeps_what_it_must_and_takes_no_more_than_it_needs(
            answers in answers(), keep in 0usize..4, budget in 0usize..800,
        ) {
            let trajectory = attempt(&answers);
            let (transcript, steps) = (Transcript::of(&trajectory, &Marks::default()), trajectory.steps());
            let mut candidates = transcript.answered();
            candidates.retain(|turn| turn.turn + keep <= steps);
            match fitting(&transcript, [steps, keep], budget, bytes) {
                Ok((text, condensed)) => {
                    prop_assert!(text.len() <= budget);
                    prop_assert_eq!(&text, &transcript.text(&candidates[..condensed.turns]), "the oldest, whole");
                    prop_assert_eq!(text.matches("[omitted]").count(), condensed.observations);
                    if let Some(fewer) = condensed.turns.checked_sub(1) {
                        prop_assert!(transcript.text(&candidates[..fewer]).len() > budget, "one turn fewer fits too");
                    }
                    // What the policy wrote, the last turns' answers and the patch are there as they were.
                    for turn in 0..steps {
                        let said = format!("Step {turn}.");
                        prop_assert!(text.contains(&said));
                    }
                    for answer in answers.iter().rev().take(keep).flatten() {
                        prop_assert!(text.contains(answer.trim_end_matches('\n')));
                    }
                    prop_assert!(text.ends_with("[PATCH]\n--- a/x\n+++ b/x\n"));
                }
                Err(MissingScore::TooLong { tokens, condensed, .. }) => {
                    prop_assert_eq!(condensed.turns, candidates.len());
                    prop_assert!(tokens > budget && tokens == transcript.text(&candidates).len());
                }
                Err(error) => prop_assert!(false, "{error}"),
            }
        }
    }
}
