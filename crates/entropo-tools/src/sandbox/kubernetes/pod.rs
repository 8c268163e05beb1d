//! The pod as the cluster is told of it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use k8s_openapi::api::core::v1::{
    Capabilities, Container, EmptyDirVolumeSource, EnvVar, LocalObjectReference, Pod, PodSecurityContext, PodSpec,
    ResourceRequirements, SeccompProfile, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::ObjectMeta;

use super::options::{PodOptions, PodResources};
use super::scripts;

/// What all pods of this crate have, by which left-overs are found.
pub(super) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "entropo");
pub(super) const OWNER: &str = "entropo/owner";
/// When nobody needs the pod any more, in seconds since 1970.
pub(super) const DEADLINE: &str = "entropo/deadline";

pub(super) const CONTAINER: &str = "sandbox";

/// Where commands find their home and their temporary files.
const HOME: &str = "/home/agent";
const TEMPORARY: &str = "/tmp";

/// A pod that does nothing, with nothing of the cluster in it, in which commands can be started.
pub(super) fn manifest(name: &str, options: &PodOptions) -> Pod {
    let root = options.root.to_string_lossy().into_owned();
    let volumes = [("workspace", root.as_str()), ("home", HOME), ("temporary", TEMPORARY)];
    let volume = |(name, _): &(&str, &str)| Volume {
        name: (*name).to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    };
    let mount = |(name, path): &(&str, &str)| VolumeMount {
        name: (*name).to_owned(),
        mount_path: (*path).to_owned(),
        ..VolumeMount::default()
    };
    let container = Container {
        name: CONTAINER.to_owned(),
        image: Some(options.image.clone()),
        command: Some(["sh", "-c", scripts::FIRST_PROCESS].map(str::to_owned).to_vec()),
        env: Some(environment(options)),
        resources: Some(resources(&options.resources)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            privileged: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(volumes.iter().map(mount).collect()),
        working_dir: Some(root.clone()),
        ..Container::default()
    };
    let spec = PodSpec {
        active_deadline_seconds: Some(seconds(options.lifetime).max(1)),
        automount_service_account_token: Some(false),
        containers: vec![container],
        enable_service_links: Some(false),
        image_pull_secrets: options.pull_secret.as_ref().map(|name| vec![LocalObjectReference { name: name.clone() }]),
        node_selector: (!options.node_selector.is_empty()).then(|| options.node_selector.clone()),
        restart_policy: Some("Never".to_owned()),
        security_context: Some(PodSecurityContext {
            fs_group: options.user,
            run_as_group: options.user,
            run_as_non_root: options.user.map(|user| user != 0),
            run_as_user: options.user,
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..PodSecurityContext::default()
        }),
        termination_grace_period_seconds: Some(1),
        tolerations: (!options.tolerations.is_empty()).then(|| options.tolerations.clone()),
        volumes: Some(volumes.iter().map(volume).collect()),
        ..PodSpec::default()
    };
    Pod { metadata: metadata(name, options), spec: Some(spec), ..Pod::default() }
}

fn metadata(name: &str, options: &PodOptions) -> ObjectMeta {
    let mut labels = options.labels.clone();
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    labels.insert(OWNER.to_owned(), options.owner.clone());
    let deadline = now().saturating_add(seconds(options.start_timeout)).saturating_add(seconds(options.lifetime));
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(labels),
        annotations: Some(BTreeMap::from([(DEADLINE.to_owned(), deadline.to_string())])),
        ..ObjectMeta::default()
    }
}

fn environment(options: &PodOptions) -> Vec<EnvVar> {
    let fixed = [("HOME", HOME), ("TMPDIR", TEMPORARY), ("LANG", "C.UTF-8")];
    let fixed = fixed.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let all: BTreeMap<_, _> = fixed.into_iter().chain(options.environment.iter().cloned()).collect();
    // Kubernetes would put other variables' values in place of `$(NAME)`.
    let variable =
        |(name, value): (String, String)| EnvVar { name, value: Some(value.replace('$', "$$")), ..EnvVar::default() };
    all.into_iter().map(variable).collect()
}

fn resources(resources: &PodResources) -> ResourceRequirements {
    let named = [
        ("cpu", resources.processor_millis.map(|millis| format!("{millis}m"))),
        ("memory", resources.memory.map(|bytes| bytes.to_string())),
        ("ephemeral-storage", resources.disk.map(|bytes| bytes.to_string())),
    ];
    let quantities: BTreeMap<_, _> =
        named.into_iter().filter_map(|(name, quantity)| Some((name.to_owned(), Quantity(quantity?)))).collect();
    let quantities = (!quantities.is_empty()).then_some(quantities);
    ResourceRequirements { limits: quantities.clone(), requests: quantities, ..ResourceRequirements::default() }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, seconds)
}
