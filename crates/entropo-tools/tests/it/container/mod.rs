//! What is particular to containers; `sandbox` holds them to what all kinds do and hold back.
//! `scripts/container-test-setup.sh` makes what is needed; without it these tests are skipped, or fail where
//! `ENTROPO_REQUIRE_SANDBOXES` says that nothing may be missing.

mod ends;
mod limits;
mod pull;

use std::fs;
use std::path::PathBuf;
use std::process::Command as Program;
use std::time::Duration;

use entropo_tools::sandbox::{ContainerOptions, ContainerSandbox, Input, SandboxOptions, Status, image_files};
use entropo_tools::{Command, ExecResult, Sandbox, SandboxError, Source, Template, Workspace};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

use crate::sandbox::{marker, runs, until};

const IMAGE: &str = "localhost/entropo-test";
const WITHOUT_SHELL: &str = "localhost/entropo-test-no-shell";

/// Whether there are an engine and the image; says so if not.
async fn is_possible() -> bool {
    let missing = match image_files(IMAGE, "/etc/entropo-test", None).await {
        Ok(_) => return true,
        Err(error) => error,
    };
    assert!(std::env::var_os("ENTROPO_REQUIRE_SANDBOXES").is_none(), "{missing}");
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

/// Whether the engine knows a container.
fn exists(container: &str) -> bool {
    Program::new("podman").args(["container", "exists", container]).status().unwrap().success()
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

#[tokio::test]
async fn an_image_s_directory_is_a_template() {
    if !is_possible().await {
        return;
    }
    let template = Template::of(Source::image(IMAGE, "/etc")).make().await.unwrap();
    assert_eq!(fs::read_to_string(template.files().join("entropo-test")).unwrap(), "entropo\n");
    let workspace = Workspace::of(template).await.unwrap();
    fs::write(workspace.root().join("entropo-test"), "changed\n").unwrap();
    assert!(workspace.patch().await.unwrap().contains("-entropo\n+changed\n"));

    let refused = async |path: &str| Template::of(Source::image(IMAGE, path)).make().await.unwrap_err().to_string();
    assert!(refused("/no/such/path").await.contains("/no/such/path"));
    assert!(refused("/").await.contains("whole path"));
    assert!(refused("etc").await.contains("whole path"));
    assert!(refused("/etc/entropo-test").await.contains("no files"));
}
