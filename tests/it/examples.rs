//! The examples that need no network, as a user runs them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::place::{example, processes_of, wait};

/// Longer than any of them on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

struct Ended {
    code: Option<i32>,
    printed: String,
}

/// An example with its own temporary directory, in which nothing is left in the end.
fn run(name: &str, arguments: &[&str]) -> Ended {
    let temporary = TempDir::new().unwrap();
    let mut command = Command::new(example(name));
    command.args(arguments).env("TMPDIR", temporary.path()).env_remove("OPENAI_API_KEY").stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let printed = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    if status.code().is_some() {
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "{name} left something behind\n{printed}");
        assert!(processes_of(temporary.path()).is_empty(), "{name} left processes behind\n{printed}");
    }
    Ended { code: status.code(), printed }
}

/// Fails unless the example succeeded and printed these, in this order.
#[track_caller]
fn assert_prints(ended: &Ended, wanted: &[&str]) {
    assert_eq!(ended.code, Some(0), "{}", ended.printed);
    let mut rest = ended.printed.as_str();
    for wanted in wanted {
        let Some((_, after)) = rest.split_once(wanted) else { panic!("no {wanted:?} in\n{}", ended.printed) };
        rest = after;
    }
}

#[test]
fn solve_repairs_its_demonstration() {
    let ended = run("solve", &["--demo", "--yes"]);
    assert_prints(&ended, &["expected", "> editor", "ended: Agent", "diff --git", "Applied to", "Hidden tests: "]);
    let ended = run("solve", &["--demo"]);
    assert_prints(&ended, &["diff --git", "Nothing was applied."]);
}

#[test]
fn solve_says_what_it_needs() {
    let place = TempDir::new().unwrap();
    let here = place.path().to_str().unwrap();
    for (arguments, wanted) in [
        (&["--repo", here, "--issue", "It is broken."][..], "the embedded policy knows the tasks of --demo only"),
        (
            &["--repo", here, "--issue", "@nowhere", "--base-url", "http://[::1]/v1", "--model", "m"],
            "cannot read nowhere",
        ),
        (
            &["--repo", here, "--issue", "Broken.", "--base-url", "http://[::1]/v1", "--model", "m"],
            "must be a git repo",
        ),
        (&["--demo", "--max-cost", "1"], "--max-cost needs --prices"),
        (&["--demo", "--anthropic", "--model", "m", "--dialect", "xml"], "leave --dialect out"),
    ] {
        let ended = run("solve", arguments);
        assert_eq!(ended.code, Some(1), "{}", ended.printed);
        assert!(ended.printed.contains(wanted), "{}", ended.printed);
    }
}

/// A model server that says one of `replies` after the other in each conversation; its base URL.
async fn serve(replies: Vec<Value>) -> String {
    let complete = async move |body: Bytes| {
        let request: Value = serde_json::from_slice(&body).unwrap();
        let messages = request["messages"].as_array().unwrap();
        let turn = messages.iter().filter(|message| message["role"] == "assistant").count();
        let chunk = json!({"choices": [{"index": 0, "delta": replies[turn], "finish_reason": "tool_calls"}]});
        ([(CONTENT_TYPE, "text/event-stream")], format!("data: {chunk}\n\ndata: [DONE]\n\n"))
    };
    let router = Router::new().route("/v1/chat/completions", post(complete));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/v1")
}

fn calls(name: &str, arguments: Value) -> Value {
    let function = json!({"name": name, "arguments": arguments.to_string()});
    json!({"content": "Now.", "tool_calls": [{"index": 0, "id": "a", "type": "function", "function": function}]})
}

