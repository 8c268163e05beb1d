//! Removing pods.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams};
use tokio::time;

use super::error::PodError;
use super::pod::{self, DEADLINE, MANAGED_BY, OWNER};
use crate::sandbox::SandboxError;

/// How long is waited for an answer about left-overs.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Deletes a pod. One that is gone already is no error.
pub(super) async fn delete(pods: &Api<Pod>, name: &str, request_timeout: Duration) -> Result<(), PodError> {
    let deleted = time::timeout(request_timeout, pods.delete(name, &DeleteParams::default())).await;
    match deleted.map_err(|_| PodError::NoAnswer(request_timeout.as_secs_f64()))? {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

/// Deletes this crate's pods of a namespace (else the client's) that nobody needs any more, and returns how many: those
/// that ended, those past their deadline, and those of an owner that is known to be dead.
///
/// The pods of an owner that was killed end by themselves after [`PodOptions::lifetime`](super::PodOptions::lifetime), but
/// the cluster keeps a record of each until it is deleted.
///
/// # Errors
///
/// Where the cluster refuses to list or delete pods, or cannot be reached.
pub async fn remove_left_overs(
    client: Client,
    namespace: Option<&str>,
    dead_owner: Option<&str>,
) -> Result<usize, SandboxError> {
    let pods = namespaced(client, namespace);
    let left_over =
        |pod: &Pod| ended(pod) || past_deadline(pod) || dead_owner.is_some_and(|dead| owner(pod) == Some(dead));
    let remove = async {
        let list = ListParams::default().labels(&format!("{}={}", MANAGED_BY.0, MANAGED_BY.1));
        let mut removed = 0;
        for pod in pods.list(&list).await?.items.iter().filter(|pod| left_over(pod)) {
            delete(&pods, pod.metadata.name.as_deref().unwrap_or_default(), TIMEOUT).await?;
            removed += 1;
        }
        Ok::<_, PodError>(removed)
    };
    remove.await.map_err(|error| error.when("remove left-over pods"))
}

/// The pods of a namespace, else of the client's.
pub(super) fn namespaced(client: Client, namespace: Option<&str>) -> Api<Pod> {
    match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::default_namespaced(client),
    }
}

fn ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Failed" | "Succeeded"))
}

fn past_deadline(pod: &Pod) -> bool {
    let deadline = pod.metadata.annotations.as_ref().and_then(|all| all.get(DEADLINE)?.parse::<i64>().ok());
    deadline.is_some_and(|deadline| deadline < pod::now())
}

fn owner(pod: &Pod) -> Option<&str> {
    pod.metadata.labels.as_ref()?.get(OWNER).map(String::as_str)
}
