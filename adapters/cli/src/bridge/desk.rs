//! The calls and questions that are under way: the state of one host, without any I/O.
//!
//! The host's ids and the server's have nothing in common. A call of the host's is kept under the
//! host's id; a question of the server's gets an id of ours on its way to the host.

use std::collections::{HashMap, VecDeque};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::bridge::message::{self, INVALID, Request};

/// Calls of the host's that the server works on at a time.
pub(crate) const MOST_CALLS: usize = 256;
/// Calls that wait for their turn, and the bytes of them. They must not keep a cancellation or an
/// answer from being read, so those beyond are refused.
const MOST_PARKED: usize = 1024;
const MOST_PARKED_BYTES: usize = 64 * 1024 * 1024;
/// Questions of the server's that the host has not answered.
const MOST_QUESTIONS: usize = 256;

/// The outcome of a call or a question, as JSON-RPC has it.
pub(crate) type Outcome = Result<Value, Value>;

/// The calls and questions that are under way.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    calls: HashMap<String, Call>,
    parked: VecDeque<(Request, usize)>,
    parked_bytes: usize,
    running: usize,
    questions: HashMap<u64, Question>,
    batches: HashMap<u64, Batch>,
    numbers: u64,
}

/// One call of the host's.
#[derive(Debug)]
struct Call {
    id: Value,
    batch: Option<u64>,
    /// Ends it without an answer; nothing while it is parked.
    cancel: Option<oneshot::Sender<()>>,
    can_be_cancelled: bool,
}

/// One question of the server's.
#[derive(Debug)]
struct Question {
    /// The server's own id for it; nothing for an input.
    theirs: Option<Value>,
    answer: oneshot::Sender<Outcome>,
}

/// An array of messages, whose answers are an array (2025-03-26).
#[derive(Debug, Default)]
struct Batch {
    /// Calls that are not answered yet.
    left: usize,
    answers: Vec<Value>,
}

/// A call that may run now.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) request: Request,
    pub(crate) cancelled: oneshot::Receiver<()>,
}

/// What to do with a call that came.
#[derive(Debug)]
pub(crate) enum Came {
    Run(Turn),
    /// It waits for its turn.
    Parked,
    /// It is not taken; the message says so, once a batch is whole.
    Refused(Option<Value>),
}

impl Desk {
    /// Opens a batch of so many calls.
    pub(crate) fn batch(&mut self, calls: usize) -> u64 {
        let number = self.number();
        self.batches.insert(number, Batch { left: calls, answers: Vec::new() });
        number
    }

    /// Takes in a call of the host's.
    pub(crate) fn call(&mut self, request: Request, batch: Option<u64>) -> Came {
        let key = request.id.to_string();
        let refuse = |desk: &mut Self, why: &str| {
            let answer = message::answer(&request.id, Err(message::error(INVALID, why, None)));
            Came::Refused(desk.deliver(batch, answer))
        };
        if self.calls.contains_key(&key) {
            return refuse(self, "this id is in use: the call with it is not answered yet");
        }
        let can_be_cancelled = request.method != "initialize";
        let call = Call { id: request.id.clone(), batch, cancel: None, can_be_cancelled };
        if self.running < MOST_CALLS {
            self.calls.insert(key, call);
            return Came::Run(self.begin(request));
        }
        let size = request.params.to_string().len();
        let full = self.parked.len() >= MOST_PARKED
            || self.parked_bytes.saturating_add(size) > MOST_PARKED_BYTES;
        if full {
            return refuse(self, "too many calls are under way: call again when one has ended");
        }
        self.calls.insert(key, call);
        self.parked_bytes = self.parked_bytes.saturating_add(size);
        self.parked.push_back((request, size));
        Came::Parked
    }

    fn begin(&mut self, request: Request) -> Turn {
        let (cancel, cancelled) = oneshot::channel();
        if let Some(call) = self.calls.get_mut(&request.id.to_string()) {
            call.cancel = Some(cancel);
        }
        self.running = self.running.saturating_add(1);
        Turn { request, cancelled }
    }

    /// A call has ended, without an outcome if it was cancelled. Gives the message for the host, if
    /// there is one now, and the call whose turn it is.
    pub(crate) fn ended(
        &mut self,
        id: &Value,
        outcome: Option<Outcome>,
    ) -> (Option<Value>, Option<Turn>) {
        let call = self.calls.remove(&id.to_string());
        self.running = self.running.saturating_sub(1);
        let said = call.and_then(|call| match outcome {
            Some(outcome) => self.deliver(call.batch, message::answer(&call.id, outcome)),
            None => self.leave_out(call.batch),
        });
        let next = self.parked.pop_front().map(|(request, size)| {
            self.parked_bytes = self.parked_bytes.saturating_sub(size);
            self.begin(request)
        });
        (said, next)
    }

