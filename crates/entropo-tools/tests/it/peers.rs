//! What the tests of other agents' editing tools ask for, asked of ours: one row a behaviour.
//!
//! Where ours differs on purpose the row shows our answer and says so; the reasons are in `docs/editing.md`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use entropo_agent::Tool;
use entropo_tools::editor::EditorArgs;
use entropo_tools::{ApplyPatch, Editor};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

type Files<'a> = &'a [(&'a str, &'a str)];

fn scene(files: Files<'_>) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

fn tree(root: &Path, prefix: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            found.extend(tree(&entry.path(), &format!("{name}/")));
        } else {
            found.push((name, fs::read_to_string(entry.path()).unwrap()));
        }
    }
    found.sort();
    found
}

async fn call<T: Tool>(tool: &T, arguments: Value) -> Result<String, String> {
    let answer = tool.call(serde_json::from_value(arguments).unwrap(), &CancellationToken::new()).await;
    answer.map(|output| output.content).map_err(|error| error.to_string())
}

/// A patch's effect: the files before, its body, part of the answer (of a refusal if it begins with !), the files after;
/// none for all as they were.
struct Row<'a>(&'a str, Files<'a>, &'a str, &'a str, Option<Files<'a>>);

#[tokio::test]
async fn patches_as_codex_has_them() {
    let rows = [
        Row("a file is added", &[], "*** Add File: bar\n+new\n", "Created bar.", Some(&[("bar", "new\n")])),
        Row(
            "several kinds at once",
            &[("gone", "g\n"), ("m", "1\n2\n")],
            "*** Add File: deep/new\n+n\n*** Delete File: gone\n*** Update File: m\n@@\n-2\n+two\n",
            "Created deep/new.\nDeleted gone.\nEdited m.",
            Some(&[("deep/new", "n\n"), ("m", "1\ntwo\n")]),
        ),
        Row(
            "several hunks",
            &[("m", "1\n2\n3\n4\n")],
            "*** Update File: m\n@@\n-2\n+two\n@@\n-4\n+four\n",
            "Edited m.",
            Some(&[("m", "1\ntwo\n3\nfour\n")]),
        ),
        Row(
            "a move makes directories and leaves neighbours",
            &[("old/name", "a\n"), ("old/other", "o\n")],
            "*** Update File: old/name\n*** Move to: new/dir/name\n@@\n-a\n+b\n",
            "Moved old/name to new/dir/name.",
            Some(&[("new/dir/name", "b\n"), ("old/other", "o\n")]),
        ),
        Row("an empty patch", &[("a", "a\n")], "", "!There is no patch", None),
        Row("context that is not there", &[("a", "a\n")], "*** Update File: a\n@@\n-x\n+y\n", "!a: hunk 1", None),
        Row("deleting what is not there", &[("a", "a\n")], "*** Delete File: b\n", "!b does not exist.", None),
        Row("an update without hunks", &[("a", "a\n")], "*** Update File: a\n", "!a: the patch has no hunk", None),
        Row("updating what is not there", &[], "*** Update File: a\n@@\n-a\n+b\n", "!a does not exist.", None),
        Row("deleting a directory", &[("d/a", "a\n")], "*** Delete File: d\n", "!d is not a file.", None),
        Row("an unknown header", &[("a", "a\n")], "*** Frob File: a\n", "!expected *** Add File", None),
        Row(
            "added lines alone go to the end",
            &[("a", "1\n2\n")],
            "*** Update File: a\n@@\n+3\n+4\n",
            "Edited a.",
            Some(&[("a", "1\n2\n3\n4\n")]),
        ),
        Row(
            "headers and markers between blanks",
            &[("a", "1\n")],
            "  *** Update File: a  \n@@\n-1\n+2\n",
            "Edited a.",
            Some(&[("a", "2\n")]),
        ),
        Row(
            "any letters",
            &[("a", "naïve café\n")],
            "*** Update File: a\n@@\n-naïve café\n+naïve café ✅\n",
            "Edited a.",
            Some(&[("a", "naïve café ✅\n")]),
        ),
        Row(
            "removed lines alone",
            &[("a", "1\n2\n3\n")],
            "*** Update File: a\n@@\n 1\n-2\n 3\n",
            "Edited a.",
            Some(&[("a", "1\n3\n")]),
        ),
        Row(
            "the end of the file",
            &[("a", "x\nx\n")],
            "*** Update File: a\n@@\n-x\n+y\n*** End of File\n",
            "Edited a.",
            Some(&[("a", "x\ny\n")]),
        ),
        Row(
            "CRLF is kept",
            &[("a", "one\r\ntwo\r\nthree\r\n")],
            "*** Update File: a\n@@\n-one\n+uno\n@@\n two\n+\n+between\n three\n",
            "Edited a.",
            Some(&[("a", "uno\r\ntwo\r\n\r\nbetween\r\nthree\r\n")]),
        ),
        Row(
            "repeated lines keep their order",
            &[("a", "a\nb\n")],
            "*** Update File: a\n@@\n-a\n-b\n+b\n+b\n+a\n",
            "Edited a.",
            Some(&[("a", "b\nb\na\n")]),
        ),
        Row(
            "a context line leads to the hunk",
            &[("a", "class A\n  x\nclass B\n  x\n")],
            "*** Update File: a\n@@ class B\n-  x\n+  y\n",
            "Edited a.",
            Some(&[("a", "class A\n  x\nclass B\n  y\n")]),
        ),
        // Ours, by design: what exists is not overwritten unseen.
        Row("adding what is there", &[("a", "old\n")], "*** Add File: a\n+new\n", "!a already exists.", None),
        Row(
            "moving onto what is there",
            &[("a", "a\n"), ("b", "b\n")],
            "*** Update File: a\n*** Move to: b\n@@\n-a\n+c\n",
            "!b already exists.",
            None,
        ),
        // Ours, by design: all or nothing.
        Row(
            "one of two fails",
            &[],
            "*** Add File: new\n+n\n*** Update File: missing\n@@\n-a\n+b\n",
            "!missing does not exist.",
            None,
        ),
        // Ours, by design: the end of a file stays as it was.
        Row(
            "no newline at the end",
            &[("a", "none at end")],
            "*** Update File: a\n@@\n-none at end\n+first\n+second\n",
            "Edited a.",
            Some(&[("a", "first\nsecond")]),
        ),
        // Ours, by design: context is compared exactly.
        Row("blanks at the end", &[("a", "x  \n")], "*** Update File: a\n@@\n-x\n+y\n", "!a: hunk 1", None),
        Row("other indentation", &[("a", "    x\n")], "*** Update File: a\n@@\n-x\n+y\n", "!a: hunk 1", None),
        Row("other dashes", &[("a", "a – b\n")], "*** Update File: a\n@@\n-a - b\n+c\n", "!a: hunk 1", None),
        Row("mixed endings", &[("a", "1\r\n2\n")], "*** Update File: a\n@@\n 1\n-2\n+3\n", "!a: hunk 1", None),
        Row("several places", &[("a", "x\nx\n")], "*** Update File: a\n@@\n-x\n+y\n", "!matches at lines 1, 2", None),
    ];
    for Row(name, before, body, answer, after) in rows {
        let root = scene(before);
        let tool = ApplyPatch::new(root.path()).unwrap();
        let patch = format!("*** Begin Patch\n{body}*** End Patch");
        let given = call(&tool, json!({"patch": patch})).await;
        match answer.strip_prefix('!') {
            Some(reason) => assert!(given.as_ref().is_err_and(|given| given.contains(reason)), "{name}: {given:?}"),
            None => assert_eq!(given.as_deref(), Ok(answer), "{name}"),
        }
        let wanted = tree(scene(after.unwrap_or(before)).path(), "");
        assert_eq!(tree(root.path(), ""), wanted, "{name}");
    }
}

