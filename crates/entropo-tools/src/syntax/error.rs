//! Where a text does not parse, and which of that an edit brought.

use std::collections::HashMap;
use std::path::Path;

use tree_sitter::{Node, Tree};

use super::{Language, Limits, parse};

/// Errors of a text that are listed; more say nothing more.
const MAX_ERRORS: usize = 200;
/// Characters of a text that are shown.
const MAX_CHARS: usize = 40;

/// A place where a text does not parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// The number of the line, from 1.
    pub line: usize,
    /// The character in that line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub what: String,
}

impl std::fmt::Display for SyntaxError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}: {}", self.line, self.column, self.what)
    }
}

/// Where `text`, which is to stand in the file `path`, does not parse; nothing where its language is not known or the text
/// asks for too much.
#[must_use]
pub fn errors(path: impl AsRef<Path>, text: &str) -> Vec<SyntaxError> {
    let path = path.as_ref();
    let Some(language) = Language::of(path) else { return Vec::new() };
    let found = errors_in(language, text);
    // A header is in that of the two languages in which it makes more sense.
    match Language::alternative(path) {
        Some(other) if !found.is_empty() => {
            let others = errors_in(other, text);
            if others.len() < found.len() { others } else { found }
        }
        _ => found,
    }
}

/// The errors of `after` that `before` did not have.
///
/// An error is the same as one before if it is of the same kind on a line of the same text, wherever that line has moved
/// to. Where either text has so many errors that they are not all known, none is called new.
#[must_use]
pub fn introduced(path: impl AsRef<Path>, before: &str, after: &str) -> Vec<SyntaxError> {
    let path = path.as_ref();
    let found = errors(path, after);
    if found.is_empty() {
        return found;
    }
    let old = errors(path, before);
    if old.len() >= MAX_ERRORS || found.len() >= MAX_ERRORS && !old.is_empty() {
        return Vec::new();
    }
    let old_lines: Vec<&str> = before.lines().collect();
    let lines: Vec<&str> = after.lines().collect();
    let mut known: HashMap<(&str, &str), usize> = HashMap::new();
    for error in &old {
        *known.entry((&error.what, text_of(&old_lines, error))).or_default() += 1;
    }
    let mut new = Vec::new();
    for error in &found {
        match known.get_mut(&(error.what.as_str(), text_of(&lines, error))) {
            Some(left) if *left > 0 => *left -= 1,
            _ => new.push(error.clone()),
        }
    }
    new
}

fn text_of<'a>(lines: &[&'a str], error: &SyntaxError) -> &'a str {
    lines.get(error.line - 1).copied().unwrap_or_default().trim()
}

fn errors_in(language: Language, text: &str) -> Vec<SyntaxError> {
    match parse(language, text, Limits::default()) {
        Ok(tree) => collect(&tree, text),
        Err(error) => {
            tracing::debug!(?language, %error, "not checked for errors");
            Vec::new()
        }
    }
}

/// The outermost errors, in order. The tree is walked with a cursor, since it may be as deep as the text is long.
fn collect(tree: &Tree, text: &str) -> Vec<SyntaxError> {
    let mut found = Vec::new();
    let mut cursor = tree.walk();
    while found.len() < MAX_ERRORS {
        let node = cursor.node();
        let is_error = node.is_error() || node.is_missing();
        if is_error {
            found.push(describe(node, text));
        }
        if !is_error && node.has_error() && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return found;
            }
        }
    }
    found
}

