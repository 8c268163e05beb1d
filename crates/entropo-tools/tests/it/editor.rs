//! The editor on real files.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;

use entropo_agent::Tool;
use entropo_tools::{ApplyPatch, EditCheck, Editor, History, MultiEdit, ProposedEdit};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

struct Scene {
    directory: TempDir,
    editor: Editor,
}

fn scene(files: &[(&str, &str)]) -> Scene {
    let directory = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let editor = Editor::new(directory.path()).unwrap();
    Scene { directory, editor }
}

impl Scene {
    async fn call(&self, arguments: Value) -> Result<String, String> {
        let arguments = serde_json::from_value(arguments).unwrap();
        let answer = self.editor.call(arguments, &CancellationToken::new()).await;
        answer.map(|output| output.content).map_err(|error| error.to_string())
    }

    fn content(&self, path: &str) -> String {
        fs::read_to_string(self.directory.path().join(path)).unwrap()
    }
}

fn ok(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn refused(text: &str) -> Result<String, String> {
    Err(text.to_owned())
}

#[tokio::test]
async fn files_are_shown_with_line_numbers() {
    let scene = scene(&[("a", "one\n\n three\nfour"), ("crlf", "x\r\ny\r\n"), ("empty", "")]);
    let view =
        |path: &'static str, range: Value| scene.call(json!({"command": "view", "path": path, "view_range": range}));
    assert_eq!(view("a", json!(null)).await, ok("1\tone\n2\t\n3\t three\n4\tfour"));
    assert_eq!(view("./a", json!([2, 3])).await, ok("2\t\n3\t three"));
    assert_eq!(view("a", json!([4, -1])).await, ok("4\tfour"));
    assert_eq!(view("a", json!([3, 99])).await, ok("3\t three\n4\tfour"));
    assert_eq!(view("crlf", json!(null)).await, ok("1\tx\n2\ty"));
    assert_eq!(view("empty", json!(null)).await, ok("empty is empty."));
    assert_eq!(view("a", json!([5, 6])).await, refused("view_range begins at line 5, but a has 4 lines."));
    for range in [json!([0, 2]), json!([3, 2]), json!([-1, -1]), json!([1, -2])] {
        let message = "view_range must be [first, last] with 1 <= first <= last, or last = -1 for the end.";
        assert_eq!(view("a", range).await, refused(message));
    }
    assert_eq!(view("b", json!(null)).await, refused("b does not exist."));
}

#[tokio::test]
async fn directories_are_listed_two_levels_deep() {
    let files = ["lib/a.sh", "lib/deep/b.sh", "lib/deep/er/c.sh", "lib.sh", ".hidden/d", "lib/.e"];
    let scene = scene(&files.map(|path| (path, "x")));
    let view = |path: &'static str| scene.call(json!({"command": "view", "path": path}));
    assert_eq!(view(".").await, ok("lib.sh\nlib/\nlib/a.sh\nlib/deep/"));
    assert_eq!(view("lib/").await, ok("lib/a.sh\nlib/deep/\nlib/deep/b.sh\nlib/deep/er/"));
    let ranged = scene.call(json!({"command": "view", "path": "lib", "view_range": [1, 2]})).await;
    assert_eq!(ranged, refused("lib is a directory; view_range is for files."));
}

#[tokio::test]
async fn a_directory_of_a_thousand_entries_is_cut() {
    let scene = scene(&[("z/last", "")]);
    for number in 0..999 {
        fs::write(scene.directory.path().join(format!("z/{number:03}")), "").unwrap();
    }
    let shown: Vec<String> = (0..200).map(|number| format!("z/{number:03}")).collect();
    let view = |path: &'static str| scene.call(json!({"command": "view", "path": path}));
    let cut =
        |shown: &[String], more: usize| Ok(format!("{}\n[{more} more; view a directory below]", shown.join("\n")));
    assert_eq!(view("z").await, cut(&shown, 800));
    let above = [&["z/".to_owned()][..], &shown[..199]].concat();
    assert_eq!(view(".").await, cut(&above, 801));
}

#[tokio::test]
async fn what_is_too_long_or_no_text_is_refused_with_advice() {
    let scene = scene(&[("long", &"0123456789abcde\n".repeat(3000))]);
    fs::write(scene.directory.path().join("binary"), b"caf\0").unwrap();
    fs::write(scene.directory.path().join("line"), "short\n".to_owned() + &"x".repeat(40_000)).unwrap();
    fs::write(scene.directory.path().join("huge"), vec![b'x'; 17 << 20]).unwrap();
    let view = |path: &'static str| scene.call(json!({"command": "view", "path": path}));
    let message = "long is too long to show: 3000 lines, 48000 bytes; use search, or give a view_range.";
    assert_eq!(view("long").await, refused(message));
    assert_eq!(view("binary").await, refused("binary: it is binary."));
    let message = "line is too long to show: 2 lines, 40006 bytes; line 2 alone has 40000 bytes: use search, or view \
        the lines beside it.";
    assert_eq!(view("line").await, refused(message));
    assert_eq!(view("huge").await, refused("huge is too large: 17825792 bytes of at most 16777216."));
    let part = scene.call(json!({"command": "view", "path": "long", "view_range": [2999, -1]})).await;
    assert_eq!(part, ok("2999\t0123456789abcde\n3000\t0123456789abcde"));
}

#[tokio::test]
async fn create_edit_and_undo() {
    let scene = scene(&[("lib/x.sh", "a\nb\n")]);
    let new = json!({"command": "create", "path": "new/deep.sh", "file_text": "1\n"});
    assert_eq!(scene.call(new.clone()).await, ok("Created new/deep.sh."));
    assert_eq!(scene.call(new).await, refused("new/deep.sh already exists; use str_replace to change it."));

    let replace = json!({"command": "str_replace", "path": "lib/x.sh", "old_str": "b", "new_str": "c"});
    assert_eq!(scene.call(replace.clone()).await, ok("Edited lib/x.sh."));
    assert_eq!(scene.call(replace).await, refused("old_str not found in lib/x.sh."));
    let insert = json!({"command": "insert", "path": "lib/x.sh", "insert_line": 1, "new_str": "between"});
    assert_eq!(scene.call(insert).await, ok("Edited lib/x.sh."));
    assert_eq!(scene.content("lib/x.sh"), "a\nbetween\nc\n");
    let cut = json!({"command": "str_replace", "path": "lib/x.sh", "old_str": "between\n"});
    assert_eq!(scene.call(cut).await, ok("Edited lib/x.sh."));

    let undo = |path: &'static str| scene.call(json!({"command": "undo", "path": path}));
    for content in ["a\nbetween\nc\n", "a\nc\n", "a\nb\n"] {
        assert_eq!(undo("lib/x.sh").await, ok("Undid the last edit of lib/x.sh."));
        assert_eq!(scene.content("lib/x.sh"), content);
    }
    assert_eq!(undo("lib/x.sh").await, refused("No edit of lib/x.sh to undo."));
    assert_eq!(undo("new/deep.sh").await, ok("Undid the last edit of new/deep.sh."));
    assert!(!scene.directory.path().join("new/deep.sh").exists());
}

#[tokio::test]
async fn undo_does_not_destroy_what_others_wrote() {
    let scene = scene(&[("x", "a\n")]);
    let edit = json!({"command": "insert", "path": "x", "insert_line": 0, "new_str": "b"});
    assert_eq!(scene.call(edit).await, ok("Edited x."));
    fs::write(scene.directory.path().join("x"), "c\n").unwrap();
    let undo = scene.call(json!({"command": "undo", "path": "x"})).await;
    assert_eq!(undo, refused("x has changed since its last edit; nothing undone."));
    assert_eq!(scene.content("x"), "c\n");
}

#[tokio::test]
async fn a_file_that_changed_since_it_was_seen_is_viewed_again_first() {
    let scene = scene(&[("x", "a\nb\nc\n")]);
    let path = scene.directory.path().join("x");
    symlink("x", scene.directory.path().join("link")).unwrap();
    let view = || scene.call(json!({"command": "view", "path": "x", "view_range": [1, 1]}));
    let replace = |old: &'static str, new: &'static str| {
        scene.call(json!({"command": "str_replace", "path": "x", "old_str": old, "new_str": new}))
    };
    let stale = refused("x has changed since it was last viewed or edited here; view it again first.");

    // What was never shown is edited as it is.
    assert_eq!(replace("a", "A").await, ok("Edited x."));
    fs::write(&path, "A\nb\nC\n").unwrap();
    assert_eq!(replace("b", "B").await, stale);
    assert_eq!(scene.call(json!({"command": "insert", "path": "x", "insert_line": 0, "new_str": "0"})).await, stale);
    assert_eq!(replace("b", "B").await, stale, "being refused is not seeing it");
    assert_eq!(fs::read_to_string(&path).unwrap(), "A\nb\nC\n");
    assert_eq!(view().await, ok("1\tA"));
    assert_eq!(replace("b", "B").await, ok("Edited x."));

    assert_eq!(view().await, ok("1\tA"));
    fs::write(&path, "A\nB\nD\n").unwrap();
    let through_link = json!({"command": "str_replace", "path": "link", "old_str": "B", "new_str": "b"});
    let message = "link has changed since it was last viewed or edited here; view it again first.";
    assert_eq!(scene.call(through_link.clone()).await, refused(message));
    // The same content is no change, however it came there.
    fs::write(&path, "A\nB\nC\n").unwrap();
    assert_eq!(scene.call(through_link).await, ok("Edited link."));
    let undo = scene.call(json!({"command": "undo", "path": "link"})).await;
    assert_eq!(undo, ok("Undid the last edit of link."));
    assert_eq!(replace("B", "b").await, ok("Edited x."), "an undo leaves what is known");
}

#[tokio::test]
async fn every_tool_that_shares_a_history_views_again_first() {
    async fn call<T: Tool>(tool: &T, arguments: Value) -> Result<String, String> {
        let answer = tool.call(serde_json::from_value(arguments).unwrap(), &CancellationToken::new()).await;
        answer.map(|output| output.content).map_err(|error| error.to_string())
    }
    let scene = scene(&[("x", "a\nb\n"), ("y", "y\n")]);
    let root = scene.directory.path();
    let history = History::new();
    let editor = Editor::new(root).unwrap().with_history(&history);
    let edits = MultiEdit::new(root).unwrap().with_history(&history);
    let patch = ApplyPatch::new(root).unwrap().with_history(&history);
    let edited = || json!({"path": "x", "edits": [{"old_str": "b", "new_str": "B"}]});
    let patched = |body: &str| json!({"patch": format!("*** Begin Patch\n{body}*** End Patch\n")});
    let unified = json!({"patch": "--- a/x\n+++ b/x\n@@ -2 +2 @@\n-b\n+B\n"});

    call(&editor, json!({"command": "view", "path": "x"})).await.unwrap();
    fs::write(root.join("x"), "a\nb\nc\n").unwrap();
    let stale = "x has changed since it was last viewed or edited here; view it again first.";
    assert_eq!(call(&edits, edited()).await, refused(stale));
    for body in [
        patched("*** Update File: y\n-y\n+Y\n*** Update File: x\n-b\n+B\n"),
        patched("*** Delete File: x\n"),
        patched("*** Update File: x\n*** Move to: z\n-b\n+B\n"),
        unified.clone(),
    ] {
        assert_eq!(call(&patch, body).await, Err(format!("Nothing changed.\n{stale}")));
    }
    assert_eq!((scene.content("x"), scene.content("y")), ("a\nb\nc\n".to_owned(), "y\n".to_owned()));

    call(&editor, json!({"command": "view", "path": "x"})).await.unwrap();
    assert_eq!(call(&edits, edited()).await, ok("Edited x."));
    fs::write(root.join("x"), "a\nb\n").unwrap();
    assert_eq!(
        call(&patch, unified.clone()).await,
        Err(format!("Nothing changed.\n{stale}")),
        "what was edited is known too"
    );
    call(&editor, json!({"command": "view", "path": "x"})).await.unwrap();
    assert_eq!(call(&patch, unified).await, ok("Edited x."));
}

#[tokio::test]
async fn what_is_not_text_alone_is_kept() {
    let utf16 = |text: &str| -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    for (before, inserted, replaced) in [
        (b"\xef\xbb\xbfa\r\nb".to_vec(), b"\xef\xbb\xbf0\r\na\r\nb".to_vec(), b"\xef\xbb\xbf0\r\na\r\nc\r\nd".to_vec()),
        (utf16("a\nb\n"), utf16("0\na\nb\n"), utf16("0\na\nc\nd\n")),
        (b"a\xe9\nb".to_vec(), b"0\na\xe9\nb".to_vec(), b"0\na\xe9\nc\nd".to_vec()),
        (b"a\r\nx\nb".to_vec(), b"0\na\r\nx\nb".to_vec(), b"0\na\r\nx\nc\nd".to_vec()),
    ] {
        let scene = scene(&[]);
        let path = scene.directory.path().join("real");
        fs::write(&path, &before).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("real", scene.directory.path().join("link")).unwrap();
        let insert = json!({"command": "insert", "path": "link", "insert_line": 0, "new_str": "0"});
        assert_eq!(scene.call(insert).await, ok("Edited link."));
        assert_eq!(fs::read(&path).unwrap(), inserted);
        let replace = json!({"command": "str_replace", "path": "link", "old_str": "b", "new_str": "c\nd"});
        assert_eq!(scene.call(replace).await, ok("Edited link."));
        assert_eq!(fs::read(&path).unwrap(), replaced);
        for content in [&inserted, &before] {
            assert_eq!(
                scene.call(json!({"command": "undo", "path": "link"})).await,
                ok("Undid the last edit of link.")
            );
            assert_eq!(&fs::read(&path).unwrap(), content);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(scene.directory.path().join("link").is_symlink());
    }
}

#[derive(Debug)]
struct NoTabs;

impl EditCheck for NoTabs {
    fn check(&self, edit: &ProposedEdit<'_>) -> Result<(), String> {
        let had = edit.before.is_some_and(|before| before.contains(&b'\t'));
        if !had && edit.after.contains(&b'\t') { Err("use spaces.".to_owned()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn an_edit_that_its_check_refuses_is_not_kept() {
    let scene = scene(&[("x", "a\n"), ("tabs", "\ta\n")]);
    let editor = Editor::new(scene.directory.path()).unwrap().with_check(Arc::new(NoTabs));
    let scene = Scene { editor, ..scene };
    let replace = |path: &'static str| {
        scene.call(json!({"command": "str_replace", "path": path, "old_str": "a", "new_str": "\tb"}))
    };
    assert_eq!(replace("x").await, refused("x: use spaces."));
    assert_eq!(scene.content("x"), "a\n");
    assert_eq!(replace("tabs").await, ok("Edited tabs."));
    let create = json!({"command": "create", "path": "new/y", "file_text": "\t"});
    assert_eq!(scene.call(create).await, refused("new/y: use spaces."));
    assert!(!scene.directory.path().join("new").exists());
}

#[tokio::test]
async fn missing_arguments_are_named() {
    let scene = scene(&[("x", "a\n")]);
    for (command, message) in [
        ("create", "create needs file_text."),
        ("str_replace", "str_replace needs old_str."),
        ("insert", "insert needs insert_line."),
    ] {
        assert_eq!(scene.call(json!({"command": command, "path": "x"})).await, refused(message));
    }
}

#[tokio::test]
async fn permissions_are_kept_and_nothing_else_is_left() {
    let scene = scene(&[("x.sh", "a\n")]);
    let path = scene.directory.path().join("x.sh");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o754)).unwrap();
    let edit = json!({"command": "str_replace", "path": "x.sh", "old_str": "a", "new_str": "b"});
    assert_eq!(scene.call(edit).await, ok("Edited x.sh."));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o754);
    let create = json!({"command": "create", "path": "y", "file_text": ""});
    assert_eq!(scene.call(create).await, ok("Created y."));
    fs::write(scene.directory.path().join("z"), "").unwrap();
    let mode = |name: &str| fs::metadata(scene.directory.path().join(name)).unwrap().permissions().mode();
    assert_eq!(mode("y"), mode("z"), "as any new file");
    assert_eq!(fs::read_dir(scene.directory.path()).unwrap().count(), 3);
}

#[tokio::test]
async fn no_path_leaves_the_workspace() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "s\n").unwrap();
    let scene = scene(&[("x", "a\n")]);
    symlink(outside.path(), scene.directory.path().join("link")).unwrap();
    symlink(outside.path().join("secret"), scene.directory.path().join("file")).unwrap();
    let absolute = outside.path().join("secret");
    for path in [absolute.to_str().unwrap(), "../x", "x/../../x", "link/secret", "file", "link", "link/new"] {
        for command in [
            json!({"command": "view", "path": path}),
            json!({"command": "create", "path": path, "file_text": "t"}),
            json!({"command": "str_replace", "path": path, "old_str": "s", "new_str": "t"}),
            json!({"command": "insert", "path": path, "insert_line": 0, "new_str": "t"}),
            json!({"command": "undo", "path": path}),
        ] {
            assert_eq!(scene.call(command).await, Err(format!("{path}: path leaves the workspace.")));
        }
    }
    assert_eq!(fs::read_to_string(absolute).unwrap(), "s\n");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}
