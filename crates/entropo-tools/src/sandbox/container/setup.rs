//! What the engine is asked for.

use std::ffi::OsString;
use std::path::Path;

use bollard::models::{ContainerCreateBody, HealthConfig, HostConfig, Mount, MountType, ResourcesUlimits};

use super::super::host::{Family, Scratch};
use super::super::{Limits, SandboxError, SandboxKind};
use super::engine::unavailable;
use super::options::ContainerOptions;
use super::owner;

/// Where commands see the root, their home and their temporary directory.
pub(super) const ROOT: &str = "/workspace";
pub(super) const HOME: &str = "/home/agent";
pub(super) const TEMPORARY: &str = "/tmp";

pub(super) const SHELL: &str = "/bin/sh";

/// What the first process says once it is ready.
pub(super) const READY: &str = "ready";

/// What root needs to change files whoever owns them, as installers do; it reaches no further than the mounts.
const CAPABILITIES: [&str; 3] = ["CHOWN", "DAC_OVERRIDE", "FOWNER"];

/// Most that is asked for.
#[cfg(target_os = "linux")]
const PLENTY: u64 = 16 << 10;

/// A container of an image, in which nothing runs but a process that reaps and waits for the end of its input: the
/// connection that holds it open is closed by the system, however this process ends.
pub(super) fn body(
    image: &str,
    root: &Path,
    scratch: &Scratch,
    options: &ContainerOptions,
    user: String,
    first: &Family,
) -> Result<ContainerCreateBody, SandboxError> {
    let wait = "exec 3<&0 </dev/null; while :; do cat <&3 >/dev/null & wait $!; [ $? -gt 128 ] || exit 0; done";
    let script = format!("{} || exit 125; echo {READY}; {wait}", first.as_script());
    Ok(ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(vec![SHELL.to_owned()]),
        cmd: Some(vec!["-c".to_owned(), script]),
        working_dir: Some(ROOT.to_owned()),
        labels: Some(owner::labels()),
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..Default::default() }),
        open_stdin: Some(true),
        stdin_once: Some(true),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(host(root, scratch, options, &user)?),
        user: Some(user),
        ..Default::default()
    })
}

fn host(root: &Path, scratch: &Scratch, options: &ContainerOptions, user: &str) -> Result<HostConfig, SandboxError> {
    let Limits { memory, processes, .. } = options.sandbox.limits;
    let is_root = ["0", "root"].contains(&user.split(':').next().unwrap_or_default());
    let kept = CAPABILITIES.iter().filter(|_| is_root).map(|name| (*name).to_owned());
    let number = |number: Option<u64>| number.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
    Ok(HostConfig {
        mounts: Some(mounts(root, scratch, options)?),
        network_mode: (!options.sandbox.network).then(|| "none".to_owned()),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: Some(kept.chain(options.capabilities.iter().cloned()).collect()),
        // Files of the root keep the labels that SELinux gave them.
        security_opt: Some(vec!["no-new-privileges".to_owned(), "label=disable".to_owned()]),
        memory: number(memory),
        // Of memory and swap together.
        memory_swap: number(memory),
        pids_limit: number(processes),
        nano_cpus: options.cpus.map(nano_cpus).transpose()?,
        ulimits: Some(ulimits()),
        auto_remove: Some(true),
        ..Default::default()
    })
}

#[expect(clippy::cast_possible_truncation, reason = "the range has been looked at")]
fn nano_cpus(cpus: f64) -> Result<i64, SandboxError> {
    if (0.001..=1e6).contains(&cpus) {
        return Ok((cpus * 1e9) as i64);
    }
    let reason = format!("{cpus} is no number of processors; ask for 0.001 or more");
    Err(SandboxError::Unenforceable { kind: SandboxKind::Container, what: "processor time", reason })
}

fn mounts(root: &Path, scratch: &Scratch, options: &ContainerOptions) -> Result<Vec<Mount>, SandboxError> {
    let text = |path: &Path| {
        let text = path.to_str().map(str::to_owned);
        text.ok_or_else(|| unavailable(format!("engines take only paths of UTF-8, not {}", path.display())))
    };
    let mount = |from: &Path, to: &Path, read_only: bool| {
        Ok(Mount {
            source: Some(text(from)?),
            target: Some(text(to)?),
            typ: Some(MountType::BIND),
            read_only: Some(read_only),
            ..Default::default()
        })
    };
    let own = [(root, ROOT), (scratch.home(), HOME), (scratch.temporary().path(), TEMPORARY)];
    let own = own.into_iter().map(|(from, to)| mount(from, Path::new(to), false));
    let readable = options.sandbox.readable.iter().map(|path| mount(path, path, true));
    let writable = options.sandbox.writable.iter().map(|path| mount(path, path, false));
    own.chain(readable).chain(writable).collect()
}

/// The most open files and processes of one user, far more than commands need. The engine's default is often beyond what it
/// may set: where it cannot raise its own limits, as in a container of a CI machine, no container would start. This process's
/// limits say what may be set here, but the engine can have been started under lower ones.
fn ulimits() -> Vec<ResourcesUlimits> {
    #[cfg(target_os = "linux")]
    {
        use rlimit::Resource;
        let limits = [("nofile", Resource::NOFILE), ("nproc", Resource::NPROC)];
        let limit = |(name, resource): (&str, Resource)| {
            let hard = i64::try_from(resource.get_hard().ok()?.min(PLENTY)).ok();
            Some(ResourcesUlimits { name: Some(name.to_owned()), soft: hard, hard })
        };
        limits.into_iter().filter_map(limit).collect()
    }
    #[cfg(not(target_os = "linux"))]
    Vec::new()
}

/// What the engine did not do, if it was asked to limit it.
pub(super) fn refused_limit(warnings: &[String], limits: &Limits) -> Option<SandboxError> {
    let asked = [("memory", limits.memory.is_some()), ("the number of processes", limits.processes.is_some())];
    let words = ["memory", "pids"];
    let refused = asked.into_iter().zip(words).filter(|((_, asked), _)| *asked).find_map(|((what, _), word)| {
        let warning = warnings.iter().find(|warning| warning.to_lowercase().contains(word))?;
        Some((what, warning.clone()))
    });
    refused.map(|(what, reason)| SandboxError::Unenforceable { kind: SandboxKind::Container, what, reason })
}

/// What commands see beside the variables of the image.
pub(super) fn environment(search_path: Option<OsString>) -> Vec<(OsString, OsString)> {
    let fixed = [("HOME", HOME), ("TMPDIR", TEMPORARY), ("LANG", "C.UTF-8")];
    let fixed = fixed.into_iter().map(|(key, value)| (key.into(), value.into()));
    search_path.map(|path| ("PATH".into(), path)).into_iter().chain(fixed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_the_engine_warns_about_is_refused_if_it_was_asked_for() {
        let warnings = ["Your kernel does not support memory limit capabilities. Limitation discarded.".to_owned()];
        assert!(refused_limit(&warnings, &Limits::default()).is_none());
        assert!(refused_limit(&warnings, &Limits::default().processes(5)).is_none());
        let error = refused_limit(&warnings, &Limits::default().memory(5)).unwrap();
        assert!(matches!(error, SandboxError::Unenforceable { what: "memory", .. }));
    }

    #[test]
    fn processors_are_counted_in_billionths() {
        assert_eq!(nano_cpus(1.5).unwrap(), 1_500_000_000);
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(nano_cpus(wrong), Err(SandboxError::Unenforceable { .. })), "{wrong}");
        }
    }
}
