//! The probability that a judging model's reply says yes.
//!
//! A verifier is asked for `<judgement>YES</judgement>` or NO, and its score is p(YES) / (p(YES) + p(NO)) where it
//! wrote the word. That place is found by the text, never counted in tokens: how many a tag is depends on the
//! tokenizer. A reply without the tag, or whose likely tokens say neither, has no score.

/// One token of a reply and what else could have stood there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenChoices {
    /// The token's text.
    pub token: String,
    /// The likeliest tokens at its place with their natural log-probabilities, the token itself included if it is one.
    pub top: Vec<(String, f64)>,
}

/// What a judge is asked to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What stands before the word.
    pub tag: String,
    /// The word for yes.
    pub yes: String,
    /// The word for no.
    pub no: String,
}

impl Default for Judgement {
    /// `<judgement>YES` or `<judgement>NO`.
    fn default() -> Self {
        Self { tag: "<judgement>".to_owned(), yes: "YES".to_owned(), no: "NO".to_owned() }
    }
}

impl Judgement {
    /// p(yes) / (p(yes) + p(no)) after the last tag of a reply; `None` if there is no tag or neither word is likely
    /// enough to be listed.
    ///
    /// Tokens that begin the same word are added up. A word that is not listed is at most as likely as the least likely
    /// token that is, and is taken to be as likely, so that no probability is exactly 0 or 1.
    pub fn yes_probability(&self, reply: &[TokenChoices]) -> Option<f64> {
        let (place, before) = self.place(reply)?;
        let listed = place.top.iter().filter(|(_, logprob)| !logprob.is_nan() && *logprob <= 0.0);
        let words = listed.filter_map(|(token, logprob)| Some((token.strip_prefix(before)?.trim(), *logprob)));
        let words: Vec<(&str, f64)> = words.collect();
        let rarest = place.top.iter().map(|(_, logprob)| *logprob).filter(|logprob| !logprob.is_nan());
        let rarest = rarest.min_by(f64::total_cmp)?;
        let highest = words.iter().map(|(_, logprob)| *logprob).max_by(f64::total_cmp)?;
        let mass = |word: &str| -> Option<f64> {
            let own = words.iter().filter(|(token, _)| !token.is_empty() && word.starts_with(token));
            let sum: f64 = own.map(|(_, logprob)| (logprob - highest).exp()).sum();
            (sum > 0.0).then_some(sum)
        };
        let (yes, no) = (mass(&self.yes), mass(&self.no));
        let unlisted = (rarest - highest).exp();
        let (yes, no) = match (yes, no) {
            (None, None) => return None,
            (yes, no) => (yes.unwrap_or(unlisted), no.unwrap_or(unlisted)),
        };
        Some(yes / (yes + no)).filter(|probability| probability.is_finite())
    }

    /// The token in which the word begins, and what of it stands before the word.
    fn place<'a>(&self, reply: &'a [TokenChoices]) -> Option<(&'a TokenChoices, &'a str)> {
        let text: String = reply.iter().map(|choice| choice.token.as_str()).collect();
        let end = text.rfind(&self.tag)? + self.tag.len();
        let mut begin = 0;
        for choice in reply {
            let next = begin + choice.token.len();
            let before = choice.token.get(..end.saturating_sub(begin).min(choice.token.len()))?;
            let word = choice.token.get(before.len()..)?;
            if next > end && !word.trim().is_empty() {
                return Some((choice, before));
            }
            begin = next;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(tokens: &[&str], top: &[(&str, f64)]) -> Vec<TokenChoices> {
        let choices = tokens.iter().map(|token| {
            let top = if token.ends_with("YES") || *token == "NO" || *token == "Y" { top } else { &[] };
            let top = top.iter().map(|(token, share)| ((*token).to_owned(), share.ln())).collect();
            TokenChoices { token: (*token).to_owned(), top }
        });
        choices.collect()
    }

    fn probability(tokens: &[&str], top: &[(&str, f64)]) -> Option<f64> {
        Judgement::default().yes_probability(&reply(tokens, top))
    }

    #[test]
    fn the_word_is_found_however_the_tag_is_cut() {
        // 2.10 item 3: the fifth token, whatever it was.
        let top = [("YES", 0.6), ("NO", 0.2)];
        for tokens in [
            &["<", "judge", "ment", ">", "YES", "</judgement>"][..],
            &["<judgement>", "YES"],
            &["Let me see. <judgement> or so: ", "<judge", "ment>", "\n", "NO"],
        ] {
            assert!((probability(tokens, &top).unwrap() - 0.75).abs() < 1e-12, "{tokens:?}");
        }
        let merged = [(">YES", 0.6), (">NO", 0.2), (" x", 0.1)];
        assert!((probability(&["<judgement", ">YES"], &merged).unwrap() - 0.75).abs() < 1e-12);
        let parts = [("Y", 0.3), ("YES", 0.3), (" NO", 0.2)];
        assert!((probability(&["<judgement>", "Y", "ES"], &parts).unwrap() - 0.75).abs() < 1e-12);
    }

    #[test]
    fn what_was_not_said_has_no_probability() {
        // 2.10 item 3: neither token among the listed ones gave 0/0.
        assert_eq!(probability(&["<judgement>", "YES"], &[("MAYBE", 0.9), ("PERHAPS", 0.1)]), None);
        assert_eq!(probability(&["YES"], &[("YES", 1.0)]), None, "no tag");
        assert_eq!(probability(&["<judgement>"], &[]), None);
        assert_eq!(probability(&["<judgement>", "YES"], &[]), None);
        let one = probability(&["<judgement>", "YES"], &[("YES", 0.9), ("x", 0.1)]).unwrap();
        assert!((one - 0.9).abs() < 1e-12, "NO is at most as likely as x: {one}");
        let sure = Judgement::default();
        let broken = TokenChoices { token: "<judgement>YES".to_owned(), top: vec![("YES".to_owned(), f64::NAN)] };
        assert_eq!(sure.yes_probability(&[broken]), None);
    }
}
