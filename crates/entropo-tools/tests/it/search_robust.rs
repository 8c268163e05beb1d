//! The searches on trees that somebody made to trouble them.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use entropo_agent::Tool;
use entropo_tools::{Glob, Grep, Search};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::search::tree;

async fn call<T: Tool>(tool: &T, arguments: Value) -> Result<String, String> {
    let answer = tool.call(serde_json::from_value(arguments).unwrap(), &CancellationToken::new()).await;
    answer.map(|output| output.content).map_err(|error| error.to_string())
}

async fn search(directory: &TempDir, arguments: Value) -> Result<String, String> {
    call(&Search::new(directory.path()).unwrap(), arguments).await
}

async fn grep(directory: &TempDir, arguments: Value) -> Result<String, String> {
    call(&Grep::new(directory.path()).unwrap(), arguments).await
}

async fn glob(directory: &TempDir, arguments: Value) -> Result<String, String> {
    call(&Glob::new(directory.path()).unwrap(), arguments).await
}

#[tokio::test]
async fn grep_shows_lines_or_files_of_any_case_hidden_or_plain() {
    let directory = tree(&[
        (".gitignore", b"build\n"),
        (".github/x.yml", b"Word\n"),
        (".git/config", b"word\n"),
        ("build/x.rs", b"word\n"),
        ("a.rs", b"word\nWORD\n"),
        ("src/b.rs", b"a.b\nword\n"),
        ("src/c.py", b"axb\nword\n"),
    ]);
    for (arguments, expected) in [
        (json!({"pattern": "word"}), "a.rs:1:word\nsrc/b.rs:2:word\nsrc/c.py:2:word"),
        (json!({"pattern": "word", "glob": "*.rs"}), "a.rs:1:word\nsrc/b.rs:2:word"),
        (json!({"pattern": "word", "glob": "src/*"}), "src/b.rs:2:word\nsrc/c.py:2:word"),
        (json!({"pattern": "word", "path": "src", "glob": "b.*"}), "src/b.rs:2:word"),
        (json!({"pattern": "word", "path": "src", "glob": "/b.*"}), "src/b.rs:2:word"),
        (json!({"pattern": "word", "path": "src/b.rs", "glob": "*.py"}), "No match for \"word\"."),
        (json!({"pattern": "word", "path": "src/b.rs", "glob": "*.rs"}), "src/b.rs:2:word"),
        (json!({"pattern": "word", "ignore_case": true, "show": "files"}), "a.rs:2\nsrc/b.rs:1\nsrc/c.py:1"),
        (json!({"pattern": "Word", "hidden": true}), ".github/x.yml:1:Word"),
        (json!({"pattern": "word", "path": "build"}), "build/x.rs:1:word"),
        (json!({"pattern": "Word", "path": ".github"}), ".github/x.yml:1:Word"),
        (json!({"pattern": "a.b", "literal": true}), "src/b.rs:1:a.b"),
        (json!({"pattern": "a.b"}), "src/b.rs:1:a.b\nsrc/c.py:1:axb"),
    ] {
        assert_eq!(grep(&directory, arguments.clone()).await.unwrap(), expected, "{arguments}");
    }
    for (arguments, expected) in [
        (json!({"pattern": "f("}), "pattern is not a regular expression: unclosed group."),
        (json!({"pattern": ""}), "pattern must be one line and not empty."),
        (json!({"pattern": "a", "glob": "["}), "glob is not a glob: unclosed character class; missing ']'."),
        (json!({"pattern": "a", "path": ".."}), "..: path leaves the workspace."),
        (json!({"pattern": "a", "path": "absent"}), "absent does not exist."),
    ] {
        assert_eq!(grep(&directory, arguments).await.unwrap_err(), expected);
    }
}

#[tokio::test]
async fn glob_shows_what_is_near_first() {
    let directory = tree(&[
        (".gitignore", b"*.o\n"),
        (".hidden/a.rs", b""),
        (".git/a.rs", b""),
        ("a/b/c/a.rs", b""),
        ("z.rs", b""),
        ("a/y.rs", b""),
        ("a-b/x.rs", b""),
        ("x.o", b""),
        ("notes", b""),
    ]);
    for (arguments, expected) in [
        (json!({"pattern": "*.rs"}), "z.rs\na-b/x.rs\na/y.rs\na/b/c/a.rs"),
        (json!({"pattern": "*.rs", "path": "a"}), "a/y.rs\na/b/c/a.rs"),
        (json!({"pattern": "b/**", "path": "a"}), "a/b/c/a.rs"),
        (json!({"pattern": "*.rs", "hidden": true}), "z.rs\n.hidden/a.rs\na-b/x.rs\na/y.rs\na/b/c/a.rs"),
        (json!({"pattern": "*.rs", "path": ".hidden"}), ".hidden/a.rs"),
        (json!({"pattern": "*.o"}), "No file matches \"*.o\"."),
        (json!({"pattern": "notes", "path": "notes"}), "notes"),
    ] {
        assert_eq!(glob(&directory, arguments.clone()).await.unwrap(), expected, "{arguments}");
    }
    assert_eq!(glob(&directory, json!({"pattern": ""})).await.unwrap_err(), "pattern must not be empty.");
    assert_eq!(
        glob(&directory, json!({"pattern": "*", "path": "/"})).await.unwrap_err(),
        "/: path leaves the workspace."
    );
}

