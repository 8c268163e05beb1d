//! From one row to examples.

use entropo_core::format::{Record, Row, Side};
use sha2::{Digest, Sha256};

use super::super::example::Example;
use super::super::sequence::Sequence;
use super::config::{DataConfig, Kind, TooLong};
use super::cut::Encoded;
use super::encode::{NoTokens, tokens_of};
use super::judgement::Judgements;
use crate::text::ChatFormat;

/// What all rows have in common.
pub(super) struct Rules<'a> {
    pub(super) kind: Kind,
    pub(super) config: &'a DataConfig,
    pub(super) chat: Option<&'a ChatFormat>,
    pub(super) max_tokens: usize,
    /// For [`Kind::Judgements`].
    pub(super) judgements: Option<Judgements>,
}

/// What a row gave.
#[derive(Default)]
pub(super) struct Made {
    pub(super) examples: Vec<Example>,
    /// Examples that it did not give: the reason to count, and the words.
    pub(super) dropped: Vec<(&'static str, String)>,
    pub(super) cut: usize,
    pub(super) cut_turns: usize,
}

/// Why there is no example: the reason to count, and the words.
type Dropped = (&'static str, String);

impl Rules<'_> {
    /// The examples of one row, called `name` if it has no name itself.
    pub(super) fn examples(&self, row: &Row, name: &str) -> Made {
        let mut made = Made::default();
        let id = row.id.as_deref().unwrap_or(name);
        let found = match (self.kind, &row.record) {
            (Kind::Demonstrations, Record::Demonstration(side) | Record::Preference { chosen: side, .. })
            | (Kind::Demonstrations, Record::Labelled { side, desirable: true }) => {
                vec![self.sequence(side, id, &mut made).map(Example::Demonstration)]
            }
            (Kind::Demonstrations, Record::Labelled { desirable: false, .. }) => {
                vec![Err(("labelled undesirable", "it is not to be imitated".to_owned()))]
            }
            (Kind::Pairs, Record::Preference { chosen, rejected }) => vec![self.pair(chosen, rejected, id, &mut made)],
            (Kind::Labels, Record::Labelled { side, desirable }) => {
                vec![self.labelled(side, *desirable, id.to_owned(), &mut made)]
            }
            (Kind::Labels, Record::Preference { chosen, rejected }) => {
                [("chosen", chosen, true), ("rejected", rejected, false)]
                    .map(|(which, side, desirable)| self.labelled(side, desirable, format!("{id}/{which}"), &mut made))
                    .into()
            }
            (Kind::Judgements, Record::Labelled { side, desirable }) => vec![self.judgement(side, *desirable, id)],
            (Kind::Judgements, Record::Preference { chosen, rejected }) => {
                [("chosen", chosen, true), ("rejected", rejected, false)]
                    .map(|(which, side, right)| self.judgement(side, right, &format!("{id}/{which}")))
                    .into()
            }
            _ => vec![Err(("of another kind", format!("it is no source of {}", self.kind.name())))],
        };
        for example in found {
            match example {
                Ok(example) => made.examples.push(example),
                Err((reason, words)) => made.dropped.push((reason, format!("{name}: {words}"))),
            }
        }
        made
    }

    fn pair(&self, chosen: &Side, rejected: &Side, id: &str, made: &mut Made) -> Result<Example, Dropped> {
        let chosen = self.sequence(chosen, &format!("{id}/chosen"), made)?;
        let rejected = self.sequence(rejected, &format!("{id}/rejected"), made)?;
        if chosen.ids() == rejected.ids() && chosen.actions() == rejected.actions() {
            return Err(("pairs of equal sides", "both sides are the same tokens".to_owned()));
        }
        Ok(Example::Preference { chosen, rejected })
    }

    fn labelled(&self, side: &Side, desirable: bool, id: String, made: &mut Made) -> Result<Example, Dropped> {
        Ok(Example::Labelled { sequence: self.sequence(side, &id, made)?, desirable })
    }

    fn judgement(&self, side: &Side, is_right: bool, id: &str) -> Result<Example, Dropped> {
        let Some(judgements) = &self.judgements else { return Err(no_tokens(&NoTokens::NoTokenizer)) };
        let [right, wrong] =
            judgements.of(side, is_right, self.chat, self.max_tokens).map_err(|error| no_tokens(&error))?;
        if right.needed().max(wrong.needed()) > self.max_tokens {
            return Err(self.too_long(right.needed()));
        }
        let named = |encoded: Encoded, which: &str| sequence(encoded, format!("{id}/{which}"));
        Ok(Example::Preference { chosen: named(right, "right")?, rejected: named(wrong, "wrong")? })
    }

    fn sequence(&self, side: &Side, id: &str, made: &mut Made) -> Result<Sequence, Dropped> {
        let mut encoded = tokens_of(side, self.chat).map_err(|error| no_tokens(&error))?;
        let needed = encoded.needed();
        if needed > self.max_tokens {
            let lost = match self.config.too_long {
                TooLong::Drop => None,
                TooLong::Cut => encoded.cut(self.max_tokens),
            };
            made.cut_turns += lost.ok_or_else(|| self.too_long(needed))?;
            made.cut += 1;
        }
        encoded.ids.truncate(encoded.needed());
        sequence(encoded, id.to_owned())
    }

    fn too_long(&self, tokens: usize) -> Dropped {
        ("too long", format!("{tokens} tokens, and at most {} are allowed", self.max_tokens))
    }
}

fn sequence(encoded: Encoded, id: String) -> Result<Sequence, Dropped> {
    let mask = encoded.mask();
    if encoded.ids.iter().any(|id| *id > i32::MAX as u32) {
        return Err(("with impossible tokens", "a token id of 2^31 or more".to_owned()));
    }
    Sequence::new(id, encoded.ids, mask).map_err(|error| ("without an action token", error.to_string()))
}

fn no_tokens(error: &NoTokens) -> Dropped {
    (error.reason(), error.to_string())
}

/// What stays together if the row does not say: whatever answers the same prompt.
pub(super) fn group(example: &Example) -> String {
    let mut hash = Sha256::new();
    if let Some(sequence) = example.sequences().next() {
        let prompt = sequence.actions().iter().take_while(|action| !**action).count();
        sequence.ids().iter().take(prompt).for_each(|id| hash.update(id.to_le_bytes()));
    }
    format!("{:x}", Prefix(hash.finalize().into()))
}

/// Whether two examples are the same, but for their names.
pub(super) fn fingerprint(example: &Example) -> [u8; 16] {
    let mut hash = Sha256::new();
    for sequence in example.sequences() {
        hash.update((sequence.ids().len() as u64).to_le_bytes());
        for (id, action) in sequence.ids().iter().zip(sequence.actions()) {
            hash.update(id.to_le_bytes());
            hash.update([u8::from(*action)]);
        }
    }
    hash.update([u8::from(matches!(example, Example::Labelled { desirable: true, .. }))]);
    Prefix(hash.finalize().into()).bytes()
}

/// The first half of a hash.
struct Prefix([u8; 32]);

impl Prefix {
    fn bytes(&self) -> [u8; 16] {
        self.0.first_chunk().copied().unwrap_or_default()
    }
}

impl std::fmt::LowerHex for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
