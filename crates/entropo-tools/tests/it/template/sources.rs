//! Directories, commits and archives, also such as were made to do harm.

use std::io::Write;
use std::process::Command;

use entropo_tools::Workspace;
use entropo_tools::workspace::{Limits, Note, Source};

use super::{MetadataExt, Path, PathBuf, PermissionsExt, Template, WorkspaceError, each, fs, project, tree, write};

fn git(directory: &Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=x", "-c", "user.email=x@x", "-c", "init.defaultBranch=main"];
    let output = Command::new("git").args(identity).args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_commit_is_taken_to_the_byte_and_the_working_tree_left_alone() {
    let attributes = b"* text eol=crlf\nhidden export-ignore\n";
    let repository = project(&[("lib/x*", b"1\n"), ("hidden", b"h\n"), (".gitattributes", attributes)]);
    std::os::unix::fs::symlink("lib/x", repository.path().join("link")).unwrap();
    let root = repository.path();
    git(root, &["init", "-q"]);
    git(root, &["add", "-A"]);
    let zeros = "1111111111111111111111111111111111111111";
    git(root, &["update-index", "--add", "--cacheinfo", &format!("160000,{zeros},sub")]);
    git(root, &["commit", "-q", "-m", "x"]);
    let mut expected = tree(root);
    expected.retain(|path, _| !path.starts_with(".git"));
    write(root, "lib/x", b"changed since\n");
    let template = Template::of(Source::commit(root, "HEAD")).make().await.unwrap();
    assert_eq!(tree(template.files()), expected);
    assert!(template.notes().contains(&Note::Submodule("sub".into())), "{:?}", template.notes());
    for revision in ["absent", "--all", "HEAD:lib/x", ""] {
        let error = Template::of(Source::commit(root, revision)).make().await.unwrap_err();
        assert!(matches!(error, WorkspaceError::Refused { .. } | WorkspaceError::Git { .. }), "{error}");
    }
}

type Entry<'a> = (&'a str, tar::EntryType, &'a str, &'a [u8]);

/// A tar with names that its library would not write.
fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, target, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

async fn unpacked(bytes: &[u8], limits: Limits) -> Result<Template, WorkspaceError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    Template::of(Source::archive(file.path())).limits(limits).make().await
}