#[tokio::test]
async fn a_regex_bomb_is_refused() {
    let directory = tree(&[("x", b"word\n")]);
    let bomb = "((a{1000}){1000}){1000}";
    let said = "is too large: compiled it takes more than 10485760 bytes. Repeat less.";
    assert_eq!(search(&directory, json!({"query": bomb})).await.unwrap_err(), format!("query {said}"));
    assert_eq!(grep(&directory, json!({"pattern": bomb})).await.unwrap_err(), format!("pattern {said}"));
    let said = search(&directory, json!({"query": "(".repeat(100_000)})).await.unwrap_err();
    assert_eq!(said, "query is longer than 4096 bytes.");
    let evil = tree(&[("x", "a".repeat(1 << 20).as_bytes())]);
    assert_eq!(search(&evil, json!({"query": "(a|aa)+$|(a*)*b"})).await.unwrap(), format!("x:1:{}…", "a".repeat(200)));
}

#[tokio::test]
async fn nul_bytes_anywhere_make_a_file_binary() {
    let mut late = "word\n".repeat(100_000).into_bytes();
    late.push(0);
    let directory = tree(&[("early", b"\0word\n"), ("late", &late), ("text", b"word\n")]);
    assert_eq!(search(&directory, json!({"query": "word"})).await.unwrap(), "text:1:word");
    assert_eq!(search(&directory, json!({"query": "\0"})).await.unwrap(), "No match for \"\0\".");
    assert!(glob(&directory, json!({"pattern": "\0"})).await.is_ok());
}

#[tokio::test]
async fn links_are_not_followed() {
    let outside = tree(&[("secret", b"word\n")]);
    let directory = tree(&[("in/x", b"word\n")]);
    symlink(outside.path(), directory.path().join("directory")).unwrap();
    symlink(outside.path().join("secret"), directory.path().join("file")).unwrap();
    symlink(".", directory.path().join("loop")).unwrap();
    symlink("in", directory.path().join("alias")).unwrap();
    assert_eq!(search(&directory, json!({"query": "word"})).await.unwrap(), "in/x:1:word");
    assert_eq!(glob(&directory, json!({"pattern": "**"})).await.unwrap(), "in/x");
    assert_eq!(grep(&directory, json!({"pattern": "word", "path": "alias"})).await.unwrap(), "in/x:1:word");
    for path in ["directory", "file"] {
        let said = format!("{path}: path leaves the workspace.");
        assert_eq!(search(&directory, json!({"query": "word", "path": path})).await.unwrap_err(), said);
        assert_eq!(glob(&directory, json!({"pattern": "*", "path": path})).await.unwrap_err(), said);
    }
}

#[test]
fn what_never_ends_is_not_read_and_is_no_rule() {
    let outside = tree(&[("rules", b"x\n")]);
    let names = ["fine", "large", "out", "pipe", "zero"];
    let found = crate::within(60, move || async move {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: String| directory.path().join(path);
        for name in names {
            fs::create_dir(at(name.to_owned())).unwrap();
            fs::write(at(format!("{name}/x")), "word\n").unwrap();
        }
        mkfifo(&at("queue".to_owned()), Mode::S_IRWXU).unwrap();
        mkfifo(&at("pipe/.gitignore".to_owned()), Mode::S_IRWXU).unwrap();
        symlink("/dev/zero", at("zero/.gitignore".to_owned())).unwrap();
        symlink(outside.path().join("rules"), at("out/.gitignore".to_owned())).unwrap();
        fs::write(at("large/.gitignore".to_owned()), "x\n").unwrap();
        fs::File::options().write(true).open(at("large/.gitignore".to_owned())).unwrap().set_len(1 << 30).unwrap();
        let queue = search(&directory, json!({"query": "word", "path": "queue"})).await;
        (search(&directory, json!({"query": "word"})).await.unwrap(), queue.unwrap())
    });
    let all = names.map(|name| format!("{name}/x:1:word")).join("\n");
    assert_eq!(found, (all, "No match for \"word\".".to_owned()));
}

#[tokio::test]
async fn a_rule_brings_back_what_is_hidden_or_ignored_above() {
    let directory = tree(&[
        (".gitignore", b"*.log\n!.shown\n"),
        (".shown", b"word\n"),
        (".hidden", b"word\n"),
        ("a.log", b"word\n"),
        ("d/.gitignore", b"!kept.log\n"),
        ("d/kept.log", b"word\n"),
        ("d/b.log", b"word\n"),
    ]);
    assert_eq!(search(&directory, json!({"query": "word"})).await.unwrap(), ".shown:1:word\nd/kept.log:1:word");
}

