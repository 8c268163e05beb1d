//! A test that was kept.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A file of tests that fails on the code as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReproductionTest {
    /// Where it lies, relative to the workspace.
    pub path: String,
    /// What is in it.
    pub content: String,
    /// The tests in it that fail, by their whole names; those that pass before anything is changed do not count.
    pub fails: BTreeSet<String>,
}

impl ReproductionTest {
    /// What tells a test from others: the same content has the same.
    pub(super) fn id(content: &str) -> String {
        let digest = Sha256::digest(content.as_bytes());
        digest.iter().take(8).fold(String::new(), |id, byte| id + &format!("{byte:02x}"))
    }

    /// The patch in git's format that makes its file.
    pub fn patch(&self) -> String {
        let Self { path, content, .. } = self;
        let mut patch = format!("diff --git a/{path} b/{path}\nnew file mode 100644\n");
        let lines = content.split_inclusive('\n').count();
        // Writing to a String cannot fail.
        let _ = write!(patch, "--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{lines} @@\n");
        for line in content.split_inclusive('\n') {
            patch.push('+');
            patch.push_str(line);
        }
        if !content.ends_with('\n') {
            patch.push_str("\n\\ No newline at end of file\n");
        }
        patch
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Workspace;

    fn written(content: &str) -> Vec<u8> {
        let test = ReproductionTest { path: "a/b c.py".into(), content: content.into(), fails: BTreeSet::new() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let workspace = Workspace::from_files([("x", "", false)]).await.unwrap();
            workspace.apply(&test.patch()).await.unwrap();
            std::fs::read(workspace.root().join("a/b c.py")).unwrap()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_patch_makes_the_file(content in "([a-z+\\- @\\\\\t\r]|\n|é){1,40}") {
            prop_assert_eq!(written(&content), content.as_bytes());
        }
    }

    #[test]
    fn a_name_follows_from_the_content() {
        assert_eq!(ReproductionTest::id("a"), "ca978112ca1bbdca");
        assert_ne!(ReproductionTest::id("a"), ReproductionTest::id("a\n"));
    }
}
