//! What an agent does between the facts of a run: it asks the model, the hooks and the tools.

use std::sync::Arc;
use std::time::Duration;

use entropo_core::{Condensation, ExitReason, Message, ToolCall, ToolResult, ToolStatus};
use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::condense::{Condensed, Condenser, Context};
use crate::hook::{AfterModel, AfterTool, Answer, Approval, BeforeModel, BeforeTool, Hook, Moment, Question};
use crate::model::{ChatModel, ChatRequest, ChatResponse, ModelError, Sampling};
use crate::observe::{Event, Observer};
use crate::run::{Fact, Run, Step};
use crate::session::{Session, SessionError};
use crate::telemetry;
use crate::tool::{Concurrency, Toolbox};

/// How many calls are carried out together at most.
const MAX_TOGETHER: usize = 16;

/// What an agent has to work with.
#[derive(Clone)]
pub(crate) struct Means {
    pub(crate) model: Arc<dyn ChatModel>,
    pub(crate) sampling: Sampling,
    pub(crate) hooks: Vec<Arc<dyn Hook>>,
    pub(crate) approval: Approval,
    pub(crate) condenser: Option<Arc<dyn Condenser>>,
    pub(crate) traces_contents: bool,
}

/// An agent at work.
#[derive(Clone, Copy)]
pub(crate) struct Driver<'a> {
    pub(crate) means: &'a Means,
    pub(crate) toolbox: &'a Toolbox,
    pub(crate) cancel: &'a CancellationToken,
    pub(crate) observer: &'a dyn Observer,
}

/// Why a run ends from outside, and what went wrong.
pub(crate) type Ending = (ExitReason, Option<String>);

/// What is done next instead of going on.
enum Halt {
    Stop(String),
    Unwritten(SessionError),
}

impl From<SessionError> for Halt {
    fn from(error: SessionError) -> Self {
        Self::Unwritten(error)
    }
}

