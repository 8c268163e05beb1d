//! What a pod is made of.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::Toleration;

/// What the pod of one sandbox is made of, and how long is waited for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PodOptions {
    /// The image. It needs `sh`, `env`, `cat`, `head`, `rm`, `sleep`, `tar` and `xargs`, which Debian's and Alpine's have.
    pub image: String,
    /// The namespace, else the client's.
    pub namespace: Option<String>,
    /// What it may use, and what is set aside for it.
    pub resources: PodResources,
    /// Who answers for it: an id by which all pods of a dead owner can be removed. A random one unless told.
    pub owner: String,
    /// How long it lives at most; then the cluster ends it, whether or not its owner still lives.
    pub lifetime: Duration,
    /// How long is waited until it runs: for a place, for its image and for its start.
    pub start_timeout: Duration,
    /// How long is waited for the answer to one request.
    pub request_timeout: Duration,
    /// How long one copy of files into or out of the pod may take.
    pub transfer_timeout: Duration,
    /// Where in the pod the workspace lies.
    pub root: PathBuf,
    /// The most bytes of the workspace that are taken out of the pod at once, as an archive.
    pub archive_limit: u64,
    /// The user as whom commands run, else the image's.
    pub user: Option<i64>,
    /// The labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// The taints of nodes that do not matter.
    pub tolerations: Vec<Toleration>,
    /// The secret with which the image is pulled.
    pub pull_secret: Option<String>,
    /// More labels for the pod, such as those that a network policy selects by.
    pub labels: BTreeMap<String, String>,
    /// Variables for all commands.
    pub environment: Vec<(String, String)>,
}

/// What a pod may use. The same is set aside for it, so that it is not the first to be evicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PodResources {
    /// Thousandths of a processor.
    pub processor_millis: Option<u64>,
    /// Bytes of memory. The kernel kills what goes beyond.
    pub memory: Option<u64>,
    /// Bytes of disk for the workspace, temporary files and what else is written. The pod is evicted if it goes beyond.
    pub disk: Option<u64>,
}

impl PodOptions {
    /// A pod of this image, for an hour, without limits.
    pub fn new(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            namespace: None,
            resources: PodResources::default(),
            owner: format!("{:016x}", rand::random::<u64>()),
            lifetime: Duration::from_secs(3600),
            start_timeout: Duration::from_secs(300),
            request_timeout: Duration::from_secs(30),
            transfer_timeout: Duration::from_secs(600),
            root: PathBuf::from("/workspace"),
            archive_limit: 2 << 30,
            user: None,
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            pull_secret: None,
            labels: BTreeMap::new(),
            environment: Vec::new(),
        }
    }

    /// Sets the namespace.
    #[must_use]
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        Self { namespace: Some(namespace.into()), ..self }
    }

    /// Sets what it may use.
    #[must_use]
    pub fn resources(self, resources: PodResources) -> Self {
        Self { resources, ..self }
    }

    /// Sets who answers for it. Kubernetes wants at most 63 letters, digits, `-`, `_` and `.`.
    #[must_use]
    pub fn owner(self, owner: impl Into<String>) -> Self {
        Self { owner: owner.into(), ..self }
    }

    /// Sets how long it lives at most.
    #[must_use]
    pub fn lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// Sets how long is waited until it runs.
    #[must_use]
    pub fn start_timeout(self, start_timeout: Duration) -> Self {
        Self { start_timeout, ..self }
    }

    /// Sets how long is waited for the answer to one request.
    #[must_use]
    pub fn request_timeout(self, request_timeout: Duration) -> Self {
        Self { request_timeout, ..self }
    }

    /// Sets how long one copy of files may take.
    #[must_use]
    pub fn transfer_timeout(self, transfer_timeout: Duration) -> Self {
        Self { transfer_timeout, ..self }
    }

    /// Sets where in the pod the workspace lies: an absolute path at which the image has nothing.
    #[must_use]
    pub fn root(self, root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), ..self }
    }

    /// Limits how many bytes are taken out of the pod at once.
    #[must_use]
    pub fn archive_limit(self, archive_limit: u64) -> Self {
        Self { archive_limit, ..self }
    }

    /// Sets the user as whom commands run.
    #[must_use]
    pub fn user(self, user: i64) -> Self {
        Self { user: Some(user), ..self }
    }

    /// Demands a label of the node.
    #[must_use]
    pub fn node_label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.node_selector.insert(key.into(), value.into());
        self
    }

    /// Bears a taint of nodes.
    #[must_use]
    pub fn toleration(mut self, toleration: Toleration) -> Self {
        self.tolerations.push(toleration);
        self
    }

    /// Pulls the image with this secret of the namespace.
    #[must_use]
    pub fn pull_secret(self, name: impl Into<String>) -> Self {
        Self { pull_secret: Some(name.into()), ..self }
    }

    /// Sets a label of the pod.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Sets a variable for all commands; a command's own win.
    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((key.into(), value.into()));
        self
    }
}

impl PodResources {
    /// Limits the processors, in thousandths of one.
    #[must_use]
    pub fn processor_millis(self, millis: u64) -> Self {
        Self { processor_millis: Some(millis), ..self }
    }

    /// Limits the memory, in bytes.
    #[must_use]
    pub fn memory(self, bytes: u64) -> Self {
        Self { memory: Some(bytes), ..self }
    }

    /// Limits the disk, in bytes.
    #[must_use]
    pub fn disk(self, bytes: u64) -> Self {
        Self { disk: Some(bytes), ..self }
    }
}