#[tokio::test]
async fn blanks_around_a_patchs_markers_do_not_matter_as_with_codex() {
    for (begin, end) in [
        (" *** Begin Patch", "*** End Patch "),
        ("*** Begin Patch \t", "  *** End Patch"),
        ("\n\n*** Begin Patch", "*** End Patch\n\n \n"),
    ] {
        let root = scene(&[("a", "1\n2\n")]);
        let tool = ApplyPatch::new(root.path()).unwrap();
        let patch = format!("{begin}\n*** Update File: a\n@@\n-1\n+one\n{end}");
        assert_eq!(call(&tool, json!({"patch": patch})).await.as_deref(), Ok("Edited a."), "{patch:?}");
        assert_eq!(tree(root.path(), ""), [("a".to_owned(), "one\n2\n".to_owned())], "{patch:?}");
    }
}

#[test]
fn arguments_of_another_shape_are_refused_before_anything_is_done() {
    for (name, arguments) in [
        ("a line below zero", json!({"command": "insert", "path": "t", "insert_line": -1, "new_str": "x"})),
        ("a line that is none", json!({"command": "insert", "path": "t", "insert_line": "1", "new_str": "x"})),
        ("a range of one line", json!({"command": "view", "path": "t", "view_range": [1]})),
        ("a range of three", json!({"command": "view", "path": "t", "view_range": [1, 2, 3]})),
        ("a range of no numbers", json!({"command": "view", "path": "t", "view_range": ["a", "b"]})),
        ("a command that is none", json!({"command": "frob", "path": "t"})),
        ("an argument too many", json!({"command": "view", "path": "t", "line": 1})),
        ("no path", json!({"command": "view"})),
    ] {
        assert!(serde_json::from_value::<EditorArgs>(arguments).is_err(), "{name}");
    }
}

