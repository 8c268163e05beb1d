//! The words that tasks are made of.
//!
//! Every word is short, lower-case and of letters only, occurs in one pool only, and is neither a shell keyword nor a
//! command. A tokenizer can thus hold each as one token, which makes copying a name a matter of copying one token, and
//! a search for a name finds that name and nothing else. A [`Difficulty`](super::Difficulty) uses the first few words
//! of each pool, so a wider setting contains the narrower one.

/// Stems of the files under `lib/`.
pub const FILES: [&str; 32] = [
    "mill", "barn", "lake", "cabin", "river", "tower", "garden", "chapel", "forest", "meadow", "valley", "castle",
    "cellar", "hangar", "island", "desert", "canyon", "village", "market", "temple", "harbor", "palace", "orchard",
    "prairie", "glacier", "lagoon", "museum", "station", "tavern", "kitchen", "arena", "stable",
];

/// Names of argument variables.
pub const VARIABLES: [&str; 12] =
    ["item", "part", "unit", "base", "rate", "edge", "gap", "span", "load", "share", "point", "piece"];

/// Names of the variable that holds a function's result.
pub const RESULTS: [&str; 4] = ["out", "total", "final", "reply"];

/// Text arguments of calls.
pub const WORDS: [&str; 12] =
    ["oak", "elm", "fir", "rye", "yam", "bean", "plum", "lime", "pear", "kiwi", "mint", "corn"];

pub(super) const DISCOUNT: [&str; 6] = ["discount", "markdown", "rebate", "bargain", "coupon", "reduce"];
pub(super) const MEAN: [&str; 6] = ["mean", "middle", "center", "halfway", "average", "balance"];
pub(super) const PAGES: [&str; 6] = ["pages", "boxes", "crates", "batches", "trays", "shelves"];
pub(super) const DELAY: [&str; 6] = ["delay", "retry", "pause", "backoff", "linger", "cooldown"];
pub(super) const FEE: [&str; 6] = ["fee", "toll", "duty", "levy", "tariff", "charge"];
pub(super) const ABOVE: [&str; 6] = ["above", "beyond", "exceeds", "surpass", "outrank", "higher"];
pub(super) const PAD: [&str; 6] = ["pad", "ticket", "serial", "badge", "digits", "invoice"];
pub(super) const NTH: [&str; 6] = ["seat", "slot", "lane", "desk", "locker", "booth"];
pub(super) const STEM: [&str; 6] = ["stem", "bare", "trunk", "title", "heading", "caption"];
pub(super) const JOIN: [&str; 6] = ["combine", "attach", "connect", "extend", "unite", "chain"];
pub(super) const PORT: [&str; 6] = ["dial", "listen", "contact", "reach", "visit", "greet"];
pub(super) const SNAP: [&str; 6] = ["align", "settle", "nearest", "stride", "chunk", "notch"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::process::Command;

    use super::super::families::FAMILIES;
    use super::*;

    /// Words that scripts and calls contain anyway.
    const FIXED: [&str; 12] =
        ["lib", "test", "check", "got", "want", "count", "failed", "yes", "no", "txt", "prints", "expected"];

    #[test]
    fn words_are_plain_distinct_and_no_commands() {
        let functions = FAMILIES.iter().flat_map(|family| family.names);
        let all: Vec<&str> = functions.chain(FILES).chain(VARIABLES).chain(RESULTS).chain(WORDS).chain(FIXED).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "a word occurs twice");
        let names = &all[..all.len() - FIXED.len()];
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase())));
        let script: String = names.iter().map(|name| format!("command -v {name}\n")).collect();
        let found = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&found.stdout), "", "these are commands");
    }
}