#[tokio::test]
async fn a_hundred_thousand_files_give_the_same_answer_each_time() {
    let directory = tempfile::tempdir().unwrap();
    for part in 0..100 {
        let part = directory.path().join(format!("part{part:02}"));
        fs::create_dir(&part).unwrap();
        for file in 0..1000 {
            fs::write(part.join(format!("f{file:03}")), if file % 500 == 7 { "rare\ncommon\n" } else { "common\n" })
                .unwrap();
        }
    }
    let expected: Vec<String> =
        (0..50).flat_map(|part| [7, 507].map(|file| format!("part{part:02}/f{file:03}:1:rare"))).collect();
    let expected = format!("{}\n[100 more lines; narrow the query or the path]", expected.join("\n"));
    let common: Vec<String> = (0..100).map(|file| format!("part00/f{file:03}:1:common")).collect();
    let common: Vec<String> = common
        .into_iter()
        .map(|line| if line.ends_with("f007:1:common") { line.replace(":1:", ":2:") } else { line })
        .collect();
    let common = format!("{}\n[more than 10000 more lines; narrow the query or the path]", common.join("\n"));
    for threads in [1, 2, 7] {
        let search = Search::new(directory.path()).unwrap().with_threads(threads);
        assert_eq!(call(&search, json!({"query": "rare"})).await.unwrap(), expected);
        assert_eq!(call(&search, json!({"query": "common"})).await.unwrap(), common);
        assert_eq!(call(&search, json!({"query": "absent"})).await.unwrap(), "No match for \"absent\".");
        let glob = Glob::new(directory.path()).unwrap().with_threads(threads);
        let found = call(&glob, json!({"pattern": "f00[5-9]"})).await.unwrap();
        let lines: Vec<&str> = found.lines().collect();
        assert_eq!((lines[0], lines[99]), ("part00/f005", "part19/f009"));
        assert_eq!(lines[100], "[400 more files; narrow the pattern or the path]");
        let found = call(&glob, json!({"pattern": "f*"})).await.unwrap();
        assert!(found.ends_with("part00/f099\n[more than 10000 more files; narrow the pattern or the path]"));
    }
}

#[tokio::test]
async fn a_line_of_a_hundred_megabytes_is_left_out_and_said() {
    let directory = tree(&[("x", b"word\n")]);
    let mut long = BufWriter::new(fs::File::create(directory.path().join("long")).unwrap());
    for _ in 0..100 {
        long.write_all(&vec![b'w'; 1 << 20]).unwrap();
    }
    long.write_all(b"\nword\n").unwrap();
    drop(long);
    assert_eq!(
        search(&directory, json!({"query": "word"})).await.unwrap(),
        "x:1:word\n[1 file left out: a line is longer than 16777216 bytes]"
    );
    assert_eq!(
        search(&directory, json!({"query": "w+$", "path": "long"})).await.unwrap(),
        "No match for \"w+$\".\n[1 file left out: a line is longer than 16777216 bytes]"
    );
}

#[tokio::test]
async fn what_may_not_be_read_is_left_out() {
    let directory = tree(&[("closed/x", b"word\n"), ("file", b"word\n"), ("open", b"word\n")]);
    let set = |path: &str, mode| {
        fs::set_permissions(directory.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    set("closed", 0o000);
    set("file", 0o000);
    // Nothing is closed to root.
    let is_root = fs::read_dir(directory.path().join("closed")).is_ok();
    let expected = if is_root { "closed/x:1:word\nfile:1:word\nopen:1:word" } else { "open:1:word" };
    let found = search(&directory, json!({"query": "word"})).await;
    set("closed", 0o755);
    assert_eq!(found.unwrap(), expected);
}

#[tokio::test]
async fn names_that_are_no_text_are_shown_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    for name in [&b"a\xffb"[..], b"two\nlines", b"\x1b[31m"] {
        fs::write(directory.path().join(Path::new(OsStr::from_bytes(name))), "word\n").unwrap();
    }
    assert_eq!(
        search(&directory, json!({"query": "word"})).await.unwrap(),
        "\u{fffd}[31m:1:word\na\u{fffd}b:1:word\ntwo\u{fffd}lines:1:word"
    );
    assert_eq!(glob(&directory, json!({"pattern": "a*"})).await.unwrap(), "a\u{fffd}b");
}

#[tokio::test]
async fn a_cancelled_search_ends() {
    let directory = tree(&[("x", b"word\n")]);
    let cancel = CancellationToken::new();
    cancel.cancel();
    let arguments = serde_json::from_value(json!({"query": "word"})).unwrap();
    let found = Search::new(directory.path()).unwrap().call(arguments, &cancel).await.unwrap();
    assert_eq!(found.content, "No match for \"word\".");
}
