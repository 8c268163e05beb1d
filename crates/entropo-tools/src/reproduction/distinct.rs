//! Tests that say the same.

use std::collections::BTreeSet;

use super::ReproductionTest;

/// Leaves out tests that another before them says already. Two are the same if they differ in nothing but white space at the
/// ends of lines, lines without anything, and the names of their tests: a name is the word that it is or, where it is a title,
/// the string. Two that test the same in other words both stay: whether they do, no text tells.
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
    let mut content = test.content.clone();
    let mut names = BTreeSet::new();
    for own in test.fails.iter().map(|name| own_name(name)).filter(|own| !own.text.is_empty()) {
        let quoted = QUOTES.map(|quote| format!("{quote}{}{quote}", own.text));
        if quoted.iter().any(|title| content.contains(title)) {
            content = quoted.iter().fold(content, |content, title| content.replace(title, HOLE));
        } else if own.is_identifier {
            names.insert(own.text);
        }
    }
    let lines = content.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.fold(String::new(), |mut text, line| {
        for word in line.split_inclusive(|letter| !is_word(letter)) {
            let name = word.trim_end_matches(|letter| !is_word(letter));
            let rest = word.strip_prefix(name).unwrap_or_default();
            text.push_str(if names.contains(name) { HOLE } else { name });
            text.push_str(rest);
        }
        text.push('\n');
        text
    })
}

/// What stands for the name of a test.
const HOLE: &str = "\0";
/// What a title stands between.
const QUOTES: [char; 3] = ['"', '\'', '`'];

/// What a test is called in its file.
#[derive(Debug, PartialEq)]
struct OwnName<'a> {
    text: &'a str,
    /// Whether it may be a function's, which stands in the file as a word. A title is a string, and its words are anybody's.
    is_identifier: bool,
}

/// What a test is called in its file, of a name like `tests/a.py::Class::test_it[1-2]` or `a.test.js > suite > adds two`.
fn own_name(name: &str) -> OwnName<'_> {
    let last = name.rsplit(" > ").next().unwrap_or_default();
    let found = identifier(name).or_else(|| identifier(last));
    OwnName { text: found.unwrap_or(last), is_identifier: found.is_some() }
}

/// The last part of a path of identifiers, without the parameters or the class that may follow it in brackets.
fn identifier(name: &str) -> Option<&str> {
    let (path, bracketed) = name.split_at(name.find(['[', '(']).unwrap_or(name.len()));
    // As unittest names a test: `test_it (module.Class)`.
    let is_class = bracketed.contains('.') && !bracketed.contains(char::is_whitespace);
    let path = path.strip_suffix(' ').filter(|_| is_class).unwrap_or(path);
    let own = path.rsplit([':', '.', '/', '>']).next()?;
    let is_closed = bracketed.is_empty() || bracketed.ends_with([']', ')']);
    let is_identifier = is_closed && !own.is_empty() && own.chars().all(is_word);
    (is_identifier && !path.contains(char::is_whitespace)).then_some(own)
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
    fn the_words_of_a_title_are_no_names() {
        // In each pair the first word of the title is what the test is about.
        let tap =
            |function: &str| format!("[ -z \"$({function} '')\" ] || echo \"not ok 1 - {function} handles empty\"\n");
        let tap = ["parse", "render"].map(|name| test(&tap(name), &[&format!("{name} handles empty")]));
        assert_eq!(distinct(tap.clone()), tap);
        let jest = |title: &str, function: &str| format!("it('{title}', () => expect({function}('')).toBe(0))\n");
        let about = ["parse", "render"].map(|name| {
            let title = format!("{name} handles empty");
            test(&jest(&title, name), &[&format!("src/a.test.js > suite > {title}")])
        });
        assert_eq!(distinct(about.clone()), about);
        let word = ["parse", "render"].map(|name| test(&jest(name, name), &[&format!("suite > {name}")]));
        assert_eq!(distinct(word.clone()), word, "a title of one word");
    }

    #[test]
    fn a_title_makes_no_difference_where_it_is_a_string() {
        for quote in QUOTES {
            let named = |title: &str, failing: &str| {
                test(&format!("it({quote}{title}{quote}, () => expect(parse('')).toBe(0))\n"), &[failing])
            };
            let first = named("handles empty [x]", "src/a.test.js > suite > handles empty [x]");
            let renamed = named("takes nothing, (too)", "suite > takes nothing, (too)");
            let one_word = named("works", "suite > works");
            let unnamed = named("is not what failed", "suite > another");
            assert_eq!(distinct([first.clone(), renamed, one_word, unnamed.clone()]), [first, unnamed]);
        }
    }

    #[test]
    fn a_name_is_the_last_of_its_parts() {
        for (name, own) in [
            ("tests/a.py::Class::test_it[1-2]", "test_it"),
            ("tests/a.py::test_it[a > b c]", "test_it"),
            ("test_it (module.Class)", "test_it"),
            ("package.Test/sub", "sub"),
            ("crate::module::works", "works"),
            ("a.Shop > adds(int)", "adds"),
            ("src/a.test.js > suite > adds", "adds"),
        ] {
            assert_eq!(own_name(name), OwnName { text: own, is_identifier: true }, "{name}");
        }
        for (name, own) in [
            ("", ""),
            ("a-b", "a-b"),
            ("parse handles empty", "parse handles empty"),
            ("suite > parse handles a.b", "parse handles a.b"),
            ("parse (empty)", "parse (empty)"),
            ("parse(x) is empty", "parse(x) is empty"),
            ("adds.", "adds."),
        ] {
            assert_eq!(own_name(name), OwnName { text: own, is_identifier: false }, "{name}");
        }
    }
}
