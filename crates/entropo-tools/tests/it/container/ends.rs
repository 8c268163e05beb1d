//! Nothing is left behind, whoever ends first.

use std::path::Path;
use std::process::{Child, Stdio};

use super::*;

#[tokio::test]
async fn closing_twice_and_dropping_after_it_are_no_errors() {
    let Some((_root, sandbox)) = start(ContainerOptions::new()).await else { return };
    let marker = marker();
    let mut running = sandbox.spawn(&Command::script(format!("sleep {marker}")), Input::Closed).await.unwrap();
    let container = sandbox.container().to_owned();
    assert!(exists(&container) && runs(&marker));
    sandbox.close().await.unwrap();
    assert!(!exists(&container) && !runs(&marker));
    sandbox.close().await.unwrap();
    running.control.kill().await.unwrap();
    assert!(
        running.control.wait().await.is_ok_and(|status| status == Status::Signalled(9))
            || running.control.wait().await.is_err()
    );
    let after = sandbox.exec(Command::script("echo"), &CancellationToken::new()).await;
    assert!(matches!(after, Err(SandboxError::Engine { .. })), "{after:?}");
    drop(sandbox);
}

#[tokio::test]
async fn a_dropped_sandbox_is_removed() {
    let Some((_root, sandbox)) = start(ContainerOptions::new()).await else { return };
    let marker = marker();
    let _running = sandbox.spawn(&Command::script(format!("sleep {marker}")), Input::Closed).await.unwrap();
    let container = sandbox.container().to_owned();
    drop(sandbox);
    until("its commands are gone", || !runs(&marker)).await;
    until("it is removed", || !exists(&container)).await;
}

/// Not a test by itself: the next one runs it in a process that it kills.
#[tokio::test]
#[ignore = "a part of the test after it"]
async fn owner_to_be_killed() {
    let Some(marker) = std::env::var_os("ENTROPO_TEST_MARKER") else { return };
    let Some((_root, sandbox)) = start(ContainerOptions::new()).await else { return };
    let command = Command::script(format!("setsid sleep {}", marker.to_str().unwrap()));
    let _running = sandbox.spawn(&command, Input::Closed).await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
}

#[tokio::test]
async fn a_container_ends_with_its_owner_also_when_that_is_killed() {
    if !is_possible().await {
        return;
    }
    let marker = marker();
    let mut owner = Program::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "container::ends::owner_to_be_killed"])
        .env("ENTROPO_TEST_MARKER", &marker)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("its command runs", || runs(&marker)).await;
    owner.kill().unwrap();
    owner.wait().unwrap();
    until("its command is gone", || !runs(&marker)).await;
}

#[tokio::test]
async fn what_dead_owners_left_is_removed_at_the_next_start() {
    if !is_possible().await {
        return;
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let table = fs::read_link("/proc/self/ns/pid").unwrap();
    // The first process of the machine lives, but did not start then.
    let owner = format!("entropo.owner={} {} 1 1234567", boot.trim(), table.display());
    let left = |labels: &[&str]| {
        let mut podman = Program::new("podman");
        podman.args(["run", "--detach", "--network=none"]);
        for label in labels {
            podman.args(["--label", label]);
        }
        let output = podman.args([IMAGE, "sleep", "1000"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let (dead, foreign) = (left(&["entropo=sandbox", &owner]), left(&[]));
    let Some((_root, _sandbox)) = start(ContainerOptions::new()).await else { return };
    assert!(!exists(&dead));
    assert!(exists(&foreign), "not ours");
    assert!(
        Program::new("podman")
            .args(["rm", "-f", "-t", "0", &foreign])
            .stdout(Stdio::null())
            .status()
            .unwrap()
            .success()
    );
}

/// Another service of the same engine, on a socket of its own.
struct Service(Child);

impl Service {
    async fn start(socket: &Path) -> Self {
        let address = format!("unix://{}", socket.display());
        let service = Program::new("podman").args(["system", "service", "--time=0", &address]).spawn().unwrap();
        until("the service listens", || socket.exists()).await;
        Self(service)
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn an_engine_that_dies_is_an_error_and_leaves_nothing() {
    if !is_possible().await {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("podman.sock");
    let mut service = Service::start(&socket).await;
    let Some((_root, sandbox)) = start(ContainerOptions::new().socket(&socket)).await else { return };
    let (marker, cancel) = (marker(), CancellationToken::new());
    let command = Command::script(format!("echo begun; sleep {marker}; echo never"));
    let (result, ()) = tokio::join!(sandbox.exec(command, &cancel), async {
        until("it runs", || runs(&marker)).await;
        service.kill();
    });
    let error = result.unwrap_err();
    assert!(matches!(error, SandboxError::Engine { .. }), "{error:?}");
    until("it is gone", || !runs(&marker)).await;
    let after = sandbox.exec(Command::script("echo"), &CancellationToken::new()).await;
    assert!(matches!(after, Err(SandboxError::Engine { .. })), "{after:?}");
    assert!(matches!(sandbox.close().await, Err(SandboxError::Engine { .. })));
    let container = sandbox.container().to_owned();
    drop(sandbox);
    until("it is removed all the same", || !exists(&container)).await;
}
