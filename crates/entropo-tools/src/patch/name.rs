//! File names as git writes them.

/// A name that may be quoted, and what follows it.
pub(super) fn token(written: &str) -> Option<(String, &str)> {
    match written.strip_prefix('"') {
        Some(quoted) => unquote(quoted),
        // A tab ends the name; GNU's diff has the time of the file after it.
        None => Some(written.split_once('\t').map_or((written.to_owned(), ""), |(name, rest)| (name.to_owned(), rest))),
    }
}

/// The two names of `diff --git`, without the prefixes `a/` and `b/`, where they are the same file's.
pub(super) fn pair(written: &str) -> Option<String> {
    let (old, new) = if written.starts_with('"') {
        let (old, rest) = token(written)?;
        (old, token(rest.strip_prefix(' ')?)?.0)
    } else {
        // Nothing but their being the same tells where a name with blanks ends.
        let (old, new) = written.split_at_checked(written.len() / 2)?;
        (old.to_owned(), new.strip_prefix(' ')?.to_owned())
    };
    let (old, new) = without_prefixes(Some(old), Some(new));
    if old == new { new } else { None }
}

/// Takes `a/` and `b/` away where both names have theirs; a name that is none stands for no file.
pub(super) fn without_prefixes(old: Option<String>, new: Option<String>) -> (Option<String>, Option<String>) {
    let prefixed = |name: &Option<String>, prefix| name.as_ref().is_none_or(|name| name.starts_with(prefix));
    if !prefixed(&old, "a/") || !prefixed(&new, "b/") {
        return (old, new);
    }
    let cut = |name: String| name.get(2..).unwrap_or_default().to_owned();
    (old.map(cut), new.map(cut))
}

/// What stands before the closing quote, and what follows it.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut bytes = Vec::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((String::from_utf8(bytes).ok()?, quoted.get(at + 1..)?)),
            '\\' => bytes.push(escaped(&mut letters)?),
            _ => bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    None
}

fn escaped(letters: &mut std::str::CharIndices<'_>) -> Option<u8> {
    Some(match letters.next()?.1 {
        'a' => 7,
        'b' => 8,
        't' => b'\t',
        'n' => b'\n',
        'v' => 11,
        'f' => 12,
        'r' => b'\r',
        letter @ ('"' | '\\') => u8::try_from(letter).ok()?,
        letter => {
            let digits = [letter, letters.next()?.1, letters.next()?.1];
            u8::from_str_radix(&digits.iter().collect::<String>(), 8).ok()?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_git_writes_them() {
        for (written, name, rest) in [
            ("a/x y", "a/x y", ""),
            ("a/x\t2026-01-01", "a/x", "2026-01-01"),
            (r#""a/\303\244\t\"\\" b"#, "a/ä\t\"\\", " b"),
        ] {
            assert_eq!(token(written), Some((name.to_owned(), rest)));
        }
        for written in [r#""a"#, r#""\9""#, r#""\777""#, r#""\377""#, r#""\"#] {
            assert_eq!(token(written), None, "{written}");
        }
        for (written, name) in [
            ("a/x b/x", Some("x")),
            ("a/x y b/x y", Some("x y")),
            ("x x", Some("x")),
            (r#""a/\303\244" "b/\303\244""#, Some("ä")),
            ("a/x b/y", None),
            ("", None),
            ("ä", None),
        ] {
            assert_eq!(pair(written).as_deref(), name, "{written}");
        }
    }
}
