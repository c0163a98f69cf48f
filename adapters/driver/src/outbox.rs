//! The state that every driver keeps beside its session: the pages that are owed, and the open
//! ports.
//!
//! Nothing here is called with effects of two sessions, and nothing here waits: what a step tells is
//! queued under the session's lock and said aloud after it, by one speaker at a time. So everybody
//! hears one order, and a caller is settled after everything that led to its settlement was told.

use core::panic::AssertUnwindSafe;
use std::collections::{HashMap, VecDeque};
use std::panic::catch_unwind;

use mcp_authz_core::effect::{Effects, Forgotten, Page, Settlement, TicketId, Told, Work};
use mcp_authz_core::input::{ArrivalId, Callback, Input};

use crate::arrivals::{Listening, PageSink};
use crate::error::DriveError;
use crate::ports::Observer;
use crate::publish::Published;
use crate::sync::thread::{self, ThreadId};

/// Pages that are owed and ports that are open.
#[derive(Default)]
pub(crate) struct Outbox {
    pages: HashMap<ArrivalId, PageSink>,
    ports: HashMap<TicketId, Option<Listening>>,
    arrived: u64,
    log_outs: Vec<Farewell>,
    voice: VecDeque<Word>,
    speaker: Option<ThreadId>,
}

/// A caller that logs out, and is told how that ended.
pub(crate) type Farewell = Box<dyn FnOnce(Forgotten) + Send>;

/// Something to be said once the lock is gone: observers and browsers are other people's code, and
/// closing a port may wait for its thread.
pub(crate) enum Word {
    /// For the driver itself, which keeps the mailboxes.
    Settle(Settlement),
    Told(Told),
    Farewell(Forgotten, Vec<Farewell>),
    Page(PageSink, Page),
    NoPage(PageSink),
    Close(Listening),
}

impl Word {
    /// Says it. A receiver that panics at a word misses only that word. A panic must not end the
    /// speaker: it is a caller or a runner, whose end would leave the others unsettled, and it may
    /// be unwinding already.
    pub(crate) fn say(self, observer: &dyn Observer) {
        let _panicked = catch_unwind(AssertUnwindSafe(|| match self {
            Self::Settle(_) => {}
            Self::Told(told) => observer.told(&told),
            Self::Farewell(forgotten, log_outs) => {
                log_outs.into_iter().for_each(|log_out| log_out(forgotten.clone()));
            }
            Self::Page(sink, page) => sink.show(page),
            Self::NoPage(sink) => drop(sink),
            Self::Close(listening) => drop(listening),
        }));
    }
}

/// One step's effects, sorted.
pub(crate) struct Sorted {
    pub(crate) abandoned: Vec<TicketId>,
    pub(crate) work: Vec<Work>,
    /// Nobody speaks and there is something to say: whoever took the step is the speaker now.
    pub(crate) speak: bool,
}

impl Outbox {
    /// The input for something that arrived; its page will go to the sink.
    pub(crate) fn arrival(&mut self, callback: Callback, page: PageSink) -> Input {
        self.arrived = self.arrived.wrapping_add(1);
        let arrival = ArrivalId(self.arrived);
        self.pages.insert(arrival, page);
        Input::Callback { arrival, callback }
    }

    /// The input for a log-out. Those that are under way at once end as one.
    pub(crate) fn log_out(&mut self, farewell: Farewell) -> Input {
        self.log_outs.push(farewell);
        Input::Forget
    }

    /// Callers that wait for the end of a log-out are told that none will come.
    #[cfg(feature = "async")]
    pub(crate) fn give_up(&mut self) {
        self.log_outs.clear();
    }

    /// Publishes, and sorts the rest. A session that waits for nothing owes no page either: whoever
    /// still waits for one is told so.
    pub(crate) fn sort(&mut self, effects: Effects, idle: bool, cell: &Published) -> Sorted {
        let mut sorted = Sorted { abandoned: Vec::new(), work: effects.work, speak: false };
        for told in effects.told {
            match told {
                Told::Publish(granted) => {
                    cell.publish(granted.clone());
                    self.voice.push_back(Word::Told(Told::Publish(granted)));
                }
                Told::Settle(settlement) => self.voice.push_back(Word::Settle(settlement)),
                Told::Page { arrival, page } => {
                    if let Some(sink) = self.pages.remove(&arrival) {
                        self.voice.push_back(Word::Page(sink, page));
                    }
                }
                Told::Forgotten(forgotten) => {
                    let log_outs = core::mem::take(&mut self.log_outs);
                    self.voice.push_back(Word::Told(Told::Forgotten(forgotten.clone())));
                    self.voice.push_back(Word::Farewell(forgotten, log_outs));
                }
                Told::Abandon(id) => {
                    sorted.abandoned.push(id);
                    if let Some(Some(open)) = self.ports.remove(&id) {
                        self.voice.push_back(Word::Close(open));
                    }
                }
                other => self.voice.push_back(Word::Told(other)),
            }
        }
        if idle && sorted.work.is_empty() {
            self.voice.extend(self.pages.drain().map(|(_, sink)| Word::NoPage(sink)));
        }
        for work in &sorted.work {
            if let Work::Listen(_) = work {
                self.ports.insert(work.id(), None);
            }
        }
        sorted.speak = self.speaker.is_none() && !self.voice.is_empty();
        if sorted.speak {
            self.speaker = Some(thread::current().id());
        }
        sorted
    }

    /// The next thing for the speaker to say; with `None` there is no speaker any more.
    pub(crate) fn next_word(&mut self) -> Option<Word> {
        let next = self.voice.pop_front();
        if next.is_none() {
            self.speaker = None;
        }
        next
    }

    /// Returns true if somebody speaks, and may yet settle somebody.
    pub(crate) const fn speaking(&self) -> bool {
        self.speaker.is_some()
    }

    /// Asked before a wait: this thread is the speaker, so what it would wait for is never said.
    pub(crate) fn not_here(&self) -> Result<(), DriveError> {
        if self.speaker == Some(thread::current().id()) {
            return Err(DriveError::Reentered);
        }
        Ok(())
    }

    /// Keeps a bound port open until it is abandoned. Gives it back, to be closed, if that has
    /// happened while it was being bound. A port that could not be bound needs no closing.
    pub(crate) fn bound(&mut self, id: TicketId, bound: Option<Listening>) -> Option<Listening> {
        let Some(listening) = bound else {
            self.ports.remove(&id);
            return None;
        };
        match self.ports.get_mut(&id) {
            Some(place @ None) => place.replace(listening),
            _ => Some(listening),
        }
    }

    /// Returns true if nothing is left in it. No page is owed then, so arrivals may be counted
    /// anew.
    pub(crate) fn cleared(&self) -> bool {
        self.pages.is_empty()
            && self.ports.is_empty()
            && self.log_outs.is_empty()
            && self.voice.is_empty()
            && self.speaker.is_none()
    }

    /// Everything that closes and answers by being dropped, to be dropped without the lock.
    pub(crate) fn clear(&mut self) -> impl Sized + use<> {
        (core::mem::take(&mut self.pages), core::mem::take(&mut self.ports))
    }
}
