//! Edits of a file.

use std::fs;
use std::path::PathBuf;

use entropo_tools::editor::{EditorArgs, EditorCommand};
use entropo_tools::multi_edit::{MultiEditArgs, Replacement};
use entropo_tools::patch::ApplyPatchArgs;
use entropo_tools::{ApplyPatch, Editor, History, MultiEdit};

use crate::place::Place;
use crate::{parts, text};

const FILE: &str = "file";
const OTHER: &str = "other";

/// A file's content, then operations: a letter and its arguments.
///
/// | | |
/// |---|---|
/// | `v` | view, from and to a line |
/// | `c` | create the file if it is gone, else another |
/// | `r` | replace a text by another |
/// | `i` | insert after a line |
/// | `m` | several replacements |
/// | `p` | a patch |
/// | `u` | undo |
/// | `w` | somebody else writes the file |
///
/// What is refused changes nothing. A replacement changes no byte beyond what was replaced, an insertion removes none, and
/// undoing brings back all bytes; what is created has just the text that was given.
pub fn editor(input: &[u8]) {
    let place = Place::new();
    let mut parts = parts(input, "%%").into_iter();
    place.write(FILE, parts.next().unwrap_or_default());
    let history = History::new();
    let tools = Tools {
        editor: Editor::new(place.root()).unwrap().with_history(&history),
        multi: MultiEdit::new(place.root()).unwrap().with_history(&history),
        patch: ApplyPatch::new(place.root()).unwrap().with_history(&history),
        place,
    };
    let mut past = Vec::new();
    tools.view(None);
    for part in parts.take(12) {
        if let Some((operation, arguments)) = part.split_first() {
            tools.carry_out(*operation, arguments, &mut past);
        }
    }
}

struct Tools {
    place: Place,
    editor: Editor,
    multi: MultiEdit,
    patch: ApplyPatch,
}

impl Tools {
    fn carry_out(&self, operation: u8, arguments: &[u8], past: &mut Vec<Vec<u8>>) {
        let pieces: Vec<String> = parts(arguments, "%").into_iter().map(text).collect();
        let (first, second) = (piece(&pieces, 0), piece(&pieces, 1));
        let before = self.content();
        let files = self.place.files();
        let done = match operation {
            b'c' => self.create(&first),
            b'v' => {
                let number = |text: &str| text.trim().parse().unwrap_or(-1);
                self.view(Some([number(&first), number(&second)]));
                false
            }
            b'r' => {
                let done = self.edit(EditorArgs {
                    old_str: Some(first.clone()),
                    new_str: Some(second.clone()),
                    ..asked(EditorCommand::StrReplace)
                });
                if done {
                    check(&before, &self.content(), &first, &second);
                }
                done
            }
            b'i' => {
                let line = first.trim().parse().unwrap_or(0);
                let arguments =
                    EditorArgs { insert_line: Some(line), new_str: Some(second), ..asked(EditorCommand::Insert) };
                let done = self.edit(arguments);
                let (start, end) = in_common(&before, &self.content());
                assert!(!done || start + end == before.len(), "an insertion removes nothing");
                done
            }
            b'm' => self.multi(&pieces, &before),
            b'p' => self.place.call(&self.patch, ApplyPatchArgs { patch: first }),
            b'u' => {
                if self.edit(asked(EditorCommand::Undo)) {
                    assert_eq!(Some(self.content()), past.pop(), "undoing brings back all bytes");
                    return;
                }
                false
            }
            b'w' => {
                self.place.write(FILE, arguments);
                past.clear();
                return;
            }
            _ => false,
        };
        match done {
            true => past.push(before),
            false => assert_eq!(self.content(), before, "what is refused changes nothing"),
        }
        let file = self.place.root().join(FILE);
        let is_known = |path: &PathBuf| *path == file || files.contains_key(path);
        assert!(operation == b'p' || self.place.files().keys().all(is_known), "nothing is left beside the file");
    }

