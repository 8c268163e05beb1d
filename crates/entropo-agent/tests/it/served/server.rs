//! A server that answers as it is told, byte by byte, and shorthand to ask it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use entropo_agent::model::http::{Connection, Retry};
use entropo_agent::model::openai::OpenAi;
use entropo_agent::{CancellationToken, ChatModel, ChatRequest, ChatResponse, ModelError, Sampling};
use entropo_core::{Message, TokenTrace};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the server does with a request, one after another; then it closes the connection.
#[derive(Clone)]
pub(crate) enum Act {
    Send(Vec<u8>),
    /// Sends this until the client goes away.
    Repeat(Vec<u8>),
    /// Says nothing until the client goes away.
    Hang,
    /// Breaks the connection instead of closing it.
    Reset,
}

/// What a client sent.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    /// In lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A server on this machine; it ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// How many clients went away while the server had more to do for them.
    gone: watch::Receiver<usize>,
}

impl Server {
    /// A server that answers request number `n`, counted from 0, with `acts(n, request)`.
    pub(crate) async fn start(acts: impl Fn(usize, &Asked) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (note_gone, gone) = watch::channel(0);
        let (acts, requests) = (Arc::new(acts), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acts, requests, note_gone) = (Arc::clone(&acts), Arc::clone(&requests), note_gone.clone());
                tokio::spawn(async move {
                    if !serve(stream, acts.as_ref(), &requests).await {
                        note_gone.send_modify(|gone| *gone += 1);
                    }
                });
            }
        });
        Self { url, asked, gone }
    }

    /// A server that always does the same.
    pub(crate) async fn always(acts: Vec<Act>) -> Self {
        Self::start(move |_, _| acts.clone()).await
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Waits until so many clients went away early.
    pub(crate) async fn gone(&self, count: usize) {
        self.gone.clone().wait_for(|gone| *gone >= count).await.unwrap();
    }

    /// The way to it, which tries nothing again.
    pub(crate) fn connection(&self) -> Connection {
        Connection::new(&self.url).retry(Retry::never())
    }

    pub(crate) fn openai(&self) -> OpenAi {
        OpenAi::new(self.connection(), "m").unwrap()
    }

    /// A model that tries so often, and soon.
    pub(crate) fn persistent(&self, attempts: usize) -> OpenAi {
        let retry = Retry { attempts, first_wait: Duration::from_millis(1), ..Retry::default() };
        OpenAi::new(self.connection().retry(retry), "m").unwrap()
    }
}

/// Whether the client stayed to the end.
async fn serve(
    mut stream: TcpStream,
    acts: &(dyn Fn(usize, &Asked) -> Vec<Act> + Send + Sync),
    requests: &Mutex<Vec<Asked>>,
) -> bool {
    let Some(asked) = read(&mut stream).await else { return false };
    let acts = {
        let mut requests = requests.lock().unwrap();
        let acts = acts(requests.len(), &asked);
        requests.push(asked);
        acts
    };
    for act in acts {
        let stays = match act {
            Act::Send(bytes) => stream.write_all(&bytes).await.is_ok(),
            Act::Repeat(bytes) => {
                while stream.write_all(&bytes).await.is_ok() {}
                false
            }
            Act::Hang => {
                while !matches!(stream.read(&mut [0; 64]).await, Ok(0) | Err(_)) {}
                false
            }
            Act::Reset => {
                stream.set_zero_linger().unwrap();
                return true;
            }
        };
        if !stays {
            return false;
        }
    }
    stream.shutdown().await.is_ok()
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&piece[..count]);
        let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0").parse().unwrap();
        bytes.drain(..end + 4);
        break (head, length);
    };
    while bytes.len() < length {
        let mut piece = vec![0; length - bytes.len()];
        let count = stream.read(&mut piece).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&piece[..count]);
    }
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    Some(Asked {
        path: head.split(' ').nth(1).unwrap().to_owned(),
        headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
        body: serde_json::from_slice(&bytes).unwrap(),
    })
}

/// The head of a response that ends with the connection.
pub(crate) fn head(status: u16, kind: &str, more: &str) -> Act {
    Act::Send(format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nconnection: close\r\n{more}\r\n").into_bytes())
}

/// A response with a JSON body.
pub(crate) fn json_body(status: u16, body: &Value) -> Vec<Act> {
    vec![head(status, "application/json", ""), send(&body.to_string())]
}

/// A response with a stream that begins with `text`.
pub(crate) fn events(text: &str) -> Vec<Act> {
    vec![head(200, "text/event-stream", ""), send(text)]
}

pub(crate) fn send(text: &str) -> Act {
    Act::Send(text.as_bytes().to_vec())
}

/// A stream of these pieces.
pub(crate) fn pieces(pieces: &[Value]) -> String {
    pieces.iter().map(|piece| format!("data: {piece}\n\n")).collect()
}

pub(crate) fn delta(delta: Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

pub(crate) fn end(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

/// A complete stream that says `text`.
pub(crate) fn saying(text: &str) -> Vec<Act> {
    events(&(pieces(&[delta(json!({"content": text})), end("stop")]) + "data: [DONE]\n\n"))
}

/// A complete stream that calls a tool.
pub(crate) fn calling(name: &str, arguments: &Value) -> Vec<Act> {
    let call = json!({"index": 0, "id": "x", "function": {"name": name, "arguments": arguments.to_string()}});
    events(&(pieces(&[delta(json!({"tool_calls": [call]})), end("tool_calls")]) + "data: [DONE]\n\n"))
}

/// Says hello to a model.
pub(crate) async fn ask(model: &dyn ChatModel) -> Result<ChatResponse, ModelError> {
    ask_until(model, &CancellationToken::new()).await
}

pub(crate) async fn ask_until(model: &dyn ChatModel, cancel: &CancellationToken) -> Result<ChatResponse, ModelError> {
    model.chat(hello(cancel, &TokenTrace::default(), &Sampling::default(), &[Message::user("Hello")])).await
}

pub(crate) fn hello<'a>(
    cancel: &'a CancellationToken,
    trace: &'a TokenTrace,
    sampling: &'a Sampling,
    messages: &'a [Message],
) -> ChatRequest<'a> {
    ChatRequest { messages, tools: &[], trace, sampling, turn: 0, seed: 1, cancel }
}