impl Driver<'_> {
    /// Goes on until the run is done. Returns how it has to end, if it did not end itself.
    pub(crate) async fn drive(self, session: &mut Session) -> Option<Ending> {
        loop {
            let step = match session.run().next() {
                Step::Done(_) => return None,
                Step::CallTools { .. } => self.call_tools(session).await,
                Step::CallModel { .. } => self.call_model(session).await,
            };
            match step {
                Ok(()) if self.cancel.is_cancelled() => return Some((ExitReason::Cancelled, None)),
                Ok(()) => {}
                Err(Halt::Stop(why)) => return Some((ExitReason::Stopped, Some(why))),
                Err(Halt::Unwritten(error)) => return Some((ExitReason::EnvironmentError, Some(error.to_string()))),
            }
        }
    }

    async fn call_model(self, session: &mut Session) -> Result<(), Halt> {
        for hook in &self.means.hooks {
            match hook.before_model(&moment(session.run())).await {
                BeforeModel::Ask => {}
                BeforeModel::Say(content) => {
                    self.tell(session.run(), Event::Said { content: &content });
                    return Ok(session.say(content)?);
                }
                BeforeModel::Stop(why) => return Err(Halt::Stop(why)),
            }
        }
        self.condense(session, false).await?;
        let turn = session.run().turns();
        self.tell(session.run(), Event::TurnStarted { turn });
        let mut reply = self.ask(session.run()).await;
        if matches!(reply, Err(ModelError::ContextFull { .. })) && self.condense(session, true).await? {
            reply = self.ask(session.run()).await;
        }
        let response = match reply {
            Ok(response) => response,
            Err(error) => return Ok(session.apply(Run::failure(&error))?),
        };
        self.tell(session.run(), Event::Replied { turn, message: &response.message, usage: &response.usage });
        session.apply(session.run().reply(response))?;
        let run = session.run();
        let Some(said) = run.messages().iter().rev().find_map(Message::as_assistant) else { return Ok(()) };
        for hook in &self.means.hooks {
            if let AfterModel::Stop(why) = hook.after_model(&moment(run), said).await {
                return Err(Halt::Stop(why));
            }
        }
        Ok(())
    }

    async fn ask(self, run: &Run) -> Result<ChatResponse, ModelError> {
        let Step::CallModel { messages, trace, turn, seed } = run.next() else { return Err(ModelError::Cancelled) };
        let (tools, sampling) = (self.toolbox.specs(), &self.means.sampling);
        let request = ChatRequest { messages, tools, trace: &trace, sampling, turn, seed, cancel: self.cancel };
        let model = self.means.model.as_ref();
        let span = telemetry::chat(model.name(), &request, self.means.traces_contents);
        let asked = async {
            if self.observer.wants_pieces() {
                model.stream(request, &mut |piece| self.tell(run, Event::Writing { piece })).await
            } else {
                model.chat(request).await
            }
        };
        let reply = asked.instrument(span.clone()).await;
        telemetry::chatted(&span, reply.as_ref(), self.means.traces_contents);
        reply
    }

    /// Whether the context was made shorter.
    async fn condense(self, session: &mut Session, full: bool) -> Result<bool, Halt> {
        let Some(condenser) = &self.means.condenser else { return Ok(false) };
        let model: &dyn ChatModel = self.means.model.as_ref();
        let context = Context::new(session.run(), model, self.toolbox.specs(), full, self.cancel);
        let made = condenser.condense(&context).await;
        let not = |why: &str| {
            tracing::warn!(rollout = %session.run().id(), why, "a context was not condensed");
            self.tell(session.run(), Event::NotCondensed { why });
            Ok(false)
        };
        let Condensed { replacements, usage } = match made {
            Ok(Some(condensed)) => condensed,
            Ok(None) => return Ok(false),
            Err(error) => return not(&error.to_string()),
        };
        let fact = match session.run().condense(replacements.clone(), usage) {
            Ok(fact) => fact,
            Err(error) => return not(&error.to_string()),
        };
        // Both in the same unit: what a token is, is measured anew afterwards.
        let condensation = Condensation { turn: session.run().turns(), replacements };
        let shorter = context.estimate(&condensation.context(context.messages())) < context.estimate(context.current());
        session.apply(fact)?;
        self.tell(session.run(), Event::Condensed { replacements: &condensation.replacements, usage: &usage });
        Ok(shorter)
    }

    /// Carries out the next call, or the next few that may be carried out together.
    async fn call_tools(self, session: &mut Session) -> Result<(), Halt> {
        let calls = self.next_calls(session.run());
        for call in &calls {
            session.apply(Fact::Started { call_id: call.id.clone() })?;
        }
        let run = session.run();
        let answers = join_all(calls.iter().map(|call| self.call(run, call))).await;
        let mut stop = None;
        for (call, Answered { result, stops }) in calls.iter().zip(answers) {
            if let Some(result) = result {
                session.apply(Fact::Returned { result: result.clone() })?;
                self.tell(session.run(), Event::CallReturned { call, result: &result });
            }
            stop = stop.or(stops);
        }
        stop.map_or(Ok(()), |why| Err(Halt::Stop(why)))
    }

    fn next_calls(self, run: &Run) -> Vec<ToolCall> {
        let Step::CallTools { calls, answers } = run.next() else { return Vec::new() };
        let mut open = calls.iter().zip(answers).filter(|(_, answer)| answer.is_none()).map(|(call, _)| call.clone());
        let Some(first) = open.next() else { return Vec::new() };
        let shared = |call: &ToolCall| self.toolbox.concurrency(&call.name) == Concurrency::Shared;
        let others = if shared(&first) { MAX_TOGETHER - 1 } else { 0 };
        let mut together = vec![first];
        together.extend(open.take(others).take_while(shared));
        together
    }

    async fn call(self, run: &Run, call: &ToolCall) -> Answered {
        let rewritten = match self.permit(run, call).await {
            Ok(Permit::As(call)) => call,
            Ok(Permit::Not(why)) => return Answered::by(call.answer(ToolStatus::Refused, why)),
            Err(why) => return Answered { result: None, stops: Some(why) },
        };
        let allowed = rewritten.as_ref().unwrap_or(call);
        self.tell(run, Event::CallStarted { call: allowed });
        let span = telemetry::execute_tool(allowed, self.means.traces_contents);
        let mut result = self.carry_out(run, allowed).instrument(span.clone()).await;
        telemetry::executed(&span, &result, self.means.traces_contents);
        for hook in &self.means.hooks {
            match hook.after_tool(&moment(run), allowed, &result).await {
                AfterTool::Keep => {}
                AfterTool::Replace(content) => result.content = content,
                AfterTool::Stop(why) => {
                    if result.status == ToolStatus::Finish {
                        result.status = ToolStatus::Done; // what is stopped has not finished
                    }
                    return Answered { result: Some(result), stops: Some(why) };
                }
            }
        }
        Answered::by(result)
    }

    /// Whether the hooks, and whoever they ask, let the call pass, and how.
    async fn permit(self, run: &Run, call: &ToolCall) -> Result<Permit, String> {
        let mut rewritten: Option<ToolCall> = None;
        for hook in &self.means.hooks {
            let now = rewritten.as_ref().unwrap_or(call);
            let arguments = match hook.before_tool(&moment(run), now).await {
                BeforeTool::Allow => None,
                BeforeTool::Rewrite(arguments) => Some(arguments),
                BeforeTool::Refuse(why) => return Ok(Permit::Not(why)),
                BeforeTool::Stop(why) => return Err(why),
                BeforeTool::Ask(why) => {
                    self.tell(run, Event::Asked { call: now, why: &why });
                    let question = Question { moment: moment(run), call: now, why: &why };
                    match self.means.approval.answer(&question).await {
                        Answer::Allow => None,
                        Answer::Rewrite(arguments) => Some(arguments),
                        Answer::Refuse(why) => return Ok(Permit::Not(why)),
                        Answer::Stop(why) => return Err(why),
                    }
                }
            };
            if let Some(arguments) = arguments {
                rewritten = Some(ToolCall { arguments, ..call.clone() });
            }
        }
        Ok(Permit::As(rewritten))
    }

    async fn carry_out(self, run: &Run, call: &ToolCall) -> ToolResult {
        // What a call that is given up still does in other threads ends by this token.
        let stop = self.cancel.child_token();
        let _stop_at_the_end = stop.clone().drop_guard();
        let answer = self.toolbox.call(call, &stop);
        match run.limits().max_tool_seconds {
            None => answer.await,
            Some(seconds) => tokio::time::timeout(Duration::from_secs(seconds), answer).await.unwrap_or_else(|_| {
                call.answer(ToolStatus::Failed, format!("The call took longer than {seconds} s and was given up."))
            }),
        }
    }

    fn tell(self, run: &Run, event: Event<'_>) {
        self.observer.event(run.id(), event);
    }
}

/// What became of a call: an answer, if it was carried out or refused, and why the run stops now, if it does.
struct Answered {
    result: Option<ToolResult>,
    stops: Option<String>,
}

impl Answered {
    fn by(result: ToolResult) -> Self {
        Self { result: Some(result), stops: None }
    }
}

/// Whether a call is carried out.
enum Permit {
    /// It is, in this form if it was rewritten.
    As(Option<ToolCall>),
    /// It is not; the model reads this.
    Not(String),
}

fn moment(run: &Run) -> Moment<'_> {
    Moment { rollout: run.id(), turn: run.turns(), messages: run.messages(), usage: run.usage() }
}
