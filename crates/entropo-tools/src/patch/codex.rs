//! Reading patches between `*** Begin Patch` and `*** End Patch`.
//!
//! They name no line numbers: a hunk belongs where its old lines are, below the lines named after `@@`.

use super::model::{self, Action, Anchor, FilePatch, Hunk, Line, Side};

const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";
const END_OF_FILE: &str = "*** End of File";

/// Whether `patch` is of this form, and not a diff of a file that has such a line.
pub(super) fn is_this(patch: &str) -> bool {
    let diff = |line: &&str| ["diff --git ", "--- ", "@@ -"].iter().any(|begin| line.starts_with(begin));
    patch.lines().take_while(|line| !diff(line)).any(|line| line.trim() == BEGIN)
}

/// The files of a patch; what stands before its beginning and after its end, such as a here-document's, is passed over.
pub(super) fn parse(patch: &str) -> Result<Vec<FilePatch>, String> {
    let lines = model::lines(patch);
    let end = lines.iter().rposition(|line| line.trim() == END).ok_or_else(|| format!("The patch has no {END}."))?;
    let lines = lines.into_iter().take(end).zip(1..).skip_while(|(line, _)| line.trim() != BEGIN).skip(1);
    let mut files: Vec<FilePatch> = Vec::new();
    for (line, number) in lines {
        let wrong = |reason: &str| format!("Line {number} of the patch: {reason}.");
        // Markers may be indented, but what is indented within a hunk is a line of the file.
        let within = line.starts_with(' ') && files.last().is_some_and(|file| !file.hunks.is_empty());
        let trimmed = if within { "" } else { line.trim() };
        if let Some(file) = file_header(trimmed) {
            files.push(file);
            continue;
        }
        let Some(file) = files.last_mut() else {
            if trimmed.is_empty() {
                continue;
            }
            return Err(wrong("expected *** Add File, *** Delete File or *** Update File"));
        };
        if let Some(to) = trimmed.strip_prefix("*** Move to: ") {
            if file.action != Action::Update || !file.hunks.is_empty() {
                return Err(wrong("*** Move to must follow *** Update File"));
            }
            file.action = Action::Move(to.trim().to_owned());
        } else {
            body(file, line).map_err(|reason| wrong(&reason))?;
        }
    }
    files.into_iter().map(finished).collect()
}

fn file_header(line: &str) -> Option<FilePatch> {
    let (action, path) = [
        (Action::Create, "*** Add File: "),
        (Action::Delete, "*** Delete File: "),
        (Action::Update, "*** Update File: "),
    ]
    .into_iter()
    .find_map(|(action, prefix)| Some((action, line.strip_prefix(prefix)?)))?;
    Some(FilePatch { path: path.trim().to_owned(), action, executable: None, hunks: Vec::new() })
}

/// Takes in a line below a file's header.
fn body(file: &mut FilePatch, line: &str) -> Result<(), String> {
    let trimmed = line.trim();
    match &file.action {
        Action::Delete if trimmed.is_empty() => return Ok(()),
        Action::Delete => return Err("nothing may follow *** Delete File".to_owned()),
        Action::Create => {
            let added = line.starts_with('+');
            if !added && trimmed.is_empty() {
                return Ok(());
            }
            if !added {
                return Err(format!("a line of a new file must begin with +, not {line:?}"));
            }
        }
        _ => {}
    }
    if let Some(context) = header(line) {
        let fresh = |hunk: &Hunk| hunk.lines.is_empty();
        // Several such lines above one hunk lead to it step by step: a class, then its method.
        if !file.hunks.last().is_some_and(fresh) {
            file.hunks.push(begin(line));
        }
        if let Some(Hunk { anchor: Anchor::After { lines, .. }, .. }) = file.hunks.last_mut() {
            lines.extend(context.map(str::to_owned));
        }
        return Ok(());
    }
    if file.hunks.is_empty() {
        if trimmed.is_empty() {
            return Ok(());
        }
        file.hunks.push(begin("@@"));
    }
    let Some(hunk) = file.hunks.last_mut() else { return Ok(()) };
    let Anchor::After { end, .. } = &mut hunk.anchor else { return Ok(()) };
    if line.trim_end() == END_OF_FILE {
        *end = true;
    } else if *end && !trimmed.is_empty() {
        return Err(format!("only @@ or another file may follow {END_OF_FILE}"));
    } else if !*end {
        let parsed = Line::parse(line).ok_or_else(|| format!("{line:?} begins with none of ' ', '-' and '+'"))?;
        hunk.lines.push(parsed);
    }
    Ok(())
}

