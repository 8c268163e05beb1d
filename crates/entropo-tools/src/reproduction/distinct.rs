//! Tests that say the same.

use std::collections::BTreeSet;

use super::ReproductionTest;

/// Leaves out tests that another before them says already. Two are the same if they differ in nothing but white space at the
/// ends of lines, lines without anything, and the names of their tests. Two that test the same in other words both stay:
/// whether they do, no text tells.
pub fn distinct(tests: impl IntoIterator<Item = ReproductionTest>) -> Vec<ReproductionTest> {
    let mut kept = Vec::new();
    for test in tests {
        if same(&kept, &test).is_none() {
            kept.push(test);
        }
    }
    kept
}

/// The test among `kept` that says the same. One file is one test, also where not the same of it failed.
pub(super) fn same<'a>(kept: &'a [ReproductionTest], test: &ReproductionTest) -> Option<&'a ReproductionTest> {
    let like = likeness(test);
    kept.iter().find(|other| other.path == test.path || likeness(other) == like)
}

/// What two tests share that are the same.
fn likeness(test: &ReproductionTest) -> String {
    let names: BTreeSet<&str> = test.fails.iter().filter_map(|name| own_name(name)).collect();
    let lines = test.content.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.fold(String::new(), |mut text, line| {
        for word in line.split_inclusive(|letter| !is_word(letter)) {
            let name = word.trim_end_matches(|letter| !is_word(letter));
            let rest = word.strip_prefix(name).unwrap_or_default();
            text.push_str(if names.contains(name) { "\0" } else { name });
            text.push_str(rest);
        }
        text.push('\n');
        text
    })
}

/// The name that a test has in its file, of one like `tests/a.py::Class::test_it[1-2]`.
fn own_name(name: &str) -> Option<&str> {
    let name = name.split(['[', '(', ' ']).next()?;
    let own = name.rsplit([':', '.', '/', '>']).next()?;
    (!own.is_empty() && own.chars().all(is_word)).then_some(own)
}

fn is_word(letter: char) -> bool {
    letter == '_' || letter.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(content: &str, fails: &[&str]) -> ReproductionTest {
        ReproductionTest {
            path: format!("{}.py", ReproductionTest::id(content)),
            content: content.into(),
            fails: fails.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn names_and_empty_lines_make_no_difference_and_all_else_does() {
        let first = test("def test_a():\n    assert f(1) == 2\n", &["t.py::test_a"]);
        let same = test("def test_b():   \n\n    assert f(1) == 2", &["u.py::test_b[x]"]);
        let other = test("def test_a():\n    assert f(1) == 3\n", &["t.py::test_a"]);
        let indented = test("def test_a():\n  assert f(1) == 2\n", &["t.py::test_a"]);
        // Its name is not among those that fail, so it is no more than a word.
        let named = test("def test_c():\n    assert f(1) == 2\n", &["t.py::test_d"]);
        let all = [first.clone(), same, other.clone(), first.clone(), indented.clone(), named.clone()];
        assert_eq!(distinct(all), [first, other, indented, named]);
    }

    #[test]
    fn a_file_is_one_test_whatever_failed_in_it() {
        let content = "def test_a(): f()\ndef test_b(): f()\n";
        let (some, all) = (test(content, &["t.py::test_a"]), test(content, &["t.py::test_a", "t.py::test_b"]));
        assert_eq!(distinct([some.clone(), all]), [some]);
    }

    #[test]
    fn a_name_is_the_last_of_its_parts() {
        for (name, own) in [
            ("tests/a.py::Class::test_it[1-2]", Some("test_it")),
            ("test_it (module.Class)", Some("test_it")),
            ("package.Test/sub", Some("sub")),
            ("crate::module::works", Some("works")),
            ("", None),
            ("a-b", None),
        ] {
            assert_eq!(own_name(name), own, "{name}");
        }
    }
}
