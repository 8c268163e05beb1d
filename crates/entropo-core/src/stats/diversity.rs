//! How many different solutions a policy finds.
//!
//! Ninety equal patches and ten others are not eleven ideas. The effective number of kinds is exp(H) of the Shannon
//! entropy H = -sum p ln p of their shares p: the number of equally common kinds with the same entropy (Hill 1973,
//! *Diversity and Evenness*, the number of order 1). It is 1 if all are of one kind and the number of kinds if all are
//! equally common.

use std::collections::BTreeMap;

/// exp(H) of how often each kind occurred, between 1 and the number of kinds that occurred; 0 if nothing did.
pub fn effective_number(counts: impl IntoIterator<Item = usize>) -> f64 {
    let counts: Vec<f64> = counts.into_iter().filter(|&count| count > 0).map(|count| count as f64).collect();
    if counts.is_empty() {
        return 0.0;
    }
    let total: f64 = counts.iter().sum();
    let entropy: f64 = counts.iter().map(|count| count / total * (total / count).ln()).sum();
    entropy.exp().clamp(1.0, counts.len() as f64) // rounding may leave the range by a last digit
}

/// How often each [normalised](normalise_patch) patch occurs. Empty patches are a kind of their own; filter them out
/// to count changes only.
///
/// ```
/// use entropo_core::stats::{count_patches, effective_number};
///
/// let patches = ["@@ -1 +1 @@\n-a\n+b\n", "@@ -9 +9 @@\n-a\n+b  \n", "@@ -1 +1 @@\n-a\n+c\n"];
/// let kinds = count_patches(patches);
/// assert_eq!(kinds.len(), 2);
/// assert!((effective_number(kinds.into_values()) - 1.89).abs() < 0.01);
/// ```
pub fn count_patches<'a>(patches: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for patch in patches {
        *kinds.entry(normalise_patch(patch)).or_default() += 1;
    }
    kinds
}

/// A git patch without what differs between equal changes: `index` lines with their hashes, the positions and headings
/// of hunks, white space at the ends of lines and of the patch.
///
/// Lines of content begin with a space, `+`, `-` or `\`, so none is mistaken for a header.
pub fn normalise_patch(patch: &str) -> String {
    let lines = patch.lines().filter(|line| !line.starts_with("index "));
    let kept: Vec<&str> = lines.map(|line| if line.starts_with("@@ ") { "@@" } else { line.trim_end() }).collect();
    kept.join("\n").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_kinds_count_fully_and_absent_ones_not_at_all() {
        assert_eq!(effective_number([]), 0.0);
        assert_eq!(effective_number([0, 0]), 0.0);
        assert_eq!(effective_number([5, 0]), 1.0);
        assert!((effective_number([3, 3, 3, 0]) - 3.0).abs() < 1e-12);
        // H = -(0.9 ln 0.9 + 0.1 ln 0.1) = 0.325083
        assert!((effective_number([90, 10]) - 0.325_083_f64.exp()).abs() < 1e-5);
    }

    #[test]
    fn only_accidents_are_normalised_away() {
        let patch = "diff --git a/x b/x\nindex 3f2a..9c01 100644\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@ fn main() {\n \
                     index kept\n-old\n+new \t\r\n\n";
        let moved = "diff --git a/x b/x\nindex 77aa..1b2c 100644\n--- a/x\n+++ b/x\n@@ -7,2 +9,2 @@\n \
                     index kept\n-old\n+new\n";
        assert_eq!(normalise_patch(patch), normalise_patch(moved));
        assert_eq!(normalise_patch(patch), "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@\n index kept\n-old\n+new");
        assert_ne!(normalise_patch(patch), normalise_patch(&patch.replace("+new", "+newer")));
        assert_ne!(normalise_patch(patch), normalise_patch(&patch.replace("b/x", "b/y")));
        assert_ne!(normalise_patch("@@ -1 +1 @@\n+  a"), normalise_patch("@@ -1 +1 @@\n+a"));
        assert_eq!(normalise_patch(""), "");
    }
}
