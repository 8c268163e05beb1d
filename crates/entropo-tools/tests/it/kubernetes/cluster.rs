//! A cluster as far as these tests need one: an API server for pods, which "run" as plain processes of this machine.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use entropo_tools::sandbox::kubernetes::kube::{Client, Config};
use futures::{SinkExt, StreamExt};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::{mpsc, watch};

/// What comes of a pod that is made.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    Runs,
    /// Its container waits, for this reason.
    Waits(&'static str),
    Unschedulable,
    /// It ends, for this reason.
    Fails(&'static str),
}

pub(crate) struct Cluster {
    pub(crate) shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
    address: SocketAddr,
}

pub(crate) struct Shared {
    pods: Mutex<BTreeMap<String, Value>>,
    /// Answers to the next requests for a pod: a status and a reason. `0` makes the pod and loses the answer.
    pub(crate) refusals: Mutex<VecDeque<(u16, &'static str)>>,
    fate: Fate,
    protocol: &'static str,
    groups: Mutex<Vec<(String, Pid)>>,
    version: watch::Sender<u64>,
    pub(crate) log: Mutex<Vec<String>>,
}

impl Cluster {
    pub(crate) fn new(fate: Fate) -> Self {
        Self::speaking(fate, "v5.channel.k8s.io")
    }

    pub(crate) fn speaking(fate: Fate, protocol: &'static str) -> Self {
        let shared = Arc::new(Shared {
            pods: Mutex::default(),
            refusals: Mutex::default(),
            fate,
            protocol,
            groups: Mutex::default(),
            version: watch::channel(1).0,
            log: Mutex::default(),
        });
        let pods = "/api/v1/namespaces/{namespace}/pods";
        let router = Router::new()
            .route(pods, post(create).get(list))
            .route(&format!("{pods}/{{name}}"), get(read).delete(delete))
            .route(&format!("{pods}/{{name}}/exec"), get(exec))
            .with_state(Arc::clone(&shared));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        Self { shared, runtime: Some(runtime), address }
    }

    pub(crate) fn client(&self) -> Client {
        let mut config = Config::new(format!("http://{}", self.address).parse().unwrap());
        // The sandbox tries again by itself.
        config.default_retry = false;
        Client::try_from(config).unwrap()
    }

    /// Breaks all connections and takes no new ones. Processes run on.
    pub(crate) fn die(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }

    pub(crate) fn pods(&self) -> Vec<Value> {
        self.shared.pods.lock().unwrap().values().cloned().collect()
    }

    pub(crate) fn requests(&self, what: &str) -> usize {
        self.shared.log.lock().unwrap().iter().filter(|line| *line == what).count()
    }

    pub(crate) fn insert(&self, pod: Value) {
        self.shared.put(pod["metadata"]["name"].as_str().unwrap().to_owned(), pod);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for (_, group) in self.shared.groups.lock().unwrap().drain(..) {
            let _ = killpg(group, Signal::SIGKILL);
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    fn put(&self, name: String, mut pod: Value) -> Value {
        let mut pods = self.pods.lock().unwrap();
        self.version.send_modify(|version| *version += 1);
        pod["metadata"]["resourceVersion"] = json!(self.version.borrow().to_string());
        pods.insert(name, pod.clone());
        pod
    }

    fn note(&self, line: impl Into<String>) {
        self.log.lock().unwrap().push(line.into());
    }
}

fn refuse(code: u16, reason: &str) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code,
        "message": format!("refused: {reason}")});
    (StatusCode::from_u16(code).unwrap(), Json(status)).into_response()
}

type Pods = State<Arc<Shared>>;

async fn create(State(shared): Pods, Json(mut pod): Json<Value>) -> Response {
    shared.note("create");
    let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
    let refusal = shared.refusals.lock().unwrap().pop_front();
    if let Some((code, reason)) = refusal.filter(|(code, _)| *code != 0) {
        return refuse(code, reason);
    }
    if shared.pods.lock().unwrap().contains_key(&name) {
        return refuse(409, "AlreadyExists");
    }
    let root = pod["spec"]["containers"][0]["workingDir"].as_str().unwrap().to_owned();
    std::fs::create_dir_all(root).unwrap();
    pod["status"] = json!({"phase": "Pending"});
    let pod = shared.put(name.clone(), pod);
    let (later, mut changed) = (Arc::clone(&shared), pod.clone());
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(30)).await;
        changed["status"] = json!({"phase": "Pending", "containerStatuses": [container(json!({"waiting": {"reason": "ContainerCreating"}}))]});
        later.put(name.clone(), changed.clone());
        tokio::time::sleep(Duration::from_millis(30)).await;
        changed["status"] = status(&later.fate);
        later.put(name, changed);
    });
    if refusal.is_some() { refuse(500, "InternalError") } else { (StatusCode::CREATED, Json(pod)).into_response() }
}

fn container(state: Value) -> Value {
    json!({"name": "sandbox", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state})
}

fn status(fate: &Fate) -> Value {
    match fate {
        Fate::Runs => json!({"phase": "Running", "containerStatuses": [container(json!({"running": {}}))]}),
        Fate::Waits(reason) => json!({"phase": "Pending",
            "containerStatuses": [container(json!({"waiting": {"reason": reason, "message": "no such image"}}))]}),
        Fate::Unschedulable => json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/3 nodes are available"}]}),
        Fate::Fails(reason) => json!({"phase": "Failed", "reason": reason, "message": "the node says no"}),
    }
}

async fn read(State(shared): Pods, Path((_, name)): Path<(String, String)>) -> Response {
    shared.note("get");
    match shared.pods.lock().unwrap().get(&name) {
        Some(pod) => Json(pod.clone()).into_response(),
        None => refuse(404, "NotFound"),
    }
}

