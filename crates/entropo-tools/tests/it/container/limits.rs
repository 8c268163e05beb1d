//! What commands cannot use.

use entropo_tools::sandbox::Limits;

use super::*;

#[tokio::test]
async fn memory_beyond_the_limit_kills_what_asks_for_it() {
    let limits = Limits::default().memory(64 << 20);
    let options = ContainerOptions::new().sandbox(SandboxOptions::new().limits(limits));
    let Some((_root, sandbox)) = start(options).await else { return };
    assert!(sandbox.promises().contains(&Promise::Memory));
    let result = exec(&sandbox, Command::script("head -c 16m /dev/zero | tail -c 16m | wc -c")).await;
    assert_eq!(result.output.head, "16777216\n");
    let result = exec(&sandbox, Command::program("tail", ["-c", "400000000", "/dev/zero"])).await;
    assert_eq!(result.status, Status::Signalled(9));
    assert_eq!(printed(&sandbox, "echo still here").await, "still here\n");
}

#[tokio::test]
async fn no_more_processes_than_allowed() {
    let limits = Limits::default().processes(20);
    let options = ContainerOptions::new().sandbox(SandboxOptions::new().limits(limits)).cpus(1.5);
    let Some((_root, sandbox)) = start(options).await else { return };
    let marker = marker();
    let script = format!("i=0; while [ $i -lt 50 ]; do sleep {marker} & i=$((i+1)); done; echo all");
    let result = exec(&sandbox, Command::script(script)).await;
    assert!(!result.status.is_success() && result.output.head.contains("fork"), "{result:?}");
    until("all are gone", || !runs(&marker)).await;
    assert_eq!(printed(&sandbox, "echo again").await, "again\n");
}

#[tokio::test]
async fn files_beyond_the_limit_are_not_written() {
    let limits = Limits::default().file_size(1 << 20);
    let options = ContainerOptions::new().sandbox(SandboxOptions::new().limits(limits));
    let Some((root, sandbox)) = start(options).await else { return };
    let result = exec(&sandbox, Command::script("head -c 2000000 /dev/zero >big")).await;
    assert!(!result.status.is_success());
    assert_eq!(fs::metadata(root.path().join("big")).unwrap().len(), 1 << 20);
}

#[tokio::test]
async fn there_is_no_network_and_no_way_to_more_rights() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let Some((_root, sandbox)) = start(ContainerOptions::new()).await else { return };
    let result = exec(&sandbox, Command::script(format!("echo hello | nc -w 2 127.0.0.1 {port}"))).await;
    assert!(!result.status.is_success());
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody came");
    assert_eq!(printed(&sandbox, "ls /sys/class/net").await, "lo\n");
    let status = printed(&sandbox, "grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status").await;
    // CHOWN, DAC_OVERRIDE and FOWNER of root, nothing of others.
    let capabilities = if is_root() { "000000000000000b" } else { "0000000000000000" };
    assert!(status.contains(&format!("CapEff:\t{capabilities}")) && status.contains("NoNewPrivs:\t1"), "{status}");
    assert!(
        !exec(&sandbox, Command::script("mount -t tmpfs none /mnt || mknod /dev/sda b 8 0")).await.status.is_success()
    );
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[tokio::test]
async fn what_cannot_be_limited_is_refused() {
    if !is_possible().await {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let refused = ContainerSandbox::start(IMAGE, root.path(), ContainerOptions::new().cpus(f64::NAN)).await;
    assert!(matches!(refused, Err(SandboxError::Unenforceable { .. })));
    let nowhere = SandboxOptions::new().readable("/no/such/path");
    let refused = ContainerSandbox::start(IMAGE, root.path(), ContainerOptions::new().sandbox(nowhere)).await;
    assert!(refused.unwrap_err().to_string().contains("/no/such/path"));
}
