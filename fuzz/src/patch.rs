//! Patches to the files of a workspace.

use entropo_tools::ApplyPatch;
use entropo_tools::patch::ApplyPatchArgs;

use crate::place::Place;

/// A file's content and a patch, or else a patch alone. A patch that is refused changes nothing, one that is not refused changes
/// files only that it names, and none outside the workspace.
pub fn patch(input: &[u8]) {
    let parts = crate::parts(input, "%%");
    let (content, patch) = match parts.as_slice() {
        [content, patch, ..] => (*content, crate::text(patch)),
        _ => (b"one\ntwo\nthree\n".as_slice(), crate::text(input)),
    };
    let place = Place::new();
    place.write("a", content);
    place.write("b/c.py", b"def f():\n\treturn 1\n\n\ndef g():\n\treturn 2\n");
    place.write("d", b"x\r\ny\r\nz");
    let before = place.files();
    let tool = ApplyPatch::new(place.root()).unwrap();
    let applied = place.call(&tool, ApplyPatchArgs { patch: patch.clone() });
    let after = place.files();
    if !applied {
        assert_eq!(before, after, "a patch that is refused changes nothing");
    }
    for (path, content) in &before {
        let name = path.file_name().unwrap().to_string_lossy();
        let kept = after.get(path) == Some(content);
        assert!(kept || patch.contains(&*name) || patch.contains('\\'), "{name} is changed and not named");
    }
    for path in after.keys() {
        assert!(path.starts_with(place.root()), "{} is outside", path.display());
    }
}
