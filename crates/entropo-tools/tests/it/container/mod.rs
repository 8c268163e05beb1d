//! Containers: what they hold back, and that nothing is left of them. `scripts/container-test-setup.sh` makes what is
//! needed; without it these tests are skipped, or fail where `ENTROPO_REQUIRE_SANDBOXES=1` says that nothing may be.

mod ends;
mod limits;

use std::fs;
use std::path::PathBuf;
use std::process::Command as Program;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use entropo_tools::sandbox::{ContainerOptions, ContainerSandbox, Input, Promise, SandboxOptions, Status, image_files};
use entropo_tools::{Command, ExecResult, Sandbox, SandboxError};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

const IMAGE: &str = "localhost/entropo-test";
const WITHOUT_SHELL: &str = "localhost/entropo-test-no-shell";

/// Whether there are an engine and the image; says so if not.
async fn is_possible() -> bool {
    let missing = match image_files(IMAGE, "/etc/entropo-test", None).await {
        Ok(_) => return true,
        Err(error) => error,
    };
    assert!(std::env::var_os("ENTROPO_REQUIRE_SANDBOXES").is_none_or(|value| value != "1"), "{missing}");
    eprintln!("skipped, run scripts/container-test-setup.sh first: {missing}");
    false
}

async fn start(options: ContainerOptions) -> Option<(TempDir, ContainerSandbox)> {
    if !is_possible().await {
        return None;
    }
    let root = tempfile::tempdir().unwrap();
    let sandbox = ContainerSandbox::start(IMAGE, root.path(), options).await.unwrap();
    Some((root, sandbox))
}

async fn exec(sandbox: &ContainerSandbox, command: Command) -> ExecResult {
    sandbox.exec(command, &CancellationToken::new()).await.unwrap()
}

async fn printed(sandbox: &ContainerSandbox, script: &str) -> String {
    exec(sandbox, Command::script(script)).await.output.head
}

/// A number of seconds that no other `sleep` on this machine sleeps, to find it by.
fn marker() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("9{}{:06}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The engine's processes know nothing of this machine's, but this machine knows theirs.
fn runs(marker: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| line.starts_with(b"sleep\0"))
        .any(|line| line.split(|byte| *byte == 0).any(|argument| argument == marker.as_bytes()))
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain until {what}");
}

/// Whether the engine knows a container.
fn exists(container: &str) -> bool {
    Program::new("podman").args(["container", "exists", container]).status().unwrap().success()
}

#[tokio::test]
async fn exit_codes_signals_and_order_of_output() {
    let Some((_root, sandbox)) = start(ContainerOptions::new()).await else { return };
    let result = exec(&sandbox, Command::script("echo out; echo err >&2; echo more; exit 3")).await;
    assert_eq!((result.status, result.output.head.as_str()), (Status::Exited(3), "out\nerr\nmore\n"));
    assert_eq!(exec(&sandbox, Command::script("kill -9 $$")).await.status, Status::Signalled(9));
    assert!(exec(&sandbox, Command::program("cat", Vec::<String>::new())).await.status.is_success(), "no input");
    let result = exec(&sandbox, Command::program("printf", ["%s|", "a b", "$HOME"])).await;
    assert_eq!(result.output.head, "a b|$HOME|");
    assert_eq!(exec(&sandbox, Command::script("printf started")).await.output.head, "started");
    let missing = sandbox.exec(Command::program("no-such-program", ["x"]), &CancellationToken::new()).await;
    assert!(matches!(missing, Err(SandboxError::Missing { .. })), "{missing:?}");
    let long = exec(&sandbox, Command::script("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done")).await;
    assert!(long.status.is_success() && long.output.is_truncated() && long.output.tail.ends_with("line 19999\n"));
    let name = long.output.full_output.unwrap().path.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(
        printed(&sandbox, &format!("wc -l <$TMPDIR/{name}")).await,
        "20000\n",
        "the whole is where commands see it"
    );
}

#[tokio::test]
async fn commands_see_the_root_their_variables_and_the_image() {
    let Some((root, sandbox)) = start(ContainerOptions::new().sandbox(SandboxOptions::new().env("FOR_ALL", "1"))).await
    else {
        return;
    };
    fs::create_dir(root.path().join("lib")).unwrap();
    fs::write(root.path().join("lib/a"), "here").unwrap();
    assert_eq!(printed(&sandbox, "pwd; cat lib/a").await, "/workspace\nhere");
    let below = exec(&sandbox, Command::script("pwd; echo new >b").directory("lib")).await;
    assert_eq!(below.output.head, "/workspace/lib\n");
    assert_eq!(fs::read_to_string(root.path().join("lib/b")).unwrap(), "new\n");
    let outside = sandbox.exec(Command::script("pwd").directory(".."), &CancellationToken::new()).await;
    assert!(matches!(outside, Err(SandboxError::Directory { .. })));

    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let variables = exec(&sandbox, Command::script("env").env("OWN", "a=b c")).await.output.head;
    for line in ["OWN=a=b c", "FOR_ALL=1", "HOME=/home/agent", "TMPDIR=/tmp", "IMAGE=entropo-test"] {
        assert!(variables.lines().any(|variable| variable == line), "{line} in {variables}");
    }
    assert!(!variables.contains("CARGO"), "{variables}");
    assert_eq!(printed(&sandbox, "touch $HOME/x $TMPDIR/y /etc/z && echo done").await, "done\n");
    assert_eq!(
        printed(&sandbox, "ls $HOME $TMPDIR /etc/z").await,
        "/etc/z\n\n/home/agent:\nx\n\n/tmp:\ny\n",
        "files stay"
    );
    sandbox.close().await.unwrap();
}

