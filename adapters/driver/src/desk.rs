//! What every driver keeps beside its session: who is to get which page, and which ports are open.
//!
//! Nothing here is called with effects of two sessions, and nothing here waits: what a step tells is
//! sorted under the session's lock and said aloud after it.

use std::collections::HashMap;

use mcp_authz_core::effect::{Effects, Page, Settlement, TicketId, Told, Work};
use mcp_authz_core::input::{ArrivalId, Callback, Input};

use crate::arrivals::{Listening, PageSink};
use crate::ports::Observer;
use crate::publish::Published;

/// Pages that are owed and ports that are open.
#[derive(Default)]
pub(crate) struct Desk {
    pages: HashMap<ArrivalId, PageSink>,
    ports: HashMap<TicketId, Option<Listening>>,
    arrived: u64,
}

/// Something to be said once the lock is gone: observers and browsers are other people's code, and
/// closing a port may wait for its thread.
pub(crate) enum Aloud {
    Told(Told),
    Page(PageSink, Page),
    NoPage(PageSink),
    Close(Listening),
}

impl Aloud {
    pub(crate) fn say(self, observer: &dyn Observer) {
        match self {
            Self::Told(told) => observer.told(&told),
            Self::Page(sink, page) => sink.show(page),
            Self::NoPage(sink) => drop(sink),
            Self::Close(listening) => drop(listening),
        }
    }
}

/// One step's effects, sorted.
pub(crate) struct Sorted {
    pub(crate) settled: Vec<Settlement>,
    pub(crate) aloud: Vec<Aloud>,
    pub(crate) abandoned: Vec<TicketId>,
    pub(crate) work: Vec<Work>,
}

impl Desk {
    /// The input for something that arrived; its page will go to the sink.
    pub(crate) fn arrival(&mut self, callback: Callback, page: PageSink) -> Input {
        self.arrived = self.arrived.wrapping_add(1);
        let arrival = ArrivalId(self.arrived);
        self.pages.insert(arrival, page);
        Input::Callback { arrival, callback }
    }

    /// Publishes, and sorts the rest. A session that waits for nothing owes no page either: whoever
    /// still waits for one is told so.
    pub(crate) fn sort(&mut self, effects: Effects, idle: bool, cell: &Published) -> Sorted {
        let mut sorted = Sorted {
            settled: Vec::new(),
            aloud: Vec::new(),
            abandoned: Vec::new(),
            work: effects.work,
        };
        for told in effects.told {
            match told {
                Told::Publish(granted) => cell.publish(granted),
                Told::Settle(settlement) => sorted.settled.push(settlement),
                Told::Page { arrival, page } => {
                    if let Some(sink) = self.pages.remove(&arrival) {
                        sorted.aloud.push(Aloud::Page(sink, page));
                    }
                }
                Told::Abandon(id) => {
                    sorted.abandoned.push(id);
                    if let Some(Some(open)) = self.ports.remove(&id) {
                        sorted.aloud.push(Aloud::Close(open));
                    }
                }
                other => sorted.aloud.push(Aloud::Told(other)),
            }
        }
        if idle && sorted.work.is_empty() {
            sorted.aloud.extend(self.pages.drain().map(|(_, sink)| Aloud::NoPage(sink)));
        }
        for work in &sorted.work {
            if let Work::Listen(_) = work {
                self.ports.insert(work.id(), None);
            }
        }
        sorted
    }

    /// Keeps a bound port open until it is abandoned. Gives it back, to be closed, if that has
    /// happened while it was being bound.
    pub(crate) fn bound(&mut self, id: TicketId, listening: Listening) -> Option<Listening> {
        match self.ports.get_mut(&id) {
            Some(place @ None) => place.replace(listening),
            _ => Some(listening),
        }
    }

    /// Everything that closes and answers by being dropped, to be dropped without the lock.
    pub(crate) fn clear(&mut self) -> impl Sized + use<> {
        (core::mem::take(&mut self.pages), core::mem::take(&mut self.ports))
    }
}
