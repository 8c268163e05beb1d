//! Making a pod and waiting until it runs.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, PostParams, WatchEvent, WatchParams};
use kube::core::Status;
use tokio::time;

use super::error::PodError;
use super::pod::OWNER;

/// How often, and after how long at most, a pod is asked for that the cluster refused for now.
const ATTEMPTS: usize = 8;
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// The pause before a broken watch is begun anew.
const WATCH_PAUSE: Duration = Duration::from_millis(500);

/// Why a container will not start, as its status says it. Others, such as `ContainerCreating`, pass.
const HOPELESS: [&str; 7] = [
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
];

/// Makes the pod, again and again while the cluster is busy.
pub(super) async fn create(pods: &Api<Pod>, pod: &Pod, request_timeout: Duration) -> Result<(), PodError> {
    let parameters = PostParams::default();
    let attempt = || async {
        let created = time::timeout(request_timeout, pods.create(&parameters, pod)).await;
        created.map_err(|_| PodError::NoAnswer(request_timeout.as_secs_f64()))?.map_err(PodError::from)
    };
    let pauses = ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(LONGEST_PAUSE)
        .with_max_times(ATTEMPTS - 1);
    let created = attempt
        .retry(pauses)
        .when(passes)
        .adjust(|error, pause| Some(pause?.max(asked_pause(error))))
        .notify(|error, pause| tracing::debug!(%error, ?pause, "no pod yet"))
        .await;
    match created {
        Ok(_) => Ok(()),
        // An attempt whose answer got lost may have made it.
        Err(error) if is_there_already(&error) && is_ours(pods, pod).await => Ok(()),
        Err(error) => Err(error),
    }
}

fn refusal(error: &PodError) -> Option<&Status> {
    match error {
        PodError::Cluster(kube::Error::Api(status)) => Some(&**status),
        _ => None,
    }
}

fn is_there_already(error: &PodError) -> bool {
    refusal(error).is_some_and(|status| status.code == 409 && status.reason == "AlreadyExists")
}

/// Whether the same request may succeed later. What is no answer of the cluster's is a connection that broke.
fn passes(error: &PodError) -> bool {
    match error {
        PodError::Cluster(kube::Error::Api(status)) => {
            !is_there_already(error) && (matches!(status.code, 409 | 429) || status.code >= 500)
        }
        PodError::Cluster(kube::Error::HyperError(_) | kube::Error::Service(_)) | PodError::NoAnswer(_) => true,
        _ => false,
    }
}

/// How long the cluster wants not to be asked again.
fn asked_pause(error: &PodError) -> Duration {
    let details = refusal(error).and_then(|status| status.details.as_ref());
    Duration::from_secs(details.map_or(0, |details| details.retry_after_seconds.into())).min(LONGEST_PAUSE)
}

async fn is_ours(pods: &Api<Pod>, pod: &Pod) -> bool {
    let owner = |pod: &Pod| pod.metadata.labels.as_ref().and_then(|labels| labels.get(OWNER).cloned());
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    pods.get(name).await.is_ok_and(|found| owner(&found) == owner(pod))
}

/// Waits until the pod's container runs.
pub(super) async fn until_running(pods: &Api<Pod>, name: &str, timeout: Duration) -> Result<(), PodError> {
    let mut state = "nothing".to_owned();
    let running = time::timeout(timeout, follow(pods, name, &mut state)).await;
    running.unwrap_or_else(|_| Err(PodError::Late { seconds: timeout.as_secs_f64(), state }))
}

async fn follow(pods: &Api<Pod>, name: &str, state: &mut String) -> Result<(), PodError> {
    let parameters = WatchParams::default().fields(&format!("metadata.name={name}"));
    loop {
        let version = match pods.get(name).await.map_err(PodError::from) {
            Ok(pod) => {
                if judge(&pod, state)? {
                    return Ok(());
                }
                pod.metadata.resource_version.unwrap_or_default()
            }
            Err(error) if passes(&error) => {
                *state = error.to_string();
                time::sleep(WATCH_PAUSE).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        if let Ok(events) = pods.watch(&parameters, &version).await {
            let mut events = events.boxed();
            // An error, such as that of a version too old, is dealt with by looking anew.
            while let Some(Ok(event)) = events.next().await {
                match event {
                    WatchEvent::Added(pod) | WatchEvent::Modified(pod) => {
                        if judge(&pod, state)? {
                            return Ok(());
                        }
                    }
                    WatchEvent::Deleted(_) => return Err(PodError::Hopeless("somebody deleted it".to_owned())),
                    WatchEvent::Bookmark(_) => {}
                    WatchEvent::Error(_) => break,
                }
            }
        }
        time::sleep(WATCH_PAUSE).await;
    }
}

/// Whether the pod runs, or else why not yet, in words.
fn judge(pod: &Pod, state: &mut String) -> Result<bool, PodError> {
    let Some(status) = &pod.status else { return Ok(false) };
    let phase = status.phase.as_deref().unwrap_or("Pending");
    if matches!(phase, "Failed" | "Succeeded") {
        return Err(PodError::Hopeless(explained(phase, status.reason.as_deref(), status.message.as_deref())));
    }
    let containers = status.container_statuses.as_deref().unwrap_or_default();
    let states = || containers.iter().filter_map(|container| container.state.as_ref());
    *state = phase.to_owned();
    if let Some(waiting) = states().find_map(|state| state.waiting.as_ref()) {
        let reason = waiting.reason.as_deref();
        *state = explained(phase, reason, waiting.message.as_deref());
        if reason.is_some_and(|reason| HOPELESS.contains(&reason)) {
            return Err(PodError::Hopeless(state.clone()));
        }
    } else {
        let conditions = status.conditions.as_deref().unwrap_or_default();
        if let Some(unmet) = conditions.iter().find(|one| one.type_ == "PodScheduled" && one.status == "False") {
            *state = explained(phase, unmet.reason.as_deref(), unmet.message.as_deref());
        }
    }
    Ok(phase == "Running" && states().any(|state| state.running.is_some()))
}

fn explained(phase: &str, reason: Option<&str>, message: Option<&str>) -> String {
    let parts = [Some(phase), reason, message].into_iter().flatten().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(": ")
}
