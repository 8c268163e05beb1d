//! What commands cannot use.

use super::*;

#[tokio::test]
async fn commands_have_the_rights_that_files_need_and_no_more() {
    let Some((_root, sandbox)) = start(ContainerOptions::new().cpus(1.5)).await else { return };
    assert_eq!(printed(&sandbox, "ls /sys/class/net").await, "lo\n");
    let status = printed(&sandbox, "grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status").await;
    // CHOWN, DAC_OVERRIDE and FOWNER of root, nothing of others.
    let capabilities = if is_root() { "000000000000000b" } else { "0000000000000000" };
    assert!(status.contains(&format!("CapEff:\t{capabilities}")) && status.contains("NoNewPrivs:\t1"), "{status}");
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
}
