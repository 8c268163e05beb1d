//! Several replacements at once, and taking changes back.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use entropo_agent::Tool;
use entropo_tools::{ApplyPatch, Editor, History, MultiEdit, Undo};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

async fn call<T: Tool>(tool: &T, arguments: Value) -> Result<String, String> {
    let answer = tool.call(serde_json::from_value(arguments).unwrap(), &CancellationToken::new()).await;
    answer.map(|output| output.content).map_err(|error| error.to_string())
}

struct Scene {
    root: TempDir,
    editor: Editor,
    edits: MultiEdit,
    patch: ApplyPatch,
    undo: Undo,
}

fn scene(files: &[(&str, &[u8])]) -> Scene {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        fs::write(root.path().join(path), content).unwrap();
    }
    let history = History::new();
    Scene {
        editor: Editor::new(root.path()).unwrap().with_history(&history),
        edits: MultiEdit::new(root.path()).unwrap().with_history(&history),
        patch: ApplyPatch::new(root.path()).unwrap().with_history(&history),
        undo: Undo::new(root.path(), &history).unwrap(),
        root,
    }
}

impl Scene {
    async fn edit(&self, path: &str, edits: &[(&str, &str)]) -> Result<String, String> {
        let edits: Vec<Value> = edits.iter().map(|(old, new)| json!({"old_str": old, "new_str": new})).collect();
        call(&self.edits, json!({"path": path, "edits": edits})).await
    }

    async fn undo(&self, path: &str) -> Result<String, String> {
        call(&self.undo, json!({"path": path})).await
    }

    fn content(&self, path: &str) -> Vec<u8> {
        fs::read(self.root.path().join(path)).unwrap()
    }
}

fn undone(path: &str) -> Result<String, String> {
    Ok(format!("Undid the last edit of {path}."))
}

#[tokio::test]
async fn each_replacement_sees_the_ones_before() {
    let scene = scene(&[("x", b"a\r\nb\r\nc\r\n"), ("latin", b"le caf\xe9 noir\n")]);
    let edits = [("a\nb", "b\nb2"), ("b2\nc", "d")];
    assert_eq!(scene.edit("x", &edits).await, Ok("Edited x in 2 places.".to_owned()));
    assert_eq!(scene.content("x"), b"b\r\nd\r\n");
    assert_eq!(scene.edit("latin", &[("noir", "crème")]).await, Ok("Edited latin.".to_owned()));
    assert_eq!(scene.content("latin"), b"le caf\xe9 cr\xe8me\n");
}

#[tokio::test]
async fn one_that_does_not_match_once_stops_all() {
    let scene = scene(&[("x", b"a\nb\n"), ("bin", b"a\0b")]);
    for (edits, reason) in [
        (vec![("a", "b"), ("b", "c")], "Nothing changed; edit 2: old_str occurs 2 times in x, on lines 1, 2."),
        (vec![("a", "c"), ("a", "d")], "Nothing changed; edit 2: old_str not found in x."),
        (vec![], "edits must have from 1 to 100 entries; there are 0."),
    ] {
        assert_eq!(scene.edit("x", &edits).await, Err(reason.to_owned()));
    }
    assert_eq!(scene.content("x"), b"a\nb\n");
    assert_eq!(scene.edit("bin", &[("a", "b")]).await, Err("bin: it is binary.".to_owned()));
    assert_eq!(scene.edit("y", &[("a", "b")]).await, Err("y does not exist.".to_owned()));
    assert_eq!(scene.edit("../y", &[("a", "b")]).await, Err("../y: path leaves the workspace.".to_owned()));
}

#[tokio::test]
async fn all_tools_changes_are_taken_back_in_turn() {
    let scene = scene(&[("x", b"a\n"), ("gone", b"g\n")]);
    fs::set_permissions(scene.root.path().join("gone"), fs::Permissions::from_mode(0o750)).unwrap();
    let replace = json!({"command": "str_replace", "path": "x", "old_str": "a", "new_str": "b"});
    assert_eq!(call(&scene.editor, replace).await, Ok("Edited x.".to_owned()));
    let create = json!({"command": "create", "path": "new", "file_text": "n\n"});
    assert_eq!(call(&scene.editor, create).await, Ok("Created new.".to_owned()));
    scene.edit("x", &[("b", "c")]).await.unwrap();
    let patch =
        "*** Begin Patch\n*** Update File: x\n-c\n+d\n*** Delete File: gone\n*** Add File: made\n+m\n*** End Patch";
    call(&scene.patch, json!({"patch": patch})).await.unwrap();
    assert_eq!(scene.content("x"), b"d\n");

    assert_eq!(scene.undo("gone").await, undone("gone"));
    let mode = fs::metadata(scene.root.path().join("gone")).unwrap().permissions().mode();
    assert_eq!((scene.content("gone"), mode & 0o777), (b"g\n".to_vec(), 0o750));
    assert_eq!(scene.undo("x").await, undone("x"));
    let by_editor = json!({"command": "undo", "path": "x"});
    assert_eq!(call(&scene.editor, by_editor).await, undone("x"));
    assert_eq!(scene.content("x"), b"b\n");
    assert_eq!(scene.undo("x").await, undone("x"));
    for created in ["new", "made"] {
        assert_eq!(scene.undo(created).await, undone(created));
        assert!(!scene.root.path().join(created).exists());
        assert_eq!(scene.undo(created).await, Err(format!("No edit of {created} to undo.")));
    }
    assert_eq!(scene.content("x"), b"a\n");
    assert_eq!(scene.undo("../x").await, Err("../x: path leaves the workspace.".to_owned()));
}

#[tokio::test]
async fn what_others_changed_is_not_taken_back() {
    let scene = scene(&[("x", b"a\n"), ("y", b"a\n")]);
    scene.edit("x", &[("a", "b")]).await.unwrap();
    scene.edit("y", &[("a", "b")]).await.unwrap();
    fs::write(scene.root.path().join("x"), "other\n").unwrap();
    fs::remove_file(scene.root.path().join("y")).unwrap();
    for path in ["x", "y"] {
        let reason = format!("{path} has changed since its last edit; nothing undone.");
        assert_eq!(scene.undo(path).await, Err(reason));
    }
    assert_eq!(scene.content("x"), b"other\n");
    fs::write(scene.root.path().join("x"), "b\n").unwrap();
    assert_eq!(scene.undo("x").await, undone("x"), "the change is still known");
}

#[tokio::test]
async fn a_hundred_changes_of_a_file_are_kept() {
    let scene = scene(&[("x", b"0\n"), ("y", b"0\n")]);
    for number in 0..102 {
        scene.edit("x", &[(&number.to_string(), &(number + 1).to_string())]).await.unwrap();
    }
    scene.edit("y", &[("0", "1")]).await.unwrap();
    for _ in 0..100 {
        assert_eq!(scene.undo("x").await, undone("x"));
    }
    assert_eq!(scene.undo("x").await, Err("No edit of x to undo.".to_owned()));
    assert_eq!(scene.content("x"), b"2\n");
    assert_eq!(scene.undo("y").await, undone("y"));
}