#[tokio::test]
async fn directories_as_openhands_has_them() {
    let root = scene(&[("in/x", ""), (".hidden/y", ""), (".hidden/.z", ""), ("closed/x", ""), ("open/x", "")]);
    symlink("in", root.path().join("link")).unwrap();
    let closed = root.path().join("closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    // Nothing is closed to root.
    let below = if fs::read_dir(&closed).is_ok() { "closed/\nclosed/x\n" } else { "closed/\n" };
    let editor = Editor::new(root.path()).unwrap();
    let view = |path: &'static str| call(&editor, json!({"command": "view", "path": path}));
    let all = view(".").await;
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    let expected = format!("{below}in/\nin/x\nlink\nopen/\nopen/x");
    assert_eq!(all, Ok(expected), "one that may not be read is named and passed over");
    assert_eq!(view("link").await.as_deref(), Ok("link/x"), "a link that stays inside");
    assert_eq!(view(".hidden").await.as_deref(), Ok(".hidden/y"), "a hidden one that is named");

    let many = scene(&[]);
    for number in 0..1000 {
        fs::write(many.path().join(format!("{number:04}")), "").unwrap();
    }
    let editor = Editor::new(many.path()).unwrap();
    let shown = call(&editor, json!({"command": "view", "path": "."})).await.unwrap();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[199]), (201, "0000", "0199"));
    assert_eq!(lines[200], "[800 more; view a directory below]");
}

#[tokio::test]
async fn an_edit_of_a_created_file_is_undone_as_swe_agent_does() {
    let root = scene(&[]);
    let editor = Editor::new(root.path()).unwrap();
    let undo = || call(&editor, json!({"command": "undo", "path": "t"}));
    call(&editor, json!({"command": "create", "path": "t", "file_text": "created\n"})).await.unwrap();
    let edit = json!({"command": "str_replace", "path": "t", "old_str": "created", "new_str": "edited"});
    call(&editor, edit).await.unwrap();
    assert_eq!(undo().await.as_deref(), Ok("Undid the last edit of t."));
    assert_eq!(tree(root.path(), ""), [("t".to_owned(), "created\n".to_owned())]);
    // Ours, by design: creating is an edit too.
    assert_eq!(undo().await.as_deref(), Ok("Undid the last edit of t."));
    assert_eq!(tree(root.path(), ""), []);
}