async fn delete(State(shared): Pods, Path((_, name)): Path<(String, String)>) -> Response {
    shared.note("delete");
    let gone = shared.pods.lock().unwrap().remove(&name);
    shared.version.send_modify(|version| *version += 1);
    shared.groups.lock().unwrap().retain(|(pod, group)| {
        let other = *pod != name;
        if !other {
            let _ = killpg(*group, Signal::SIGKILL);
        }
        other
    });
    gone.map_or_else(|| refuse(404, "NotFound"), |pod| Json(pod).into_response())
}

async fn list(State(shared): Pods, Query(query): Query<BTreeMap<String, String>>) -> Response {
    if query.get("watch").is_some_and(|value| value == "true") {
        return follow(shared, &query);
    }
    shared.note("list");
    let (label, value) = query["labelSelector"].split_once('=').unwrap();
    let pods = shared.pods.lock().unwrap();
    let items: Vec<_> = pods.values().filter(|pod| pod["metadata"]["labels"][label] == value).cloned().collect();
    Json(json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})).into_response()
}

/// Sends each new version of one pod as a line.
fn follow(shared: Arc<Shared>, query: &BTreeMap<String, String>) -> Response {
    shared.note("watch");
    let name = query["fieldSelector"].strip_prefix("metadata.name=").unwrap().to_owned();
    let seen: u64 = query["resourceVersion"].parse().unwrap();
    let versions = shared.version.subscribe();
    let lines =
        futures::stream::unfold((shared, name, seen, versions), |(shared, name, seen, mut versions)| async move {
            loop {
                versions.borrow_and_update();
                let pod = shared.pods.lock().unwrap().get(&name).cloned();
                let version =
                    pod.as_ref().map(|pod| pod["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap());
                if let (Some(pod), Some(version)) = (pod, version.filter(|version| *version > seen)) {
                    let line = json!({"type": "MODIFIED", "object": pod}).to_string() + "\n";
                    return Some((Ok::<_, Infallible>(Bytes::from(line)), (shared, name, version, versions)));
                }
                versions.changed().await.ok()?;
            }
        });
    Body::from_stream(lines).into_response()
}

async fn exec(
    State(shared): Pods,
    Path((_, name)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    shared.note("exec");
    let Some(pod) = shared.pods.lock().unwrap().get(&name).cloned() else { return refuse(404, "NotFound") };
    let protocol = shared.protocol;
    upgrade.protocols([protocol]).on_upgrade(move |socket| run(shared, name, pod, query, socket))
}

async fn run(shared: Arc<Shared>, name: String, pod: Value, query: Vec<(String, String)>, socket: WebSocket) {
    let wants = |stream: &str| query.iter().any(|(key, value)| key == stream && value == "true");
    let pipe = |stream: &str| if wants(stream) { Stdio::piped() } else { Stdio::null() };
    let argv: Vec<&String> = query.iter().filter(|(key, _)| key == "command").map(|(_, value)| value).collect();
    let container = &pod["spec"]["containers"][0];
    let mut command = Command::new(argv[0]);
    command.args(&argv[1..]).current_dir(container["workingDir"].as_str().unwrap()).process_group(0);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
    for variable in container["env"].as_array().unwrap() {
        // As Kubernetes does, which takes `$$` for `$`.
        command.env(variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap().replace("$$", "$"));
    }
    let mut child = command.stdin(pipe("stdin")).stdout(pipe("stdout")).stderr(pipe("stderr")).spawn().unwrap();
    shared.groups.lock().unwrap().push((name, Pid::from_raw(child.id().unwrap().cast_signed())));
    let (sender, mut pieces) = mpsc::channel::<Vec<u8>>(4);
    if let Some(stdout) = child.stdout.take() {
        tokio::spawn(pump(1, stdout, sender.clone()));
    }
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(pump(2, stderr, sender.clone()));
    }
    drop(sender);
    let mut stdin = child.stdin.take();
    let (mut out, mut from_client) = socket.split();
    let feed = async {
        while let Some(Ok(message)) = from_client.next().await {
            match message {
                Message::Binary(bytes) if bytes[..] == [255, 0] => stdin = None,
                Message::Binary(bytes) if bytes[0] == 0 => {
                    if let Some(stdin) = &mut stdin {
                        // One who does not read on is no error.
                        let _ = stdin.write_all(&bytes[1..]).await;
                    }
                }
                Message::Close(_) => return,
                _ => {}
            }
        }
    };
    // As container engines do, the end is told only when nobody holds the output any more.
    let take = async {
        while let Some(piece) = pieces.recv().await {
            if out.send(Message::Binary(piece.into())).await.is_err() {
                return;
            }
        }
        let ended = child.wait().await.unwrap();
        let code =
            std::os::unix::process::ExitStatusExt::signal(&ended).map_or(ended.code(), |signal| Some(128 + signal));
        let status = match code.unwrap() {
            0 => json!({"metadata": {}, "status": "Success"}),
            code => json!({"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
                "message": format!("command terminated with non-zero exit code: exit status {code}"),
                "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]}}),
        };
        let _ = out.send(Message::Binary([b"\x03", status.to_string().as_bytes()].concat().into())).await;
        let _ = out.send(Message::Close(None)).await;
    };
    // One who went away leaves the process running, and is told nothing.
    tokio::select! {
        () = take => {}
        () = feed => {}
    }
}

async fn pump(channel: u8, mut from: impl AsyncRead + Unpin, to: mpsc::Sender<Vec<u8>>) {
    let mut buffer = vec![0; 8 << 10];
    loop {
        match from.read(&mut buffer).await {
            Ok(read) if read > 0 => {
                let piece = [&[channel], &buffer[..read]].concat();
                if to.send(piece).await.is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}
