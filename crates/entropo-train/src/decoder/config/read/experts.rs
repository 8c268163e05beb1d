//! The keys that families with experts share.

use super::super::ConfigError;
use super::super::keys::Keys;

/// Experts that a configuration may ask for.
const MOST_EXPERTS: usize = 1 << 16;

/// How many experts there are, by the family's own name for it or by that of transformers 5.
pub(super) fn count(keys: &Keys<'_>, name: &'static str) -> Result<usize, ConfigError> {
    let key = keys.either(name, "num_local_experts")?;
    keys.within(key, 128, 0..=MOST_EXPERTS, "an integer from 0 to 65536")
}

/// How many of them a token sees.
pub(super) fn chosen(keys: &Keys<'_>, experts: usize) -> Result<usize, ConfigError> {
    let chosen = keys.count("num_experts_per_tok", 8)?;
    if chosen <= experts { Ok(chosen) } else { Err(keys.wrong("num_experts_per_tok", "at most the number of experts")) }
}
