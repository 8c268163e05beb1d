//! Paths that no patch may name.
//!
//! `git apply` takes no path below `.git`; `patch` takes any, and follows links. So this looks at every line that either of
//! them may take a path from, and takes too much for a path rather than too little.

/// What lines begin with that name files, in patches of git and of `patch`, which takes indented ones, too.
const HEADERS: [&str; 10] =
    ["diff ", "--- ", "+++ ", "*** ", "Index: ", "Prereq: ", "rename ", "copy ", "Binary ", "similarity "];

/// How a line ends that tells of a link.
const LINK: &str = " 120000";

/// Why a patch is refused before it is tried: what it names of git's own files, or below this directory of the repository.
pub(super) fn refused(patch: &str, directory: Option<&str>) -> Option<String> {
    // What a link leads to is in the lines of the file that it is for git.
    let has_links = patch.lines().any(is_link);
    let named = patch.lines().filter(|line| has_links || is_header(line)).flat_map(paths);
    for path in named {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let is_git = parts.iter().any(|part| part.eq_ignore_ascii_case(".git"));
        if is_git || parts.iter().take(2).any(|part| Some(*part) == directory) {
            return Some(format!("the patch names {path:?}, which no patch may touch"));
        }
    }
    None
}

fn is_link(line: &str) -> bool {
    let line = line.trim();
    line.ends_with(LINK) && ["new ", "old ", "index "].iter().any(|word| line.starts_with(word))
}

fn is_header(line: &str) -> bool {
    let line = line.trim_start();
    HEADERS.iter().any(|word| line.strip_prefix(word.trim_end()).is_some_and(|rest| rest.starts_with([' ', '\t'])))
}

/// The words of a line that can be paths, as they are and without quotes and escapes.
fn paths(line: &str) -> impl Iterator<Item = String> {
    // What marks a line of a link's target.
    let line = unescaped(line.trim_start_matches(['+', '-', ' ']));
    let words: Vec<String> =
        line.split(|letter: char| letter.is_whitespace() || letter == '"').map(str::to_owned).collect();
    words.into_iter().filter(|word| !word.is_empty())
}

/// With `\056` and its like as the letters that they stand for.
fn unescaped(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let letter = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(u8::is_ascii);
        match letter {
            Some(letter) => {
                plain.push(char::from(letter));
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                plain.push('\\');
                rest = after;
            }
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gits_own_is_named_in_any_way() {
        for patch in [
            "diff --git a/.git/index.lock b/.git/index.lock\nnew file mode 100644\n",
            "--- /dev/null\n+++ b/.git/index.lock\n@@ -0,0 +1 @@\n+x\n",
            "  --- /dev/null\n  +++\tb/module/.git\t2026\n",
            "--- /dev/null\n+++ \"b/\\056git/hooks/post-checkout\"\n",
            "*** a/.git//config\n--- b/x\n",
            "Index: ./.git/config\n",
            "rename from a\nrename to .git/index.lock\n",
            "+++ b/.GIT/x\n",
            "diff --git a/x b/x\nnew file mode 120000\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+.git\n",
            "diff --git a/x b/x\nindex 1234567..89abcde 120000\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-y\n+./.git\n",
        ] {
            assert!(refused(patch, None).is_some_and(|why| why.to_lowercase().contains(".git")), "{patch}");
        }
        for patch in [
            "",
            "--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n-a\n+limit = 120000\n+\".git\"\n",
            "--- a/.gitignore\n+++ b/.gitignore\n@@ -1 +1 @@\n-.git\n+.git/index\n",
            "diff --git a/.github/x b/.github/x\n--- a/.github/x\n+++ b/a.git/x\n",
            "diff --git a/x b/x\nnew file mode 120000\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+y\n",
        ] {
            assert_eq!(refused(patch, None), None, "{patch}");
        }
    }

    #[test]
    fn a_directory_is_one_of_the_repository_itself() {
        let patch = |path: &str| format!("diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n");
        assert!(refused(&patch(".venv/bin/git"), Some(".venv")).is_some());
        assert_eq!(refused(&patch(".venv/bin/git"), None), None);
        for path in ["tests/data/.venv/x", ".venvs/x", "venv/x"] {
            assert_eq!(refused(&patch(path), Some(".venv")), None, "{path}");
        }
    }
}