    /// The host waits for a call no longer: it gets no answer (nor does one of a cancelled batch).
    /// Gives the message that a batch becomes by that.
    pub(crate) fn cancel(&mut self, id: &Value) -> Option<Value> {
        let call = self.calls.get_mut(&id.to_string()).filter(|call| call.can_be_cancelled)?;
        if let Some(cancel) = call.cancel.take() {
            let _ended_already = cancel.send(());
            return None;
        }
        let parked = self.parked.iter().position(|(request, _)| request.id == *id)?;
        let (_, size) = self.parked.remove(parked)?;
        self.parked_bytes = self.parked_bytes.saturating_sub(size);
        let call = self.calls.remove(&id.to_string())?;
        self.leave_out(call.batch)
    }

    /// Cancels everything: the host has gone.
    pub(crate) fn cancel_all(&mut self) {
        for (request, _) in self.parked.drain(..) {
            self.calls.remove(&request.id.to_string());
        }
        self.parked_bytes = 0;
        for call in self.calls.values_mut() {
            if let Some(cancel) = call.cancel.take() {
                let _ended_already = cancel.send(());
            }
        }
        self.questions.clear();
    }

    /// How many calls are not answered yet.
    pub(crate) fn unanswered(&self) -> usize {
        self.calls.len()
    }

    /// An answer, or its batch if that is whole now.
    pub(crate) fn deliver(&mut self, batch: Option<u64>, answer: Value) -> Option<Value> {
        let Some(number) = batch else { return Some(answer) };
        self.batches.get_mut(&number)?.answers.push(answer);
        self.leave_out(batch)
    }

    /// One answer of a batch is settled.
    fn leave_out(&mut self, batch: Option<u64>) -> Option<Value> {
        let number = batch?;
        let batch = self.batches.get_mut(&number)?;
        batch.left = batch.left.saturating_sub(1);
        if batch.left > 0 {
            return None;
        }
        let batch = self.batches.remove(&number)?;
        (!batch.answers.is_empty()).then_some(Value::Array(batch.answers))
    }

