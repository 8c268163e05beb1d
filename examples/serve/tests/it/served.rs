//! A server on a port of its own, and the smallest client.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use entropo::train::LocalModel;
use entropo::train::generate::{EngineConfig, HostDecoder};
use entropo::train::text::ChatFormat;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use serve::{Server, router};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) const RANDOM: &str = "../../tests/fixtures/models/qwen2/checkpoint";
pub(crate) const POLICY: &str = "../repair-lab/checkpoint";

pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) server: Arc<Server>,
}

/// A connection; aborting `life` hangs up.
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<String>,
    pub(crate) life: JoinHandle<()>,
}

impl Served {
    pub(crate) async fn new(checkpoint: &str) -> Self {
        Self::with_key(checkpoint, None).await
    }

    pub(crate) async fn with_key(checkpoint: &str, key: Option<&str>) -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(checkpoint);
        let (decoder, format) = (HostDecoder::open(&directory).unwrap(), ChatFormat::from_dir(&directory).unwrap());
        let config = EngineConfig { threads: 1, batch: 4, ..EngineConfig::default() };
        let model = LocalModel::of_host("tiny", decoder, format, config).unwrap();
        let server = Arc::new(Server::new(model, key.map(str::to_owned)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router(Arc::clone(&server));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, server }
    }

    pub(crate) async fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        Connection { sender, life: tokio::spawn(async move { drop(connection.await) }) }
    }

    pub(crate) async fn send(&self, request: Request<String>) -> (StatusCode, String) {
        let response = self.connect().await.sender.send_request(request).await.unwrap();
        (response.status(), text(response).await)
    }

    /// Any answer to a completion request.
    pub(crate) async fn ask(&self, body: &Value) -> (StatusCode, Value) {
        let (status, text) = self.send(completion(&body.to_string())).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// The reply to a completion request.
    pub(crate) async fn complete(&self, body: &Value) -> Value {
        let (status, reply) = self.ask(body).await;
        assert_eq!(status, StatusCode::OK, "{reply}");
        reply
    }

    /// The pieces of a streamed reply, which ends as it should.
    pub(crate) async fn stream(&self, body: &Value) -> Vec<Value> {
        let body = with(body, json!({"stream": true, "stream_options": {"include_usage": true}}));
        let (status, text) = self.send(completion(&body.to_string())).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        let events = text.split("\n\n").filter(|event| !event.is_empty() && !event.starts_with(':'));
        let mut data: Vec<&str> = events.map(|event| event.strip_prefix("data: ").unwrap()).collect();
        assert_eq!(data.pop(), Some("[DONE]"));
        data.into_iter().map(|data| serde_json::from_str(data).unwrap()).collect()
    }
}

pub(crate) fn completion(body: &str) -> Request<String> {
    let request = Request::post("/v1/chat/completions").header("Content-Type", "application/json");
    request.header("Host", "localhost").body(body.to_owned()).unwrap()
}

pub(crate) async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// A question with a fixed seed, and what else is asked.
pub(crate) fn hello(change: Value) -> Value {
    let messages = json!([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello there"}]);
    with(&json!({"messages": messages, "seed": 7, "max_tokens": 24}), change)
}

pub(crate) fn with(object: &Value, change: Value) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    object
}
