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

/// The text of an attempt of `steps` turns with as few turns' answers left out as make it fit `budget` by `count`. The last
/// `keep` turns lose nothing.
pub(super) fn fitting(
    transcript: &Transcript,
    [steps, keep]: [usize; 2],
    budget: usize,
    mut count: impl FnMut(&str) -> Result<usize, MissingScore>,
) -> Result<(String, Condensed), MissingScore> {
    let mut turns = transcript.answered();
    turns.retain(|turn| turn.turn + keep <= steps);
    // A text without the answers of more turns is shorter, so the fewest that must go are found by halves; first of all the
    // whole text is tried, for most attempts fit, and last of all, if nothing else fits, the shortest.
    let (mut found, mut open) = (None, 0..turns.len() + 1);
    let (mut middle, mut tokens) = (0, 0);
    while !open.is_empty() {
        let without = turns.get(..middle).unwrap_or_default();
        let text = transcript.text(without);
        tokens = count(&text)?;
        if tokens <= budget {
            found = Some((text, Condensed::of(without)));
            open.end = middle;
        } else {
            open.start = middle + 1;
        }
        middle = open.start + open.len() / 2;
    }
    found.ok_or_else(|| MissingScore::TooLong { tokens, budget, condensed: Condensed::of(&turns) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::transcript::tests::attempt;
    use super::*;

    fn bytes(text: &str) -> Result<usize, MissingScore> {
        Ok(text.len())
    }

    fn answers() -> impl Strategy<Value = Vec<Vec<String>>> {
        prop::collection::vec(prop::collection::vec("[a-z\n]{0,60}", 0..3), 0..8)
    }

    #[test]
    fn the_oldest_turns_go_first_and_whole() {
        let long = |letter: &str| letter.repeat(50);
        let trajectory = attempt(&[vec![long("a"), long("b")], vec![long("c")], vec![long("d")]]);
        let transcript = Transcript::of(&trajectory);
        let whole = transcript.text(&[]).len();
        let (text, condensed) = fitting(&transcript, [3, 1], whole - 1, bytes).unwrap();
        assert_eq!(condensed, Condensed { turns: 1, observations: 2, bytes: 100 });
        assert!(text.contains("[TOOL]\n[omitted]\n\n[TOOL]\n[omitted]\n") && text.contains(&long("c")), "{text}");
        assert!(!text.contains(&long("a")) && !text.contains(&long("b")));
        let error = fitting(&transcript, [3, 1], 10, bytes).unwrap_err();
        let MissingScore::TooLong { tokens, budget: 10, condensed } = error else { panic!("{error}") };
        assert_eq!((condensed.turns, tokens), (2, whole - 3 * (50 - "[omitted]".len())), "the last turn stays");
    }

    proptest! {
        #[test]
        fn condensing_keeps_what_it_must_and_takes_no_more_than_it_needs(
            answers in answers(), keep in 0usize..4, budget in 0usize..800,
        ) {
            let trajectory = attempt(&answers);
            let (transcript, steps) = (Transcript::of(&trajectory), trajectory.steps());
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
