//! Whose a container is.
//!
//! Containers belong to the engine and outlive whoever had them made. So each is labelled with the process that owns it,
//! by what no other process ever shares: its number, when it started, in which process table and since which boot. What a
//! dead owner left is removed when the next sandbox starts.

use std::collections::HashMap;
use std::fs;

use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::engine::{Engine, is_gone};

/// Marks a container as one of this crate's.
pub(super) const LABEL: &str = "entropo";
const OWNER: &str = "entropo.owner";

/// The labels of containers of this process.
pub(super) fn labels() -> HashMap<String, String> {
    let mut labels = HashMap::from([(LABEL.to_owned(), "sandbox".to_owned())]);
    labels.extend(Owner::this().map(|owner| (OWNER.to_owned(), owner.to_string())));
    labels
}

/// A process of this machine, for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owner {
    boot: String,
    /// The table in which its number means something.
    table: String,
    pid: u32,
    started: u64,
}

impl Owner {
    fn this() -> Option<Self> {
        let pid = std::process::id();
        let table = fs::read_link("/proc/self/ns/pid").ok()?.to_string_lossy().into_owned();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        Some(Self { boot, table, pid, started: started(pid)? })
    }

    fn parse(label: &str) -> Option<Self> {
        let mut parts = label.split(' ');
        let mut next = || parts.next();
        let owner = Self {
            boot: next()?.to_owned(),
            table: next()?.to_owned(),
            pid: next()?.parse().ok()?,
            started: next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(owner)
    }

    /// Whether it has surely ended, as far as the process `this` can know.
    fn is_dead(&self, this: &Self) -> bool {
        self.boot == this.boot
            && self.table == this.table
            && started(self.pid).map_or_else(|| is_missing(self.pid), |started| started != self.started)
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {} {}", self.boot, self.table, self.pid, self.started)
    }
}

/// Whether the kernel knows of no such process. Another user's can be hidden in `/proc` and still be there; one that has
/// ended, and only its parent has not asked yet how, is there for the kernel too.
fn is_missing(pid: u32) -> bool {
    let zombie = fs::exists(format!("/proc/{pid}/stat")).unwrap_or(false);
    zombie || i32::try_from(pid).is_ok_and(|pid| kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH))
}

/// When a process started, in ticks since boot; nothing if there is none.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    (!state.starts_with(['Z', 'X'])).then(|| fields.nth(18)?.parse().ok())?
}

/// Whether it was left by a process that has ended. After a boot nothing runs that was left before.
fn is_left_over(container: &ContainerSummary, this: &Owner) -> bool {
    let label = container.labels.as_ref().and_then(|labels| labels.get(OWNER));
    let Some(owner) = label.and_then(|label| Owner::parse(label)) else { return false };
    let runs = container.state.as_ref().is_none_or(|state| state.to_string() == "running");
    owner.is_dead(this) || (owner.boot != this.boot && !runs)
}

/// Removes what dead owners left. It is no one's error if that fails.
pub(super) async fn sweep(engine: &Engine) {
    let Some(this) = Owner::this() else { return };
    let filters = HashMap::from([("label", vec![LABEL])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let containers = match engine.docker.list_containers(Some(options)).await {
        Ok(containers) => containers,
        Err(error) => return tracing::warn!(%error, "left-over containers could not be looked for"),
    };
    for container in containers.iter().filter(|container| is_left_over(container, &this)) {
        let Some(id) = &container.id else { continue };
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match engine.docker.remove_container(id, Some(options)).await {
            Ok(()) => tracing::info!(container = %id, "removed what an ended process had left"),
            Err(error) if is_gone(&error) => {}
            Err(error) => tracing::warn!(container = %id, %error, "a left-over container could not be removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_alive_until_its_process_has_ended() {
        let this = Owner::this().unwrap();
        assert_eq!(Owner::parse(&this.to_string()).as_ref(), Some(&this));
        assert!(!this.is_dead(&this));
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let other = Owner { pid: child.id(), started: started(child.id()).unwrap(), ..this.clone() };
        assert!(!other.is_dead(&this));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(other.is_dead(&this));
        assert!(!Owner { table: "pid:[1]".into(), ..other.clone() }.is_dead(&this), "not ours to judge");
        let reused = Owner { started: this.started + 1, ..this.clone() };
        assert!(reused.is_dead(&this), "the number names another process now");
    }

    #[test]
    fn labels_of_others_name_no_owner() {
        for label in ["", "a", "a b c d", "a b 1 2 3", "a b -1 2"] {
            assert_eq!(Owner::parse(label), None, "{label}");
        }
    }
}