fn describe(node: Node<'_>, text: &str) -> SyntaxError {
    let start = node.start_byte();
    let before = text.get(..start).unwrap_or_default();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let what = if node.is_missing() {
        format!(
            "missing {}",
            if node.is_named() { node.kind().replace('_', " ") } else { format!("\"{}\"", node.kind()) }
        )
    } else {
        let rest = text.get(node.byte_range()).unwrap_or_default().trim_start();
        let line: String = rest.lines().next().unwrap_or_default().trim_end().chars().take(MAX_CHARS).collect();
        if line.is_empty() { "does not parse".to_owned() } else { format!("does not parse: \"{line}\"") }
    };
    SyntaxError { line: node.start_position().row + 1, column, what }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    /// A text of each language, and how it looks broken.
    const TEXTS: [(&str, &str, &str); 11] = [
        ("a.c", "int f(void) {\n  return 1;\n}\n", "int f(void) {\n  return 1 +;\n}\n"),
        ("a.cpp", "class A {\n  int f();\n};\n", "class A {\n  int f(;\n};\n"),
        ("a.go", "package a\n\nfunc f() int { return 1 }\n", "package a\n\nfunc f( int { return 1 }\n"),
        ("A.java", "class A {\n  int f() { return 1; }\n}\n", "class A {\n  int f() { return 1 +; }\n}\n"),
        ("a.js", "const f = (x) => <a>{x}</a>;\n", "const f = (x => <a>{x}</a>;\n"),
        ("a.php", "<?php\nfunction f() { return 1; }\n", "<?php\nfunction f() { return 1 }\n"),
        ("a.py", "def f(x):\n    return x\n", "def f(x:\n    return x\n"),
        ("a.rb", "def f(x)\n  x\nend\n", "def f(x\n  x\nend\n"),
        ("a.rs", "fn f(x: u8) -> u8 { x }\n", "fn f(x: u8) -> u8 { x \n"),
        ("a.ts", "let x: Map<string, number> = y as any;\n", "let x: Map<string, number = y as any;\n"),
        ("a.tsx", "const f = (x: A) => <a b={x} />;\n", "const f = (x: A) => <a b={x />;\n"),
    ];

    #[test]
    fn what_an_edit_breaks_is_told_and_what_was_broken_is_not() {
        for (path, valid, broken) in TEXTS {
            assert_eq!(errors(path, valid), [], "{path}");
            let found = introduced(path, valid, broken);
            assert!(!found.is_empty(), "{path}");
            assert!(found.iter().all(|error| error.line <= broken.lines().count() && error.column > 0), "{found:?}");
            assert_eq!(introduced(path, broken, broken), [], "{path}");
            assert_eq!(introduced(path, broken, valid), [], "{path}");
            assert_eq!(introduced(path, "", valid), [], "{path}");
        }
    }

    #[test]
    fn an_error_has_a_place_and_words() {
        for (path, text, expected) in [
            ("a.rs", "fn f() {\n    let x = 1\n}\n", "2:14: missing \";\""),
            ("a.rs", "fn f() {}\nfn g() { é + ; }\n", "2:13: missing identifier"),
            ("a.py", "x = 1\ny = = 2\n", "2:5: does not parse: \"=\""),
            ("a.js", "f(;\n", "1:3: missing \")\""),
        ] {
            let found: Vec<String> = errors(path, text).iter().map(ToString::to_string).collect();
            assert_eq!(found, [expected], "{text}");
        }
    }

    #[test]
    fn an_error_that_moved_is_the_same() {
        let before = "def f(:\n    pass\n\ndef g():\n    return 1\n";
        let after = "# Moved.\n\ndef f(:\n    pass\n\ndef g():\n    return 2\n";
        assert!(!errors("a.py", before).is_empty());
        assert_eq!(introduced("a.py", before, after), []);
        let twice = format!("{before}\ndef f(:\n    pass\n");
        assert_ne!(introduced("a.py", before, &twice), []);
        let other = "x = 1\ny = = 2\nz = 3 3\n";
        let found = introduced("a.py", "x = 1\ny = = 2\nz = 3\n", other);
        assert_eq!(found.iter().map(|error| error.line).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn what_is_no_known_language_has_no_errors() {
        for path in ["a.txt", "a", "a.sh", "", "a.RS"] {
            assert_eq!(errors(path, "fn ((((("), []);
            assert_eq!(introduced(path, "", "fn ((((("), []);
        }
        assert_eq!(errors("a.rs", &"(".repeat(2 << 20)), [], "too large");
    }

    #[test]
    fn a_header_is_in_the_language_in_which_it_makes_sense() {
        assert_eq!(errors("a.h", "int f(int class, int new);\n"), []);
        assert_eq!(errors("a.h", "namespace n { template <class T> class A : public B<T> { A(); }; }\n"), []);
        assert_ne!(errors("a.h", "int f(int x;\n"), []);
    }

    #[test]
    fn a_text_nested_a_hundred_thousand_deep_is_survived() {
        let depth = 100_000;
        for (path, _, _) in TEXTS {
            for (open, close) in [("(", ")"), ("{", "}"), ("a<", ">"), ("-", ""), ("a?", "")] {
                assert!(errors(path, &open.repeat(depth)).len() <= MAX_ERRORS, "{path} {open}");
                let closed = format!("{}{}", open.repeat(depth), close.repeat(depth));
                assert!(errors(path, &closed).len() <= MAX_ERRORS, "{path} {open}");
            }
        }
        // As deep as is let through, again and again.
        for path in ["a.java", "a.cpp", "a.ts", "a.rs"] {
            let text = format!("{};\n", "a<".repeat(250)).repeat(40);
            assert!(errors(path, &text).len() <= MAX_ERRORS, "{path}");
        }
        let mut indented = String::new();
        for level in 0..1000 {
            let _ = writeln!(indented, "{}if x:", " ".repeat(level));
        }
        let _ = errors("a.py", &indented);
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in r"(\PC|[\n\t{}()\[\]<>;:,=+*/'\x22`#@!?&|a-c0-3 \\-]|if|def|end|fn|class|<<A|<\?php){0,60}", which in 0_usize..11) {
            let (path, valid, _) = TEXTS[which];
            let found = errors(path, &text);
            prop_assert_eq!(introduced(path, &text, &text), []);
            prop_assert!(found.iter().all(|error| error.line >= 1 && error.line <= text.lines().count() + 1));
            let _ = introduced(path, valid, &text);
        }
    }
}
