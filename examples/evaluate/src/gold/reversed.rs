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
