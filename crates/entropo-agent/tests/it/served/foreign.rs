//! What servers that others wrote were seen to send.

use entropo_agent::model::http::{Connection, Retry};
use entropo_agent::model::openai::OpenAi;
use entropo_agent::{CancellationToken, ModelError, StopReason};
use entropo_core::{ExitReason, Trajectory};
use serde_json::{Value, json};

use super::server::{Act, Asked, Server, ask, ask_until, calling, delta, end, events, json_body, pieces, saying};
use crate::support::{acting, run};

/// `transformers serve` puts what went wrong into JSON by hand; its line breaks end the event's line.
#[tokio::test]
async fn an_error_in_json_that_was_made_by_hand() {
    let broken = "data: {\"error\": \"json parser could not parse region as JSON.\nContent: '\n<function=x>'\n\
                  Error: Expecting value: line 2 column 1 (char 1)\"}\n\n";
    let stream = pieces(&[delta(json!({"role": "assistant"}))]) + broken;
    let error = ask(&Server::always(events(&stream)).await.openai()).await.unwrap_err();
    let expected = "m: the server failed (HTTP 500): json parser could not parse region as JSON.";
    assert_eq!(error.to_string(), expected);
}

/// `transformers serve` calls a reply complete that was cut within a call, whose arguments are lost then.
#[tokio::test]
async fn a_call_that_was_cut_is_not_carried_out() {
    let cut = |tokens: usize| {
        let call = json!({"index": 0, "id": "x", "function": {"name": "note", "arguments": "{}"}});
        let usage = json!({"prompt_tokens": 76, "completion_tokens": tokens});
        let mut last = end("tool_calls");
        last["usage"] = usage;
        events(&pieces(&[delta(json!({"tool_calls": [call]})), last]))
    };
    let response = ask(&Server::always(cut(1024)).await.openai()).await.unwrap();
    assert_eq!((response.stop, response.message.tool_calls.len()), (StopReason::MaxTokens, 0));
    let response = ask(&Server::always(cut(1023)).await.openai()).await.unwrap();
    assert_eq!((response.stop, response.message.tool_calls.len()), (StopReason::EndOfTurn, 1));
    // What counts is what was sent.
    let model = Server::always(cut(1024)).await.openai().field("max_tokens", 2048);
    assert_eq!(ask(&model).await.unwrap().stop, StopReason::EndOfTurn);
}

fn refusal(message: &str) -> Value {
    json!({"error": {"message": message, "type": "BadRequestError", "param": "input_tokens", "code": 400}})
}

/// vLLM refuses a prompt that fits if the longest reply does not fit behind it.
#[tokio::test]
async fn a_reply_that_may_be_too_long_is_asked_for_shorter() {
    for (message, length) in [
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 1024. This model's maximum context length is 1100 \
             tokens and your request has 100 input tokens (1024 > 1100 - 100).",
            json!(1000),
        ),
        (
            "This model's maximum context length is 1100 tokens. However, your request has 100 input tokens plus 1024 \
             'max_tokens'. Please reduce one or the other.",
            json!(1000),
        ),
        // The prompt was counted only as far as it mattered; how long it is nobody says.
        (
            "You passed 77 input tokens and requested 1024 output tokens. However, the model's context length is only \
             1100 tokens, resulting in a maximum input length of 76 tokens.",
            Value::Null,
        ),
        (
            "This model's maximum context length is 1100 tokens. However, you requested 1024 output tokens and your \
             prompt contains at least 77 input tokens, for a total of at least 1101 tokens.",
            Value::Null,
        ),
        (
            "You passed 74655 input characters and requested 1024 output tokens. However, the model's context length \
             is only 1000 tokens, resulting in a maximum input length of 0 tokens.",
            Value::Null,
        ),
    ] {
        let body = json_body(400, &refusal(message));
        let server = Server::start(move |number, _| if number == 0 { body.clone() } else { saying("Hello") }).await;
        assert_eq!(ask(&server.openai()).await.unwrap().message.content, "Hello", "{message}");
        let lengths: Vec<_> = server.asked().iter().map(|asked| asked.body["max_tokens"].clone()).collect();
        assert_eq!(lengths, [json!(1024), length], "{message}");
    }
}

#[tokio::test]
async fn a_prompt_that_does_not_fit_is_sent_no_third_time() {
    let message = |prompt: usize, reply: usize| {
        format!(
            "You passed {prompt} input tokens and requested {reply} output tokens. However, the model's context length \
             is only 1100 tokens, resulting in a maximum input length of 76 tokens."
        )
    };
    let server = Server::start(move |number, _| {
        json_body(400, &refusal(&if number == 0 { message(77, 1024) } else { message(1101, 0) }))
    })
    .await;
    let error = ask(&server.persistent(4)).await.unwrap_err();
    assert!(matches!(error, ModelError::ContextFull { prompt: 1101, context: 1100 }), "{error}");
    assert_eq!(server.asked().len(), 2);
    // One that can never be satisfied.
    let server = Server::always(json_body(400, &refusal(&message(77, 1024)))).await;
    assert!(matches!(ask(&server.openai()).await, Err(ModelError::ContextFull { prompt: 77, context: 1100 })));
    assert_eq!(server.asked().len(), 2);
}