    /// Creates the file and says whether it did, or creates another, which is taken back.
    fn create(&self, text: &str) -> bool {
        let name = if self.place.root().join(FILE).exists() { OTHER } else { FILE };
        let path = self.place.root().join(name);
        let was_there = path.exists();
        let asked = |command| EditorArgs { path: name.to_owned(), file_text: Some(text.to_owned()), ..asked(command) };
        if !self.edit(asked(EditorCommand::Create)) {
            assert_eq!(path.exists(), was_there, "what is refused creates nothing");
            return false;
        }
        assert!(!was_there, "what is there is not created");
        assert_eq!(fs::read(&path).unwrap(), text.as_bytes(), "a file is created with the text that was given");
        if name == FILE {
            return true;
        }
        assert!(self.edit(asked(EditorCommand::Undo)) && !path.exists(), "undoing takes away what was created");
        false
    }

    fn multi(&self, pieces: &[String], before: &[u8]) -> bool {
        let pairs = pieces.chunks(2).filter_map(|pair| Some((pair.first()?, pair.get(1)?)));
        let edits: Vec<(String, String)> = pairs.map(|(old, new)| (old.clone(), new.clone())).collect();
        let replacement = |(old, new): &(String, String)| Replacement { old_str: old.clone(), new_str: new.clone() };
        let arguments = MultiEditArgs { path: FILE.to_owned(), edits: edits.iter().map(replacement).collect() };
        let done = self.place.call(&self.multi, arguments);
        if let (true, Some(plain)) = (done, plain(before)) {
            let wanted = edits.iter().fold(plain.to_owned(), |all, (old, new)| all.replacen(old.as_str(), new, 1));
            assert_eq!(text(&self.content()), wanted, "replacements are made one after the other");
        }
        done
    }

    fn view(&self, view_range: Option<[i64; 2]>) {
        self.edit(EditorArgs { view_range, ..asked(EditorCommand::View) });
    }

    fn edit(&self, arguments: EditorArgs) -> bool {
        self.place.call(&self.editor, arguments)
    }

    fn content(&self) -> Vec<u8> {
        fs::read(self.place.root().join(FILE)).unwrap_or_default()
    }
}

fn asked(command: EditorCommand) -> EditorArgs {
    let path = FILE.to_owned();
    EditorArgs { command, path, file_text: None, old_str: None, new_str: None, insert_line: None, view_range: None }
}

fn piece(pieces: &[String], index: usize) -> String {
    pieces.get(index).cloned().unwrap_or_default()
}

/// The text of a file whose bytes an edit names one by one: UTF-8 without a mark at the beginning, and lines that end in a
/// newline alone.
fn plain(content: &[u8]) -> Option<&str> {
    std::str::from_utf8(content).ok().filter(|text| !text.contains('\r') && !text.starts_with('\u{feff}'))
}

/// How many bytes two contents have in common at the beginning and, beside them, at the end.
fn in_common(one: &[u8], other: &[u8]) -> (usize, usize) {
    let start = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let rest = one.len().min(other.len()) - start;
    let end = one.iter().rev().zip(other.iter().rev()).take(rest).take_while(|(one, other)| one == other).count();
    (start, end)
}

/// No byte is changed but those of `old`, and no more come than those of `new`.
fn check(before: &[u8], after: &[u8], old: &str, new: &str) {
    if let Some(plain) = plain(before).filter(|_| !old.contains('\r') && !new.contains('\r')) {
        assert_eq!(text(after), plain.replacen(old, new, 1), "a replacement changes nothing else");
        return;
    }
    // At most four bytes a character, and two characters for the end of a line.
    let most = |text: &str| 8 * text.chars().count();
    let (start, end) = in_common(before, after);
    assert!(before.len() - start - end <= most(old), "more was removed than was named");
    assert!(after.len() - start - end <= most(new), "more came than was given");
}