    /// Takes in a question for the host: its id there, and where the answer comes. Nothing if the host
    /// owes too many answers already.
    pub(crate) fn question(
        &mut self,
        theirs: Option<Value>,
    ) -> Option<(u64, oneshot::Receiver<Outcome>)> {
        if self.questions.len() >= MOST_QUESTIONS {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        let number = self.number();
        self.questions.insert(number, Question { theirs, answer });
        Some((number, answered))
    }

    /// Hands the host's answer to whoever asked; false if nobody did, or not any more.
    pub(crate) fn answer(&mut self, id: &Value, outcome: Outcome) -> bool {
        let question = id.as_u64().and_then(|id| self.questions.remove(&id));
        question.is_some_and(|question| question.answer.send(outcome).is_ok())
    }

    /// The server waits for an answer no longer. Gives the question's id at the host.
    pub(crate) fn withdrawn(&mut self, theirs: &Value) -> Option<u64> {
        let asked = self.questions.iter().find(|(_, it)| it.theirs.as_ref() == Some(theirs));
        let number = asked.map(|(number, _)| *number)?;
        self.questions.remove(&number).map(|_| number)
    }

    /// Nobody waits for this answer any more. Gives the cancellation for the host, unless it has
    /// answered.
    pub(crate) fn withdraw(&mut self, number: u64) -> Option<Value> {
        self.questions.remove(&number).map(|_| cancellation(number))
    }

    fn number(&mut self) -> u64 {
        self.numbers = self.numbers.saturating_add(1);
        self.numbers
    }
}

/// Tells the host that a question needs no answer any more.
pub(crate) fn cancellation(number: u64) -> Value {
    let params = json!({"requestId": number, "reason": "the server waits for it no longer"});
    message::notification("notifications/cancelled", params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(desk: &mut Desk, id: impl Into<Value>, batch: Option<u64>) -> Came {
        let (method, params) = ("tools/call".to_owned(), json!({}));
        desk.call(Request { id: id.into(), method, params }, batch)
    }

    fn run(came: Came) -> Turn {
        match came {
            Came::Run(turn) => turn,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn an_id_in_use_is_refused_and_a_text_is_another_id_than_a_number() {
        let mut desk = Desk::default();
        let first = run(call(&mut desk, 1, None));
        let _text = run(call(&mut desk, "1", None));
        let Came::Refused(Some(refused)) = call(&mut desk, 1, None) else { unreachable!() };
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(1), &json!(INVALID)));
        let (answer, _) = desk.ended(&first.request.id, Some(Ok(json!({"a": 1}))));
        assert_eq!(answer.unwrap(), json!({"jsonrpc": "2.0", "id": 1, "result": {"a": 1}}));
        run(call(&mut desk, 1, None));
    }

    #[test]
    fn calls_beyond_the_limit_wait_and_those_beyond_that_are_refused() {
        let mut desk = Desk::default();
        let mut turns: Vec<Turn> =
            (0..MOST_CALLS).map(|id| run(call(&mut desk, id, None))).collect();
        for id in 0..MOST_PARKED {
            assert!(matches!(call(&mut desk, MOST_CALLS + id, None), Came::Parked));
        }
        assert!(matches!(call(&mut desk, "more", None), Came::Refused(Some(_))));
        // One that waits can be cancelled; the next in line gets the turn.
        assert_eq!(desk.cancel(&json!(MOST_CALLS)), None);
        let (_, next) = desk.ended(&turns.remove(0).request.id, Some(Ok(Value::Null)));
        assert_eq!(next.unwrap().request.id, json!(MOST_CALLS + 1));
        desk.cancel_all();
        assert!(turns.iter_mut().all(|turn| turn.cancelled.try_recv().is_ok()));
    }

    #[test]
    fn a_cancelled_call_ends_without_an_answer_and_initialize_cannot_be_cancelled() {
        let mut desk = Desk::default();
        let mut turn = run(call(&mut desk, 1, None));
        assert_eq!(desk.cancel(&json!("1")), None);
        assert!(turn.cancelled.try_recv().is_err(), "that is another call");
        desk.cancel(&json!(1));
        assert!(turn.cancelled.try_recv().is_ok());
        assert_eq!(desk.ended(&json!(1), None).0, None);
        assert_eq!(desk.unanswered(), 0);
        let (id, method, params) = (json!(2), "initialize".to_owned(), json!({}));
        let mut first = run(desk.call(Request { id, method, params }, None));
        desk.cancel(&json!(2));
        assert!(first.cancelled.try_recv().is_err());
    }

    #[test]
    fn the_answers_of_a_batch_are_one_array_when_all_are_there() {
        let mut desk = Desk::default();
        let batch = Some(desk.batch(3));
        for id in 1..=2 {
            run(call(&mut desk, id, batch));
        }
        assert!(matches!(call(&mut desk, 2, batch), Came::Refused(None)));
        assert_eq!(desk.ended(&json!(1), Some(Ok(json!({})))).0, None);
        let (whole, _) = desk.ended(&json!(2), Some(Err(json!({"code": 1}))));
        assert_eq!(whole.unwrap().as_array().unwrap().len(), 3);
        // Nothing is sent for one whose calls were all cancelled.
        let batch = Some(desk.batch(1));
        run(call(&mut desk, 1, batch));
        desk.cancel(&json!(1));
        assert_eq!(desk.ended(&json!(1), None).0, None);
        assert!(desk.batches.is_empty());
    }

    #[test]
    fn a_question_is_answered_once_under_our_id_and_withdrawn_under_theirs() {
        let mut desk = Desk::default();
        let (number, mut answered) = desk.question(Some(json!("s-1"))).unwrap();
        assert!(!desk.answer(&json!("1"), Ok(json!({}))), "that is none of ours");
        assert!(desk.answer(&json!(number), Ok(json!({"a": 1}))));
        assert_eq!(answered.try_recv().unwrap(), Ok(json!({"a": 1})));
        assert!(!desk.answer(&json!(number), Ok(json!({}))));
        let (number, _answered) = desk.question(Some(json!("s-2"))).unwrap();
        assert_eq!(desk.withdrawn(&json!("s-1")), None);
        assert_eq!(desk.withdrawn(&json!("s-2")), Some(number));
        let (number, _answered) = desk.question(None).unwrap();
        let told = desk.withdraw(number).unwrap();
        assert_eq!(told["params"]["requestId"], number);
        assert_eq!(desk.withdraw(number), None);
        let _all: Vec<_> = (0..MOST_QUESTIONS).map(|_| desk.question(None).unwrap()).collect();
        assert!(desk.question(None).is_none());
    }
}
