//! Several models as one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use entropo_agent::model::pool::{EmptyPool, Pool};
use entropo_agent::{CancellationToken, ChatModel, ChatRequest, ChatResponse, ModelError, Sampling};
use entropo_core::{AssistantMessage, ExitReason, Message, RolloutId, TokenTrace};
use tokio::sync::Semaphore;

use crate::support::{Bench, acting, call, note, run};

/// What an endpoint does when it is asked.
#[derive(Clone, Copy, Default)]
enum Mood {
    #[default]
    Well,
    Ill,
    Limited(u64),
    Full,
    Hanging,
}

/// An endpoint that counts how often it was asked.
struct Fake {
    mood: Mutex<Mood>,
    asked: AtomicUsize,
    release: Semaphore,
    reply: fn(&[Message]) -> AssistantMessage,
}

impl Fake {
    fn new(reply: fn(&[Message]) -> AssistantMessage) -> Arc<Self> {
        Arc::new(Self { mood: Mutex::default(), asked: AtomicUsize::new(0), release: Semaphore::new(0), reply })
    }

    fn feel(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl ChatModel for Fake {
    fn name(&self) -> &str {
        "fake"
    }

    async fn chat(&self, request: ChatRequest<'_>) -> Result<ChatResponse, ModelError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let (mood, model, message) = (*self.mood.lock().unwrap(), "fake".to_owned(), String::new());
        match mood {
            Mood::Ill => return Err(ModelError::Server { model, status: 500, retry_after: None, message }),
            Mood::Limited(seconds) => {
                let retry_after = Some(Duration::from_secs(seconds));
                return Err(ModelError::RateLimited { model, retry_after, message });
            }
            Mood::Full => return Err(ModelError::ContextFull { prompt: 9, context: 8 }),
            Mood::Hanging => self.release.acquire().await.unwrap().forget(),
            Mood::Well => {}
        }
        Ok(ChatResponse { message: (self.reply)(request.messages), ..ChatResponse::default() })
    }
}

fn pool_of(fakes: &[Arc<Fake>]) -> Pool {
    Pool::new("pool", fakes.iter().map(|fake| Arc::clone(fake) as Arc<dyn ChatModel>).collect()).unwrap()
}

fn hm(_: &[Message]) -> AssistantMessage {
    AssistantMessage { content: "Hm.".to_owned(), ..AssistantMessage::default() }
}

/// `n` fakes that always say the same, and their pool.
fn fakes(n: usize) -> (Vec<Arc<Fake>>, Pool) {
    let fakes: Vec<_> = (0..n).map(|_| Fake::new(hm)).collect();
    let pool = pool_of(&fakes);
    (fakes, pool)
}

async fn ask(pool: &Pool, seed: u64) -> Result<ChatResponse, ModelError> {
    ask_with(pool, &[Message::user("Hello")], seed).await
}

async fn ask_with(pool: &Pool, messages: &[Message], seed: u64) -> Result<ChatResponse, ModelError> {
    let (trace, sampling, cancel) = (TokenTrace::default(), Sampling::default(), CancellationToken::new());
    let request =
        ChatRequest { messages, tools: &[], trace: &trace, sampling: &sampling, turn: 0, seed, cancel: &cancel };
    pool.chat(request).await
}

fn counts(fakes: &[Arc<Fake>]) -> Vec<usize> {
    fakes.iter().map(|fake| fake.asked()).collect()
}

#[test]
fn a_pool_of_nothing_is_refused() {
    assert_eq!(Pool::new("pool", Vec::new()).err(), Some(EmptyPool));
}

#[tokio::test]
async fn conversations_are_spread_and_each_stays_where_it_is() {
    // Every rollout says something of its own first, and goes on for ten turns.
    fn reply(messages: &[Message]) -> AssistantMessage {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        match messages.len() {
            2 => note(&format!("rollout {}", NUMBER.fetch_add(1, Ordering::SeqCst))),
            turns @ ..20 => note(&format!("more {turns}")),
            _ => call("finish"),
        }
    }
    let fakes: Vec<_> = (0..3).map(|_| Fake::new(reply)).collect();
    let agent = acting(pool_of(&fakes));
    for seed in 0..30 {
        let before = counts(&fakes);
        let (id, place) = (RolloutId::new("task", 0), Bench::default().place("task"));
        let trajectory = agent.run(id, seed, place, &CancellationToken::new(), &()).await;
        assert_eq!(trajectory.exit, ExitReason::Agent);
        let asked: Vec<_> = counts(&fakes).iter().zip(before).map(|(now, before)| now - before).collect();
        assert!(asked.contains(&10) && asked.iter().sum::<usize>() == 10, "{asked:?}");
    }
    assert!(counts(&fakes).iter().all(|asked| *asked > 30), "{:?}", counts(&fakes));
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_had_to_move_stays_where_it_went() {
    let (fakes, pool) = fakes(3);
    for seed in 0..10 {
        fakes[0].feel(Mood::Ill);
        let reply = ask(&pool, seed).await.unwrap().message;
        let mut messages = vec![Message::user("Hello"), Message::Assistant(reply)];
        fakes[0].feel(Mood::Well);
        let before = counts(&fakes);
        for _ in 0..5 {
            // By now the endpoint is well again.
            tokio::time::sleep(Duration::from_secs(300)).await;
            messages.push(Message::user("Go on."));
            ask_with(&pool, &messages, seed).await.unwrap();
        }
        let asked: Vec<_> = counts(&fakes).iter().zip(before).map(|(now, before)| now - before).collect();
        assert!(asked[0] == 0 && asked.contains(&5), "{asked:?}");
    }
}

/// Of what the loop cannot read it keeps the words only; that is the same conversation nevertheless.
#[tokio::test]
async fn a_conversation_that_begins_badly_stays_too() {
    fn reply(messages: &[Message]) -> AssistantMessage {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        match messages.len() {
            2 => {
                let raw = format!("Hm {}", NUMBER.fetch_add(1, Ordering::SeqCst));
                AssistantMessage { raw: Some(raw), ..hm(messages) }
            }
            _ => call("finish"),
        }
    }
    let fakes: Vec<_> = (0..3).map(|_| Fake::new(reply)).collect();
    let agent = acting(pool_of(&fakes));
    for _ in 0..10 {
        let before = counts(&fakes);
        assert_eq!(run(&agent).await.exit, ExitReason::Agent);
        assert!(counts(&fakes).iter().zip(before).any(|(now, before)| *now == before + 2));
    }
}

#[tokio::test]
async fn load_is_kept_even() {
    let (fakes, pool) = fakes(4);
    fakes.iter().for_each(|fake| fake.feel(Mood::Hanging));
    let requests = futures::future::join_all((0..40).map(|seed| ask(&pool, seed)));
    let releasing = async {
        while counts(&fakes).iter().sum::<usize>() < 40 {
            tokio::task::yield_now().await;
        }
        let asked = counts(&fakes);
        fakes.iter().for_each(|fake| fake.release.add_permits(40));
        asked
    };
    let (replies, asked) = tokio::join!(requests, releasing);
    assert!(replies.iter().all(Result::is_ok));
    assert!(asked.iter().all(|asked| *asked <= 13), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn who_fails_is_put_aside_for_a_while_and_longer_each_time() {
    let (fakes, pool) = fakes(2);
    fakes[0].feel(Mood::Ill);
    for pause in [2, 4, 8] {
        let before = fakes[0].asked();
        for seed in 0..20 {
            ask(&pool, seed).await.unwrap();
        }
        assert_eq!(fakes[0].asked(), before + 1);
        tokio::time::sleep(Duration::from_millis(pause * 1000 - 10)).await;
        for seed in 0..20 {
            ask(&pool, seed).await.unwrap();
        }
        assert_eq!(fakes[0].asked(), before + 1, "still aside");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    fakes[0].feel(Mood::Well);
    let before = fakes[0].asked();
    for seed in 0..20 {
        ask(&pool, seed).await.unwrap();
    }
    assert!(fakes[0].asked() > before + 1, "it is well again");
}

#[tokio::test(start_paused = true)]
async fn a_server_is_left_alone_as_long_as_it_wants() {
    let (fakes, pool) = fakes(2);
    fakes[0].feel(Mood::Limited(60));
    for seed in 0..20 {
        ask(&pool, seed).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(59)).await;
    for seed in 0..20 {
        ask(&pool, seed).await.unwrap();
    }
    assert_eq!(fakes[0].asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn if_all_are_aside_they_are_asked_nevertheless() {
    let (fakes, pool) = fakes(2);
    fakes.iter().for_each(|fake| fake.feel(Mood::Ill));
    assert!(matches!(ask(&pool, 0).await, Err(ModelError::Server { .. })));
    assert_eq!(counts(&fakes), [1, 1]);
    fakes[1].feel(Mood::Well);
    ask(&pool, 0).await.unwrap();
}

#[tokio::test]
async fn what_is_the_requests_fault_is_nobodys_illness() {
    let (fakes, pool) = fakes(3);
    fakes.iter().for_each(|fake| fake.feel(Mood::Full));
    assert!(matches!(ask(&pool, 0).await, Err(ModelError::ContextFull { .. })));
    assert_eq!(counts(&fakes).iter().sum::<usize>(), 1);
}

#[tokio::test]
async fn who_hangs_up_is_counted_no_more() {
    let (fakes, pool) = fakes(2);
    fakes[0].feel(Mood::Hanging);
    let mut seeds = 0..;
    while fakes[0].asked() < 5 {
        let before = fakes[0].asked();
        let hanging = async {
            while fakes[0].asked() == before {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = ask(&pool, seeds.next().unwrap()) => {}
            () = hanging => {}
        }
    }
    fakes[0].feel(Mood::Well);
    for seed in 0..20 {
        ask(&pool, seed).await.unwrap();
    }
    // Were the five still counted, it would be avoided.
    assert!(fakes[0].asked() > 6, "{}", fakes[0].asked());
}