/// A reply that is cut where the context ends leaves no room for another.
#[tokio::test]
async fn a_reply_that_fills_the_context_ends_the_run() {
    let message = "This model's maximum context length is 1100 tokens and your request has 1090 input tokens";
    let server = Server::start(move |_, asked| {
        if asked.body["max_tokens"] != 10 {
            return json_body(400, &refusal(message));
        }
        events(&pieces(&[delta(json!({"content": "Now I"})), end("length")]))
    })
    .await;
    let trajectory = run(&acting(server.openai())).await;
    assert_eq!((trajectory.exit, trajectory.usage.model_calls), (ExitReason::Context, 1));
    // A call that fits is carried out.
    let server = Server::start(move |_, asked| {
        if asked.body["max_tokens"] != 10 {
            return json_body(400, &refusal(message));
        }
        calling("finish", &json!({}))
    })
    .await;
    assert_eq!(run(&acting(server.openai())).await.exit, ExitReason::Agent);
}

/// llama.cpp's whole reply with everything that it tells of tokens, and what it answers at `/tokenize`.
fn llama_cpp(name: &str, prompt: &str, tokens: &[u32], read: usize) -> Vec<Act> {
    let logprobs: Vec<_> = tokens.iter().map(|id| json!({"id": id, "logprob": -0.5, "top_logprobs": []})).collect();
    let call = json!({"type": "function", "function": {"name": name, "arguments": "{\"text\": \"x\"}"}, "id": "x"});
    json_body(
        200,
        &json!({
            "choices": [{"finish_reason": "tool_calls", "index": 0, "logprobs": {"content": logprobs},
                "message": {"role": "assistant", "content": "", "tool_calls": [call]}}],
            "usage": {"prompt_tokens": read, "completion_tokens": tokens.len()},
            "__verbose": {"content": "x", "tokens": tokens, "prompt": prompt, "stop_type": "eos"},
        }),
    )
}

/// A run against llama.cpp, with what it answers at `/tokenize`.
async fn llama_cpp_run(tokenize: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static) -> (Server, Trajectory) {
    let server = Server::start(move |number, asked| match asked.path.as_str() {
        "/tokenize" => tokenize(asked),
        _ if number == 0 => llama_cpp("note", "<s>Go.", &[3, 4], 2),
        _ => llama_cpp("finish", "<s>Go. Went.", &[6], 5),
    })
    .await;
    let trajectory = run(&acting(server.openai().llama_cpp_tokens())).await;
    (server, trajectory)
}

#[tokio::test]
async fn llama_cpp_tells_its_tokens() {
    let (server, trajectory) = llama_cpp_run(|asked| {
        let ids = if asked.body["content"] == "<s>Go." { vec![1, 2] } else { vec![1, 2, 3, 4, 5] };
        json_body(200, &json!({"tokens": ids}))
    })
    .await;
    assert_eq!(trajectory.exit, ExitReason::Agent);
    let [segment] = trajectory.trace.segments() else { panic!("one segment") };
    assert_eq!((&segment.ids[..], &segment.logprobs[..]), (&[1, 2, 3, 4, 5, 6][..], &[-0.5; 3][..]));
    assert_eq!(segment.action_mask(), [false, false, true, true, false, true]);

    let asked = server.asked();
    let paths: Vec<_> = asked.iter().map(|asked| asked.path.as_str()).collect();
    assert_eq!(paths, ["/v1/chat/completions", "/tokenize", "/v1/chat/completions", "/tokenize"]);
    let sent = &asked[0].body;
    assert_eq!([&sent["verbose"], &sent["return_tokens"], &sent["logprobs"]], [true, true, true]);
    assert_eq!((&sent["top_logprobs"], sent.get("stream"), sent.get("return_token_ids")), (&json!(1), None, None));
    // What begins the prompt is not added again.
    assert_eq!(asked[1].body, json!({"content": "<s>Go.", "add_special": false, "parse_special": true}));
}

#[tokio::test]
async fn the_tokenizer_is_beside_the_base_url() {
    for (base, tokenizer) in [("/v1", "/tokenize"), ("/api/v1/", "/api/tokenize"), ("", "/tokenize")] {
        let server = Server::start(|_, asked| match asked.path.ends_with("/tokenize") {
            true => json_body(200, &json!({"tokens": [1, 2]})),
            false => llama_cpp("note", "Go.", &[3], 2),
        })
        .await;
        let connection = Connection::new(server.url.replace("/v1", base)).retry(Retry::never());
        let tokens = ask(&OpenAi::new(connection, "m").unwrap().llama_cpp_tokens()).await.unwrap().tokens.unwrap();
        assert_eq!((&tokens.prompt[..], &tokens.completion[..]), (&[1, 2][..], &[3][..]));
        assert_eq!(server.asked()[1].path, tokenizer);
    }
}

#[tokio::test]
async fn tokens_that_cannot_be_right_are_not_kept() {
    for tokens in [json!({"tokens": [1, 2, 3]}), json!({"tokens": []}), json!({"tokens": "?"}), json!({"error": "no"})]
    {
        let (_, trajectory) = llama_cpp_run(move |_| json_body(200, &tokens)).await;
        assert_eq!((trajectory.exit, trajectory.trace.segments().len()), (ExitReason::Agent, 0));
    }
    let (_, trajectory) = llama_cpp_run(|_| json_body(404, &json!({"error": "no such page"}))).await;
    assert_eq!((trajectory.exit, trajectory.trace.segments().len()), (ExitReason::Agent, 0));
}

#[tokio::test]
async fn a_server_that_hangs_over_the_prompt_can_be_left() {
    let server = Server::start(|_, asked| match asked.path.as_str() {
        "/tokenize" => vec![Act::Hang],
        _ => llama_cpp("note", "Go.", &[3], 1),
    })
    .await;
    let (model, cancel) = (server.openai().llama_cpp_tokens(), CancellationToken::new());
    let cancelling = async {
        while server.asked().len() < 2 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (reply, ()) = tokio::join!(ask_until(&model, &cancel), cancelling);
    assert!(matches!(reply, Err(ModelError::Cancelled)));
    server.gone(1).await;
}