fn git(directory: &Path, arguments: &[&str]) {
    let status = Command::new("git").arg("-C").arg(directory).args(arguments).status().unwrap();
    assert!(status.success(), "git {arguments:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn solve_works_on_a_copy_of_what_git_tracks() {
    let place = TempDir::new().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let repository = place.path().join("repository");
    fs::create_dir_all(repository.join("bin")).unwrap();
    fs::write(repository.join("bin/greet"), "echo helo\n").unwrap();
    symlink("bin/greet", repository.join("hello")).unwrap();
    fs::write(repository.join(".gitignore"), "target\n").unwrap();
    fs::write(repository.join("target"), "large\n").unwrap();
    fs::write(repository.join("gone"), "").unwrap();
    git(&repository, &["init", "--quiet"]);
    git(&repository, &["add", "."]);
    fs::remove_file(repository.join("gone")).unwrap();
    fs::write(place.path().join("issue"), "It says helo.").unwrap();

    let command = "ls -A . bin; readlink hello; sed -i s/helo/hello/ bin/greet; echo new > target";
    let url = serve(vec![calls("shell", json!({"command": command})), calls("finish", json!({}))]).await;
    let (repo, issue, session, patch) =
        (path("repository"), format!("@{}", path("issue")), path("run.jsonl"), path("changes.patch"));
    let arguments = ["--base-url", &url, "--model", "m", "--repo", &repo, "--issue", &issue];
    let solve = |more: &[&str]| run("solve", &[&arguments, more].concat());

    let ended = solve(&["--session", &session, "--patch", &patch, "--no"]);
    let shown =
        ["It says helo.", "[0] Now.", "> shell", "    .gitignore\n    bin\n    hello\n", "    bin/greet", "[1]"];
    assert_prints(&ended, &[&shown[..], &["ended: Agent", "2 steps", "+echo hello", "Nothing was applied."]].concat());
    assert_eq!(fs::read_to_string(repository.join("bin/greet")).unwrap(), "echo helo\n");
    let changes = fs::read_to_string(patch).unwrap();
    assert!(changes.contains("-echo helo\n+echo hello\n") && !changes.contains("target"), "{changes}");
    assert!(fs::read_to_string(&session).unwrap().lines().count() > 4);

    let ended = solve(&["--session", &session]);
    assert!(ended.code == Some(1) && ended.printed.contains("exists already"), "{}", ended.printed);

    assert_prints(&solve(&["--yes"]), &["Applied to"]);
    assert_eq!(fs::read_to_string(repository.join("bin/greet")).unwrap(), "echo hello\n");
    assert_eq!(fs::read_to_string(repository.join("target")).unwrap(), "large\n");
}

#[test]
fn custom_tools_are_refused_tested_and_used() {
    let wanted = [
        "Not allowed here",
        "Invalid arguments for write",
        "Call test, and finish when it says ok.",
        "not ok: 'W'",
        "ok",
        "ended: Agent; the slug: 10-ways-to-brew",
    ];
    assert_prints(&run("custom_tool", &[]), &wanted);
    let ended = run("custom_tool", &["--longest", "10"]);
    assert_eq!(ended.code, Some(1), "{}", ended.printed);
}

#[test]
fn a_run_is_taken_up_and_forked() {
    let place = TempDir::new().unwrap();
    let directory = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let diary = |name: &str| fs::read_to_string(place.path().join(name).join("diary")).unwrap();
    let (first, other) = (directory("first"), directory("other"));

    let ended = run("resume", &["--directory", &first, "--die-at", "2"]);
    assert!(ended.code.is_none() && ended.printed.contains("dies in step 2"), "{}", ended.printed);
    assert_eq!(diary("first"), "step 1\n");

    let ended = run("resume", &["--directory", &first]);
    assert_prints(
        &ended,
        &["Taken up after 3 steps.", "interrupted", "step 1 | step 2 | step 3 | step 4", "ended: Agent"],
    );
    assert_eq!(diary("first"), "step 1\nstep 2\nstep 3\nstep 4\n");

    let fork = ["--directory", &first, "--fork-to", &other, "--turn", "2"];
    assert_prints(&run("resume", &fork), &["Forked before step 2.", "step 1\n", "capitals", "STEP 4", "ended: Agent"]);
    assert_eq!(diary("other"), "step 1\nSTEP 2\nSTEP 3\nSTEP 4\n");
    assert_eq!(diary("first"), "step 1\nstep 2\nstep 3\nstep 4\n");
    let ended = run("resume", &fork);
    assert!(ended.code == Some(1) && ended.printed.contains("exists already"), "{}", ended.printed);
}

#[test]
fn spans_have_names_usage_and_contents_only_on_request() {
    let ended = run("otel", &[]);
    assert_prints(&ended, &["execute_tool editor", "chat script", "invoke_agent", "ended: Agent"]);
    for wanted in ["gen_ai.usage.output_tokens: I64(", "gen_ai.tool.name", "error.type"] {
        assert!(ended.printed.contains(wanted), "no {wanted} in\n{}", ended.printed);
    }
    assert!(!ended.printed.contains("hello"), "{}", ended.printed);
    assert_prints(&run("otel", &["--contents"]), &["It should say hello.", "ended: Agent"]);
}

/// A collector takes what is sent to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_reach_a_collector() {
    let (sent, mut received) = tokio::sync::mpsc::unbounded_channel();
    let router = Router::new().route("/v1/traces", post(async move |body: Bytes| sent.send(body).unwrap()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    assert_prints(&run("otel", &["--endpoint", &format!("http://{address}/v1/traces")]), &["ended: Agent"]);
    let spans = received.recv().await.unwrap();
    assert!(String::from_utf8_lossy(&spans).contains("invoke_agent"));
}

#[test]
fn rollouts_are_kept_and_only_what_is_missing_is_made() {
    let place = TempDir::new().unwrap();
    let store = place.path().join("rollouts.jsonl");
    let lines = || fs::read_to_string(&store).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    let make = |n| run("rollouts", &["-n", n, "--store", store.to_str().unwrap()]);
    assert_prints(&make("3"), &["of 3 rollouts pass", "pass@1: ", "pass@2: ", "submitted: "]);
    let before = lines();
    assert_eq!(before.len(), 3);
    assert_prints(&make("5"), &["of 5 rollouts pass", "pass@4: ", "submitted: "]);
    assert_eq!((lines().len(), lines().starts_with(&before)), (5, true));
}

/// The server of `embed`; killed when dropped.
struct Embed {
    server: Child,
    printed: BufReader<std::process::ChildStdout>,
    address: String,
}

impl Embed {
    fn start(directory: &Path) -> Self {
        let mut command = Command::new(example("embed"));
        command.args(["--port", "0", "--directory"]).arg(directory).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut server = command.spawn().unwrap();
        let mut printed = BufReader::new(server.stdout.take().unwrap());
        let mut line = String::new();
        printed.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().to_owned();
        Self { server, printed, address }
    }

    /// What it answers, headers first. An answer in HTTP/1.0 comes without a frame around each piece.
    fn ask(&self, line: &str, body: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let headers = format!("host: localhost\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
        write!(stream, "{line} HTTP/1.0\r\n{headers}\r\n\r\n{body}").unwrap();
        BufReader::new(stream)
    }

    fn answer(&self, question: &Value, allow: bool) -> String {
        let body = json!({"run": question["run"], "call": question["call"]["id"], "allow": allow}).to_string();
        let mut answer = String::new();
        self.ask("POST /answer", &body).read_to_string(&mut answer).unwrap();
        answer
    }

    fn printed_line(&mut self) -> String {
        let mut line = String::new();
        self.printed.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Embed {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The next event of this kind.
fn next(stream: &mut BufReader<TcpStream>, kind: &str) -> Value {
    for line in stream.lines() {
        let line = line.unwrap();
        if let Some(event) = line.strip_prefix("data: ") {
            let event: Value = serde_json::from_str(event).unwrap();
            if event["event"] == kind {
                return event;
            }
        }
    }
    panic!("the stream ended before {kind}");
}

#[test]
fn an_embedded_agent_streams_asks_and_stops_with_its_page() {
    let place = TempDir::new().unwrap();
    fs::write(place.path().join("found"), "").unwrap();
    let mut embed = Embed::start(place.path());
    let mut page = String::new();
    embed.ask("GET /", "").read_to_string(&mut page).unwrap();
    assert!(page.contains("text/html") && page.contains("<h1>"), "{page}");

    for (allow, status) in [(true, "done"), (false, "refused")] {
        let mut stream = embed.ask("POST /run", r#"{"task": "Look."}"#);
        assert_eq!(next(&mut stream, "writing")["piece"]["text"], "Let me look.");
        let asked = next(&mut stream, "asked");
        assert_eq!((&asked["call"]["name"], &asked["why"]), (&json!("shell"), &json!("it runs a command")));
        let answer = wait(PATIENCE, || Some(embed.answer(&asked, allow)).filter(|answer| answer.contains(" 204 ")));
        assert!(answer.is_some());
        assert!(embed.answer(&asked, allow).contains(" 410 "));
        let returned = next(&mut stream, "call_returned");
        assert_eq!(returned["result"]["status"], status);
        assert_eq!(returned["result"]["content"] == "found", allow, "{returned}");
        assert_eq!(next(&mut stream, "finished")["trajectory"]["exit"], "agent");
        assert!(embed.printed_line().contains("ended: Agent"));
    }

    let mut stream = embed.ask("POST /run", r#"{"task": "Look."}"#);
    let asked = next(&mut stream, "asked");
    drop(stream);
    assert!(embed.printed_line().contains("ended: Cancelled"));
    assert!(embed.answer(&asked, true).contains(" 410 "));
}

#[test]
fn every_example_explains_itself() {
    for name in ["chat", "custom_tool", "embed", "otel", "quickstart", "resume", "rollouts", "solve"] {
        let ended = run(name, &["--help"]);
        assert_prints(&ended, &["Usage: ", "Options:"]);
    }
}