#[tokio::test]
async fn hostile_archives_are_refused_and_nothing_is_left_of_them() {
    use tar::EntryType as Kind;
    let outer = tempfile::tempdir().unwrap();
    let outside = outer.path().to_str().unwrap().to_owned();
    let (link, absolute) = (format!("{outside}/made"), format!("{outside}/absolute"));
    let file = ("x", Kind::Regular, "", b"x".as_slice());
    let cases: [(Vec<Entry<'_>>, &str); 12] = [
        (vec![("../made", Kind::Regular, "", b"x")], "leads out by `..`"),
        (vec![("a/../../made", Kind::Directory, "", b"")], "leads out by `..`"),
        (vec![(&absolute, Kind::Regular, "", b"x")], "is absolute"),
        (
            vec![("l", Kind::Symlink, &outside, b""), ("l/made", Kind::Regular, "", b"x")],
            "leads through a file or a link",
        ),
        (
            vec![("l", Kind::Symlink, &outside, b""), ("l/made", Kind::Directory, "", b"")],
            "leads through a file or a link",
        ),
        (vec![("l", Kind::Symlink, "/etc/passwd", b""), ("x", Kind::Link, "l", b"")], "no file that came before"),
        (vec![("x", Kind::Link, "/etc/passwd", b"")], "is absolute"),
        (vec![("x", Kind::Link, "absent", b"")], "no file that came before"),
        (vec![("tty", Kind::Char, "", b"")], "a pipe or a device"),
        (vec![("pipe", Kind::Fifo, "", b"")], "a pipe or a device"),
        (vec![file, ("x/y", Kind::Regular, "", b"y")], "leads through a file or a link"),
        (vec![("d/y", Kind::Regular, "", b"y"), ("d", Kind::Regular, "", b"y")], "a directory and something else"),
    ];
    for (entries, reason) in cases {
        let error = unpacked(&archive(&entries), Limits::default()).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}, not {reason}");
    }
    // A file in the place of a link takes the place and does not follow the link.
    let entries = [("l", Kind::Symlink, link.as_str(), b"".as_slice()), ("l", Kind::Regular, "", b"x")];
    let template = unpacked(&archive(&entries), Limits::default()).await.unwrap();
    assert_eq!(tree(template.files())[Path::new("l")].1, b"x");
    assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn bombs_go_off_at_the_limits() {
    let bytes = vec![0_u8; 8 << 20];
    let many: Vec<String> = (0..100).map(|number| format!("f{number}")).collect();
    let entries: Vec<Entry<'_>> =
        many.iter().map(|name| (name.as_str(), tar::EntryType::Regular, "", b"".as_slice())).collect();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&archive(&[("zeros", tar::EntryType::Regular, "", &bytes)])).unwrap();
    let limits = Limits { entries: 50, bytes: 1 << 20 };
    let name = vec![b'n'; 1 << 20];
    for (bytes, reason) in [
        (packed.finish().unwrap(), "more than 1048576 bytes"),
        (archive(&entries), "more than 50 entries"),
        (archive(&[("name", tar::EntryType::GNULongName, "", &name)]), "a header has more than"),
        (
            archive(&[
                ("deep", tar::EntryType::GNULongName, "", "d/".repeat(300).as_bytes()),
                ("x", tar::EntryType::Regular, "", b""),
            ]),
            "too long a path",
        ),
    ] {
        let error = unpacked(&bytes, limits).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}, not {reason}");
    }
    let whole = archive(&[("x", tar::EntryType::Regular, "", &[7; 5000])]);
    assert!(unpacked(&whole[..3000], limits).await.is_err(), "cut short");
    assert!(unpacked(b"no archive at all", limits).await.is_err());
}

#[tokio::test]
async fn sparse_files_are_refused() {
    let gnu = archive(&[("x", tar::EntryType::GNUSparse, "", b"x")]);
    let mut pax = tar::Builder::new(Vec::new());
    pax.append_pax_extensions([("GNU.sparse.major", b"1".as_slice()), ("GNU.sparse.minor", b"0".as_slice())]).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(1);
    pax.append_data(&mut header, "x", b"x".as_slice()).unwrap();
    for (bytes, reason) in [(gnu, "GNUSparse"), (pax.into_inner().unwrap(), "a file is sparse")] {
        let error = unpacked(&bytes, Limits::default()).await.unwrap_err();
        assert!(matches!(&error, WorkspaceError::Refused { reason: said, .. } if said.contains(reason)), "{error}");
    }
}

/// A moment long ago, in seconds.
const THEN: i64 = 1_000_000_000;

/// What is not kept of a file, and its time, which is.
fn looked_at(file: &Path) -> (u32, u32, i64) {
    let metadata = file.metadata().unwrap();
    (metadata.mode() & 0o7777, metadata.uid(), metadata.mtime())
}

