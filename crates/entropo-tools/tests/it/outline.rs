//! Outlines of real files.

use entropo_agent::Tool;
use entropo_tools::Outline;
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::search::tree;

async fn outline(directory: &TempDir, path: &str) -> Result<String, String> {
    let outline = Outline::new(directory.path()).unwrap();
    let answer = outline.call(serde_json::from_value(json!({"path": path})).unwrap(), &CancellationToken::new()).await;
    answer.map(|output| output.content).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_file_or_a_directory_is_outlined() {
    let directory = tree(&[
        (".gitignore", b"out.rs\n"),
        (".hidden.rs", b"fn hidden() {}\n"),
        ("src/out.rs", b"fn out() {}\n"),
        ("src/b.py", b"class A:\n    def f(self):\n        pass\n"),
        ("src/a.rs", b"struct S;\n\nimpl S {\n    fn f() {\n    }\n}\n"),
        ("src/empty.rs", b"\n"),
        ("src/notes.txt", b"fn no() {}\n"),
        ("src/binary.rs", b"\xff\0\n"),
        ("z.go", b"package z\nfunc f() {}\n"),
    ]);
    std::os::unix::fs::symlink("/", directory.path().join("out")).unwrap();
    assert_eq!(outline(&directory, "src/a.rs").await.unwrap(), "1 struct S\n3-6 impl S\n  4-5 fn f");
    let src = "src/a.rs\n  1 struct S\n  3-6 impl S\n    4-5 fn f\nsrc/b.py\n  1-3 class A\n    2-3 def f";
    assert_eq!(outline(&directory, "src").await.unwrap(), src);
    assert_eq!(outline(&directory, ".").await.unwrap(), format!("{src}\nz.go\n  2 func f"));
    assert_eq!(outline(&directory, ".hidden.rs").await.unwrap(), "1 fn hidden");
    assert_eq!(outline(&directory, "src/empty.rs").await.unwrap(), "No definitions in src/empty.rs.");
    for (path, said) in [
        ("src/notes.txt", "src/notes.txt: the language is not known."),
        ("src/binary.rs", "src/binary.rs is not UTF-8 text."),
        ("absent.rs", "absent.rs does not exist."),
        ("../x.rs", "../x.rs: path leaves the workspace."),
        ("out", "out: path leaves the workspace."),
    ] {
        assert_eq!(outline(&directory, path).await.unwrap_err(), said);
    }
    let empty = tree(&[("x", b"")]);
    assert_eq!(outline(&empty, ".").await.unwrap(), "No definitions.");
}

#[tokio::test]
async fn much_is_cut() {
    let many: String = (0..250).map(|number| format!("fn f{number}() {{}}\n")).collect();
    let few = "fn g() {}\n".repeat(150);
    let directory =
        tree(&[("a.rs", many.as_bytes()), ("b/a.rs", few.as_bytes()), ("b/b.rs", few.as_bytes()), ("b/c.rs", b"")]);
    let found = outline(&directory, "a.rs").await.unwrap();
    assert!(found.ends_with("200 fn f199\n[50 more definitions]"), "{found}");
    let found = outline(&directory, ".").await.unwrap();
    assert!(
        found.ends_with("200 fn f199\n[50 more definitions in the last file, 3 more files; narrow the path]"),
        "{found}"
    );
    let found = outline(&directory, "b").await.unwrap();
    assert!(
        found.ends_with("\n  50 fn g\n[100 more definitions in the last file, 1 more file; narrow the path]"),
        "{found}"
    );
    let large = "// x\n".repeat(300_000);
    let deep = "a<".repeat(50_000);
    let directory = tree(&[("large.rs", large.as_bytes()), ("Deep.java", deep.as_bytes())]);
    assert_eq!(
        outline(&directory, "large.rs").await.unwrap_err(),
        "large.rs: 1500000 bytes are too many to parse; at most 1048576 are."
    );
    assert_eq!(
        outline(&directory, "Deep.java").await.unwrap_err(),
        "Deep.java: more than 256 brackets are open at once, which is too deep to parse."
    );
}
