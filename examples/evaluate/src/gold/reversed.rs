//! The patch that takes another one back.

/// A git patch, reversed. None of what moves files or is not text: what tells of it cannot just be turned around.
pub(super) fn reversed(patch: &str) -> Option<String> {
    let mut turned = String::new();
    let mut lines = patch.split_inclusive('\n').peekable();
    // How many lines of the old and of the new file are left of a hunk, in which a line can look like any other.
    let (mut old, mut new) = (0_usize, 0_usize);
    while let Some(line) = lines.next() {
        let within = old > 0 || new > 0;
        if within && !line.starts_with('\\') {
            let rest = line.get(1..).unwrap_or_default();
            match line.chars().next()? {
                '-' => (old, turned) = (old.checked_sub(1)?, turned + "+" + rest),
                '+' => (new, turned) = (new.checked_sub(1)?, turned + "-" + rest),
                ' ' | '\n' => (old, new, turned) = (old.checked_sub(1)?, new.checked_sub(1)?, turned + line),
                _ => return None,
            }
        } else if let Some(rest) = line.strip_prefix("@@ -") {
            let (from, rest) = rest.split_once(" +")?;
            let (to, rest) = rest.split_once(" @@")?;
            (old, new) = (length(from)?, length(to)?);
            turned += &format!("@@ -{to} +{from} @@{rest}");
        } else if let Some(from) = line.strip_prefix("--- ") {
            let to = lines.next()?.strip_prefix("+++ ")?;
            turned += &format!("--- {}+++ {}", side(to, "a/"), side(from, "b/"));
        } else if let Some(mode) = line.strip_prefix("old mode ") {
            let new = lines.next()?.strip_prefix("new mode ")?;
            turned += &format!("old mode {new}new mode {mode}");
        } else if let Some(mode) = line.strip_prefix("new file mode ") {
            turned += &format!("deleted file mode {mode}");
        } else if let Some(mode) = line.strip_prefix("deleted file mode ") {
            turned += &format!("new file mode {mode}");
        } else if let Some(rest) = line.strip_prefix("index ") {
            let (from, rest) = rest.split_once("..")?;
            let end = rest.find(|letter: char| !letter.is_ascii_hexdigit()).unwrap_or(rest.len());
            let (to, mode) = rest.split_at(end);
            turned += &format!("index {to}..{from}{mode}");
        } else if line.starts_with("diff --git ") || line.starts_with('\\') || line.trim().is_empty() {
            turned += line;
        } else {
            return None;
        }
    }
    (old == 0 && new == 0 && !turned.trim().is_empty()).then_some(turned)
}

/// A file under the other side's prefix.
fn side(file: &str, prefix: &str) -> String {
    match file.strip_prefix("a/").or_else(|| file.strip_prefix("b/")) {
        Some(path) => format!("{prefix}{path}"),
        None => file.to_owned(),
    }
}

/// The number of lines of a range such as `3,2`.
fn length(range: &str) -> Option<usize> {
    range.split_once(',').map_or(Some(1), |(_, length)| length.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use entropo_tools::Workspace;
    use proptest::prelude::*;

    use super::*;

    const PATCH: &str = "diff --git a/a.txt b/a.txt\nindex 1234567..89abcde 100644\n--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,4 @@ one\n one\n--- two\n+++ three\n+four\n five\ndiff --git a/new b/new\nnew file mode 100644\nindex 0000000..1234567\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+new\n\\ No newline at end of file\ndiff --git a/old b/old\ndeleted file mode 100644\nindex 1234567..0000000\n--- a/old\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\ndiff --git a/run b/run\nold mode 100644\nnew mode 100755\n";

    #[test]
    fn what_is_reversed_twice_is_the_same() {
        let turned = reversed(PATCH).unwrap();
        assert!(turned.contains("+-- two\n-++ three\n-four\n"), "{turned}");
        assert!(
            turned
                .contains("deleted file mode 100644\nindex 1234567..0000000\n--- a/new\n+++ /dev/null\n@@ -1 +0,0 @@")
        );
        assert!(turned.contains("old mode 100755\nnew mode 100644\n"), "{turned}");
        assert_eq!(reversed(&turned).unwrap(), PATCH);
    }

    #[tokio::test]
    async fn what_is_reversed_takes_back() {
        let files = tempfile::tempdir().unwrap();
        for (name, text) in [("a.txt", "one\n-- two\nfive\n"), ("old", "old\n"), ("run", "x\n")] {
            fs::write(files.path().join(name), text).unwrap();
        }
        let workspace = Workspace::copy_of(files.path()).await.unwrap();
        workspace.apply(PATCH).await.unwrap();
        assert!(workspace.root().join("new").exists());
        workspace.apply(&reversed(PATCH).unwrap()).await.unwrap();
        assert_eq!(workspace.patch().await.unwrap(), "");
    }

    /// Few lines, so that files have some in common, that look like parts of patches, and a last one that need not end.
    fn file() -> impl Strategy<Value = Option<String>> {
        let line = prop::sample::select(vec!["", "one", "-- a", "++ b", "- c", "+d", "@@ -1 +1 @@", "\\ no"]);
        let lines = (prop::collection::vec(line, 0..8), any::<bool>());
        let text = lines.prop_map(|(lines, ends)| lines.join("\n") + if ends { "\n" } else { "" });
        prop::option::of(text)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn any_change_is_taken_back(old in [file(), file()], new in [file(), file()]) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let files = ["a", "b"].into_iter().zip(&old).filter_map(|(name, text)| Some((name, text.clone()?, false)));
                let workspace = Workspace::from_files(files).await.unwrap();
                for (name, text) in ["a", "b"].into_iter().zip(&new) {
                    let path = workspace.root().join(name);
                    match text {
                        Some(text) => fs::write(path, text).unwrap(),
                        None => drop(fs::remove_file(path)),
                    }
                }
                let patch = workspace.patch().await.unwrap();
                match reversed(&patch) {
                    Some(turned) => {
                        workspace.apply(&turned).await.unwrap_or_else(|error| panic!("{error}\n{patch}\n{turned}"));
                        assert_eq!(workspace.patch().await.unwrap(), "", "{patch}\n{turned}");
                    }
                    None => assert!(patch.is_empty() || patch.contains("\nrename from "), "{patch}"),
                }
            });
        }
    }

    #[test]
    fn what_cannot_be_turned_around_is_nothing() {
        let cut = PATCH.split_once("+four").unwrap().0;
        for patch in
            ["", "\n", "words\n", "diff --git a/a b/b\nrename from a\nrename to b\n", "GIT binary patch\n", cut]
        {
            assert_eq!(reversed(patch), None, "{patch:?}");
        }
    }
}