#[tokio::test]
async fn set_user_bits_and_owners_are_not_kept_and_times_are() {
    let ours = fs::metadata(tempfile::tempdir().unwrap().path()).unwrap().uid();
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o6755);
    header.set_uid(12_345);
    header.set_gid(12_345);
    header.set_mtime(u64::try_from(THEN).unwrap());
    header.set_size(1);
    builder.append_data(&mut header, "x", b"x".as_slice()).unwrap();
    let template = unpacked(&builder.into_inner().unwrap(), Limits::default()).await.unwrap();
    assert_eq!(looked_at(&template.files().join("x")), (0o755, ours, THEN), "from an archive");

    let source = project(&[("x", b"x")]);
    let file = source.path().join("x");
    // Only root can give a file away; for others it is their own.
    let _ = std::os::unix::fs::chown(&file, Some(12_345), Some(12_345));
    let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(THEN.try_into().unwrap());
    fs::File::options().append(true).open(&file).unwrap().set_modified(then).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o6755)).unwrap();
    let place = tempfile::tempdir().unwrap();
    for template in each(source.path(), place.path()).await {
        let workspace = Workspace::of(template.clone()).await.unwrap();
        for root in [template.files(), workspace.root()] {
            assert_eq!(looked_at(&root.join("x")), (0o755, ours, THEN), "{}", template.strategy());
        }
    }

    let repository = project(&[("x*", b"x")]);
    git(repository.path(), &["init", "-q"]);
    git(repository.path(), &["add", "-A"]);
    git(repository.path(), &["commit", "-q", "-m", "x"]);
    fs::File::options().append(true).open(repository.path().join("x")).unwrap().set_modified(then).unwrap();
    let template = Template::of(Source::commit(repository.path(), "HEAD")).make().await.unwrap();
    let (mode, owner, time) = looked_at(&template.files().join("x"));
    assert_eq!((mode, owner, time == THEN), (0o755, ours, false), "a commit has no times of files");
}

#[tokio::test]
async fn every_kind_of_archive_gives_the_same_files() {
    let source = project(&[("top/lib/x*", b"1\n"), ("top/y", &[b'y'; 9000]), ("top/.git/config", b"secret")]);
    std::os::unix::fs::symlink("lib/x", source.path().join("top/link")).unwrap();
    let long = format!("top/{}/{}", "d".repeat(120), "f".repeat(120));
    write(source.path(), &long, b"long\n");
    let mut expected = tree(source.path());
    expected.retain(|path, _| !path.starts_with("top/.git"));
    let expected: std::collections::BTreeMap<PathBuf, _> =
        expected.into_iter().map(|(path, file)| (path.strip_prefix("top").unwrap().into(), file)).collect();
    let made = tempfile::tempdir().unwrap();
    for (name, program, arguments) in [
        ("x.tar", "tar", vec!["-cf", "OUT", "--format=gnu", "top"]),
        ("pax.tar", "tar", vec!["-cf", "OUT", "--format=posix", "top"]),
        ("x.tar.gz", "tar", vec!["-czf", "OUT", "top"]),
        ("x.tar.xz", "tar", vec!["-cJf", "OUT", "top"]),
        ("x.tar.zst", "tar", vec!["--zstd", "-cf", "OUT", "top"]),
        ("x.zip", "zip", vec!["-qry", "OUT", "top"]),
    ] {
        let archive = made.path().join(name);
        let arguments =
            arguments.iter().map(|argument| if *argument == "OUT" { archive.as_os_str() } else { argument.as_ref() });
        let run = Command::new(program).args(arguments).current_dir(source.path()).output();
        if !run.as_ref().is_ok_and(|output| output.status.success()) {
            println!("SKIPPED {name}: {program} cannot make it here: {run:?}");
            continue;
        }
        let template = Template::of(Source::Archive { path: archive, strip: 1 }).make().await.unwrap();
        assert_eq!(tree(template.files()), expected, "{name}");
    }
}

#[tokio::test]
async fn a_directory_with_pipes_loops_and_itself() {
    let source = project(&[("x", b"1\n")]);
    std::os::unix::fs::symlink("loop", source.path().join("loop")).unwrap();
    std::os::unix::fs::symlink("..", source.path().join("up")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(source.path().join("socket")).unwrap();
    let template = Template::of(source.path()).make().await.unwrap();
    assert!(template.notes().contains(&Note::Special("socket".into())));
    let mut names: Vec<_> = tree(template.files()).into_keys().collect();
    names.sort();
    assert_eq!(names, ["loop", "up", "x"].map(PathBuf::from));
    let error = Template::of(source.path()).place(source.path()).make().await.unwrap_err();
    assert!(matches!(error, WorkspaceError::Refused { .. }), "{error}");
    assert_eq!(fs::read_dir(source.path()).unwrap().count(), 4, "nothing is left");
    let few = Limits { entries: 2, bytes: 100 };
    assert!(Template::of(source.path()).limits(few).make().await.is_err());
}