#[tokio::test]
async fn edits_as_openhands_and_swe_agent_have_them() {
    const TEXT: &str = "This is a test file.\nThis file is for testing purposes.";
    let replace = |old: &str, new: &str| json!({"command": "str_replace", "path": "t", "old_str": old, "new_str": new});
    let insert =
        |line: usize, new: &str| json!({"command": "insert", "path": "t", "insert_line": line, "new_str": new});
    let view = |range: Value| json!({"command": "view", "path": "t", "view_range": range});
    let rows = [
        (
            "one text",
            TEXT,
            replace("test file", "sample file"),
            "Edited t.",
            "This is a sample file.\nThis file is for testing purposes.",
        ),
        ("several lines", TEXT, replace(TEXT, "all\nnew"), "Edited t.", "all\nnew"),
        (
            "tabs",
            "def f():\n\tprint(1)",
            replace("f():\n\tprint(1)", "f():\n\tprint(2)"),
            "Edited t.",
            "def f():\n\tprint(2)",
        ),
        ("a line is cut", "1\ncut\n3", replace("cut\n", ""), "Edited t.", "1\n3"),
        ("all is cut", TEXT, replace(TEXT, ""), "Edited t.", ""),
        ("several places", TEXT, replace("test", "x"), "!old_str occurs 2 times in t, on lines 1, 2.", TEXT),
        ("several places of several lines", "a\nb\n\na\nb", replace("a\nb", "x"), "!on lines 1, 4.", "a\nb\n\na\nb"),
        ("no place", TEXT, replace("nowhere at all", "x"), "!old_str not found in t.", TEXT),
        ("nothing to replace", TEXT, replace("", "x"), "!old_str must not be empty.", TEXT),
        ("the same", TEXT, replace("test file", "test file"), "!old_str and new_str are the same.", TEXT),
        (
            "no old_str",
            TEXT,
            json!({"command": "str_replace", "path": "t", "new_str": "x"}),
            "!str_replace needs old_str.",
            TEXT,
        ),
        (
            "a line between",
            TEXT,
            insert(1, "new"),
            "Edited t.",
            "This is a test file.\nnew\nThis file is for testing purposes.",
        ),
        ("an empty line", "1\n2", insert(1, ""), "Edited t.", "1\n\n2"),
        ("at the beginning", "\noriginal", insert(0, "new"), "Edited t.", "new\n\noriginal"),
        ("other letters", "plain", insert(0, "中文文本"), "Edited t.", "中文文本\nplain"),
        ("before the last line", "1\n2\n3", insert(2, "new"), "Edited t.", "1\n2\nnew\n3"),
        ("a line that is not there", TEXT, insert(10, "x"), "!insert_line must be from 0 to 2", TEXT),
        (
            "no insert_line",
            TEXT,
            json!({"command": "insert", "path": "t", "new_str": "x"}),
            "!insert needs insert_line.",
            TEXT,
        ),
        (
            "no new_str",
            TEXT,
            json!({"command": "insert", "path": "t", "insert_line": 1}),
            "!insert needs new_str.",
            TEXT,
        ),
        ("no file_text", TEXT, json!({"command": "create", "path": "n"}), "!create needs file_text.", TEXT),
        (
            "create what is there",
            TEXT,
            json!({"command": "create", "path": "t", "file_text": "x"}),
            "!t already exists",
            TEXT,
        ),
        (
            "a directory is not edited",
            TEXT,
            json!({"command": "str_replace", "path": ".", "old_str": "a", "new_str": "b"}),
            "!. is not a file.",
            TEXT,
        ),
        ("what is not there", TEXT, json!({"command": "view", "path": "n"}), "!n does not exist.", TEXT),
        ("nothing to undo", TEXT, json!({"command": "undo", "path": "t"}), "!No edit of t to undo.", TEXT),
        ("a range", "1\n2\n3\n", view(json!([2, 3])), "2\t2\n3\t3", "1\n2\n3\n"),
        ("a range beyond the end is cut", "1\n2\n3\n", view(json!([1, 10])), "1\t1\n2\t2\n3\t3", "1\n2\n3\n"),
        ("to the end", "1\n2\n3\n", view(json!([2, -1])), "2\t2\n3\t3", "1\n2\n3\n"),
        ("a range turned around", "1\n2\n3\n", view(json!([3, 1])), "!view_range must be", "1\n2\n3\n"),
        // Ours, by design: nothing is shown in part.
        (
            "much text",
            &"Line 1\n".repeat(16_000),
            view(json!(null)),
            "!t is too long to show: 16000 lines",
            &"Line 1\n".repeat(16_000),
        ),
        // Ours, by design: a line that is inserted has an ending, so that the next insert begins a new one.
        ("after the last line", "1\n2", insert(2, "3"), "Edited t.", "1\n2\n3\n"),
        ("into an empty file", "", insert(0, "new"), "Edited t.", "new\n"),
    ];
    for (name, before, arguments, answer, after) in rows {
        let root = scene(&[("t", before)]);
        let editor = Editor::new(root.path()).unwrap();
        let given = call(&editor, arguments).await;
        match answer.strip_prefix('!') {
            Some(reason) => assert!(given.as_ref().is_err_and(|given| given.contains(reason)), "{name}: {given:?}"),
            None => assert_eq!(given.as_deref(), Ok(answer), "{name}"),
        }
        assert_eq!(tree(root.path(), ""), [("t".to_owned(), after.to_owned())], "{name}");
    }
}