/// Whether the line begins a hunk, and the line of the file that it names.
fn header(line: &str) -> Option<Option<&str>> {
    let named = line.trim_end().strip_prefix("@@")?;
    if named.is_empty() { Some(None) } else { named.strip_prefix(' ').map(Some) }
}

fn begin(header: &str) -> Hunk {
    let anchor = Anchor::After { lines: Vec::new(), end: false };
    Hunk { header: header.trim_end().to_owned(), anchor, lines: Vec::new() }
}

/// Checks a file that was read to its end.
fn finished(mut file: FilePatch) -> Result<FilePatch, String> {
    for hunk in &mut file.hunks {
        // Empty lines below a hunk often only set it apart from the next.
        let at_end = matches!(hunk.anchor, Anchor::After { end: true, .. });
        while !at_end && hunk.lines.last().is_some_and(|line| line.side == Side::Both && line.text.is_empty()) {
            hunk.lines.pop();
        }
    }
    let changes = |hunk: &Hunk| hunk.lines.iter().any(|line| line.side != Side::Both);
    if let Some(at) = file.hunks.iter().position(|hunk| !changes(hunk)) {
        return Err(format!("{}: hunk {} changes nothing.", file.path, at + 1));
    }
    if file.hunks.is_empty() && file.action == Action::Update {
        return Err(format!("{}: the patch has no hunk for it.", file.path));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_kinds_of_files_are_read() {
        let patch = "<<'EOF'\n *** Begin Patch \n*** Add File: new\n+a\n+\n\n*** Delete File: gone\n*** Update File: x\n\
            *** Move to: y\n-first\n@@ class A\n@@   def f\n kept\n\n-old\n+new\n\n@@\n+last\n*** End of File\n\
            *** End Patch\nEOF\n";
        let files = parse(patch).unwrap();
        let names: Vec<_> = files.iter().map(|file| (file.path.as_str(), &file.action, file.hunks.len())).collect();
        let moved = Action::Move("y".to_owned());
        assert_eq!(names, [("new", &Action::Create, 1), ("gone", &Action::Delete, 0), ("x", &moved, 3)]);
        let anchor =
            |lines: &[&str], end| Anchor::After { lines: lines.iter().map(|&line| line.into()).collect(), end };
        let hunks = &files[2].hunks;
        assert_eq!(hunks[0].anchor, anchor(&[], false));
        assert_eq!((&hunks[1].anchor, hunks[1].lines.len()), (&anchor(&["class A", "  def f"], false), 4));
        assert_eq!((&hunks[2].anchor, hunks[2].lines.len()), (&anchor(&[], true), 1));
    }

    #[test]
    fn what_only_looks_like_a_marker_is_a_line_of_the_file() {
        let body = "*** Update File: x\n *** Begin Patch\n *** Add File: y\n-a\n+b\n *** End of File\n *** End Patch\n";
        let files = parse(&format!("*** Begin Patch\n{body} *** End Patch \n")).unwrap();
        assert_eq!((files.len(), files[0].hunks[0].lines.len()), (1, 6));
        assert!(!is_this("--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n *** Begin Patch\n-a\n"));
        let two = "*** Begin Patch\n*** Update File: x\n-a\n+b\n*** End Patch\n".repeat(2);
        assert!(parse(&two).unwrap_err().contains("begins with none of"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (body, reason) in [
            ("x\n", "Line 2 of the patch: expected *** Add File, "),
            ("*** Add File: x\nx\n", "must begin with +, not \"x\""),
            ("*** Delete File: x\n-a\n", "nothing may follow"),
            ("*** Update File: x\n", "x: the patch has no hunk for it."),
            ("*** Update File: x\n@@\n a\n", "x: hunk 1 changes nothing."),
            ("*** Update File: x\n@@\n-a\n*a\n", "\"*a\" begins with none of"),
            ("*** Update File: x\n+a\n*** End of File\n+b\n", "only @@ or another file"),
            ("*** Add File: x\n+a\n*** Move to: y\n", "must follow *** Update File"),
        ] {
            let error = parse(&format!("*** Begin Patch\n{body}*** End Patch\n")).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        assert_eq!(parse("*** Begin Patch\n*** Add File: x\n+a\n").unwrap_err(), "The patch has no *** End Patch.");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(
            body in "((\\*\\*\\* (Add|Delete|Update) File: |\\*\\*\\* Move to: |\\*\\*\\* End of File|@@ ?|[-+ ])?[aé]{0,3}\r?\n?){0,30}"
        ) {
            let _ = parse(&format!("*** Begin Patch\n{body}\n*** End Patch"));
        }
    }
}