#[tokio::test]
async fn files_outside_are_invisible_unless_made_readable() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let (readable, writable) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(readable.path().join("given"), "given").unwrap();
    let options = SandboxOptions::new().readable(readable.path()).writable(writable.path());
    let Some((_root, sandbox)) = start(ContainerOptions::new().sandbox(options)).await else { return };
    let path = |directory: &TempDir, name: &str| directory.path().join(name).display().to_string();
    assert!(!exec(&sandbox, Command::script(format!("cat {}", path(&outside, "secret")))).await.status.is_success());
    let given = path(&readable, "given");
    assert_eq!(
        printed(&sandbox, &format!("cat {given}; echo x >{given} || echo refused"))
            .await
            .replace("given", "")
            .matches("refused")
            .count(),
        1
    );
    assert_eq!(fs::read_to_string(&given).unwrap(), "given");
    assert_eq!(printed(&sandbox, &format!("echo x >{} && echo done", path(&writable, "new"))).await, "done\n");
    assert!(writable.path().join("new").exists());
    for promise in [Promise::Files, Promise::Secrets, Promise::Environment, Promise::Network, Promise::Orphans] {
        assert!(sandbox.promises().contains(&promise), "{promise}");
    }
}

#[tokio::test]
async fn input_is_passed_on_and_ended() {
    let Some((_root, sandbox)) = start(ContainerOptions::new()).await else { return };
    let mut process =
        sandbox.spawn(&Command::script("read -r a; echo got $a; cat; echo end"), Input::Piped).await.unwrap();
    let mut input = process.input.take().unwrap();
    input.write_all(b"one\n").await.unwrap();
    input.flush().await.unwrap();
    let mut first = [0; 8];
    process.output.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"got one\n");
    input.write_all(&b"x".repeat(300_000)).await.unwrap();
    drop(input);
    let mut rest = Vec::new();
    process.output.read_to_end(&mut rest).await.unwrap();
    assert_eq!((rest.len(), &rest[300_000..]), (300_004, &b"end\n"[..]));
    assert_eq!(process.control.wait().await.unwrap(), Status::Exited(0));
    assert_eq!(process.control.wait().await.unwrap(), Status::Exited(0), "also after the end");
}

#[tokio::test]
async fn many_sandboxes_of_one_image_do_not_see_each_other() {
    let Some((_first_root, first)) = start(ContainerOptions::new()).await else { return };
    let Some((_second_root, second)) = start(ContainerOptions::new()).await else { return };
    assert!(exec(&first, Command::script("echo 1 >/only-here; echo 1 >/tmp/only-here")).await.status.is_success());
    assert_eq!(printed(&second, "ls /only-here /tmp/only-here 2>/dev/null; echo end").await, "end\n");
    let marker = marker();
    let _running = first.spawn(&Command::script(format!("sleep {marker}")), Input::Closed).await.unwrap();
    until("it runs", || runs(&marker)).await;
    assert!(!printed(&second, "ps").await.contains(&marker));
}

#[tokio::test]
async fn an_image_without_a_shell_is_refused() {
    if !is_possible().await {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let error = ContainerSandbox::start(WITHOUT_SHELL, root.path(), ContainerOptions::new()).await.unwrap_err();
    assert!(matches!(error, SandboxError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("has no /bin/sh"), "{error}");
    let error =
        ContainerSandbox::start("localhost/no-such-image", root.path(), ContainerOptions::new()).await.unwrap_err();
    assert!(matches!(error, SandboxError::Engine { .. }) && error.to_string().contains("no-such-image"), "{error}");
}

#[tokio::test]
async fn files_of_an_image_come_as_an_archive() {
    if !is_possible().await {
        return;
    }
    let mut archive = Vec::new();
    let mut files = image_files(IMAGE, "/etc", None).await.unwrap();
    files.read_to_end(&mut archive).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file: PathBuf = directory.path().join("etc.tar");
    fs::write(&file, archive).unwrap();
    let unpacked = Program::new("tar").arg("-xf").arg(&file).arg("-C").arg(directory.path()).status().unwrap();
    assert!(unpacked.success());
    assert_eq!(fs::read_to_string(directory.path().join("etc/entropo-test")).unwrap(), "entropo\n");
    assert!(image_files(IMAGE, "/no/such/path", None).await.is_err());
}