#[tokio::test]
async fn encodings_as_openhands_has_them() {
    let (cyrillic, _, _) = encoding_rs::WINDOWS_1251.encode(
        "# -*- coding: cp1251 -*-\n# Тестовый файл с кириллицей\ntext = \"Привет, мир!\"\nmessage = \"Это тестовая строка\"\n",
    );
    let root = scene(&[]);
    let path = root.path().join("t");
    fs::write(&path, &cyrillic).unwrap();
    let editor = Editor::new(root.path()).unwrap();
    let shown = call(&editor, json!({"command": "view", "path": "t", "view_range": [3, 3]})).await;
    assert_eq!(shown.as_deref(), Ok("3\ttext = \"Привет, мир!\""));
    let edit = json!({"command": "str_replace", "path": "t", "old_str": "Привет", "new_str": "Здравствуй"});
    call(&editor, edit).await.unwrap();
    let insert = json!({"command": "insert", "path": "t", "insert_line": 4, "new_str": "# Новая строка"});
    call(&editor, insert).await.unwrap();
    let now = encoding_rs::WINDOWS_1251.decode(&fs::read(&path).unwrap()).0.into_owned();
    assert!(now.contains("Здравствуй, мир!") && now.ends_with("строка\"\n# Новая строка\n"), "{now}");
    for _ in 0..2 {
        call(&editor, json!({"command": "undo", "path": "t"})).await.unwrap();
    }
    assert_eq!(fs::read(&path).unwrap(), *cyrillic);

    // A letter that takes several bytes may lie anywhere, and what comes after much text still counts.
    let much = "更深一层的归属感。".repeat(200);
    for prefix in ["", "a", "ab"] {
        fs::write(&path, format!("{prefix}{much}\n待修改\n")).unwrap();
        call(&editor, json!({"command": "view", "path": "t"})).await.unwrap();
        let edit = json!({"command": "str_replace", "path": "t", "old_str": "待修改", "new_str": "已修改"});
        assert_eq!(call(&editor, edit).await.as_deref(), Ok("Edited t."));
    }
    // Ours, by design: text with a byte that is none in UTF-8 is read in the encoding that it most likely is in, as long as
    // every byte comes back.
    fs::write(&path, b"one\ntwo\xff").unwrap();
    let shown = call(&editor, json!({"command": "view", "path": "t"})).await.unwrap();
    assert!(shown.starts_with("1\tone\n2\ttwo"), "{shown}");
    let edit = json!({"command": "str_replace", "path": "t", "old_str": "one", "new_str": "1"});
    assert_eq!(call(&editor, edit).await.as_deref(), Ok("Edited t."));
    assert_eq!(fs::read(&path).unwrap(), b"1\ntwo\xff");

    for suffix in [&b"\0"[..], &[1; 2000]] {
        fs::write(&path, [much.as_bytes(), suffix].concat()).unwrap();
        let refusal = call(&editor, json!({"command": "view", "path": "t"})).await;
        assert_eq!(refusal, Err("t: it is binary.".to_owned()));
    }
}
