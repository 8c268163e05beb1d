//! A server of OpenAI's kind that answers by a script.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<AtomicUsize>,
}

impl Server {
    /// Answers turn `n` of every conversation with call `n`. Of the conversations that are begun, those of odd number get
    /// the second script.
    pub(crate) fn start(scripts: [Vec<(&'static str, Value)>; 2]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let scripts = Arc::new(scripts);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (count, scripts) = (Arc::clone(&count), Arc::clone(&scripts));
                std::thread::spawn(move || serve(stream.unwrap(), &count, &scripts));
            }
        });
        Self { url, asked }
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Which script a conversation follows: the one that it began with, at first as its seed says. Every turn has a seed of its
/// own, the same however often a rollout is made.
fn begun(body: &Value, scripts: &[Vec<(&'static str, Value)>; 2]) -> usize {
    let by_seed = usize::from(body["seed"].as_u64().unwrap_or_default() % 2 == 1);
    let Some(first) = body["messages"].as_array().unwrap().iter().find(|one| one["role"] == "assistant") else {
        return by_seed;
    };
    let call = &first["tool_calls"][0]["function"];
    let began = |script: &[(&str, Value)]| {
        let arguments = call["arguments"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        script.first().is_some_and(|(name, given)| call["name"] == *name && arguments.as_ref() == Some(given))
    };
    let alike: Vec<usize> = (0..2).filter(|place| began(&scripts[*place])).collect();
    if alike.contains(&by_seed) { by_seed } else { alike.first().copied().unwrap_or(by_seed) }
}

fn serve(stream: TcpStream, count: &AtomicUsize, scripts: &[Vec<(&'static str, Value)>; 2]) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let header = line.trim().to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if header.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        count.fetch_add(1, Ordering::SeqCst);
        let body: Value = serde_json::from_slice(&body).unwrap();
        let turns = body["messages"].as_array().unwrap().iter().filter(|one| one["role"] == "assistant").count();
        let script = &scripts[begun(&body, scripts)];
        let (name, arguments) = &script[turns.min(script.len() - 1)];
        let call = json!({"index": 0, "id": format!("c{turns}"), "type": "function",
            "function": {"name": name, "arguments": arguments.to_string()}});
        let delta = json!({"role": "assistant", "content": null, "tool_calls": [call]});
        let usage = json!({"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110});
        let events = [
            json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]}),
            json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
            json!({"object": "chat.completion.chunk", "choices": [], "usage": usage}),
        ];
        let text: String =
            events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>() + "data: [DONE]\n\n";
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {}\r\n\r\n", text.len());
        if writer.write_all((head + &text).as_bytes()).is_err() {
            return;
        }
    }
}
