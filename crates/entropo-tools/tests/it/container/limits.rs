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

#[tokio::test]
async fn processor_time_is_limited() {
    let Some((_root, sandbox)) = start(ContainerOptions::new().cpus(1.5)).await else { return };
    let Some((_other_root, free)) = start(ContainerOptions::new()).await else { return };
    assert_eq!((cpus(&sandbox), cpus(&free)), (Some(1.5), None));
}

/// How many processors the kernel gives a container, if it limits them.
fn cpus(sandbox: &ContainerSandbox) -> Option<f64> {
    let inspected =
        Program::new("podman").args(["inspect", "--format", "{{.State.Pid}}", sandbox.container()]).output();
    let pid = String::from_utf8(inspected.unwrap().stdout).unwrap();
    let groups = fs::read_to_string(format!("/proc/{}/cgroup", pid.trim())).unwrap();
    let groups: Vec<_> = groups.lines().filter_map(|line| line.split_once(':')?.1.split_once(':')).collect();
    let of = |controller: &str| groups.iter().find(|(names, _)| names.split(',').any(|name| name == controller));
    let numbers = match of("cpu") {
        Some((names, path)) => {
            let group = PathBuf::from(format!("/sys/fs/cgroup/{names}{path}"));
            let read = |file: &str| fs::read_to_string(group.join(file)).unwrap();
            format!("{} {}", read("cpu.cfs_quota_us").trim(), read("cpu.cfs_period_us"))
        }
        None => fs::read_to_string(format!("/sys/fs/cgroup{}/cpu.max", of("").unwrap().1)).unwrap(),
    };
    let (quota, period) = numbers.trim().split_once(' ').unwrap();
    let quota = quota.parse::<f64>().ok().filter(|quota| *quota > 0.0)?;
    Some(quota / period.parse::<f64>().unwrap())
}
