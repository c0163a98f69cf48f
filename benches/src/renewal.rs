//! One refresh through the core with a store: lease, look, intent, request, save, release.

use std::collections::HashMap;
use std::mem;
use std::time::Duration;

use mcp_authz_core::effect::{
    Bound, Key, Record, Reply, Settlement, StoreOp, StoreRequest, Stored, Told, Work,
};
use mcp_authz_core::input::{Acquire, ArrivalId, Callback, WaiterId};
use mcp_authz_core::session::{Env, Session};
use mcp_authz_core::time::Timestamp;
use mcp_authz_core::{Config, Input};

use crate::{canned, flow};

/// A session whose grant is in a store, and the world around it.
#[derive(Debug)]
pub struct Renewals {
    session: Session,
    records: HashMap<Key, Record>,
    seeds: u64,
    /// Since the login.
    age: Duration,
    tokens: u32,
    settled: Vec<Settlement>,
}

impl Renewals {
    /// Logs in, and saves the grant.
    ///
    /// # Panics
    /// If the login does not take the way it must.
    #[must_use]
    pub fn new() -> Self {
        let config = Config::builder(canned::MCP_URL).persistent(true).build();
        let session = Session::new(config.expect("a fixed configuration"));
        let (records, settled) = (HashMap::new(), Vec::new());
        let mut world =
            Self { session, records, seeds: 0, age: Duration::ZERO, tokens: 0, settled };
        world.acquire();
        world
    }

    /// One hour later: the token is over, and a caller needs another.
    ///
    /// # Panics
    /// If the refresh does not take the way it must.
    pub fn renew(&mut self) {
        self.age += Duration::from_secs(3600);
        self.acquire();
    }

    fn acquire(&mut self) {
        let acquire = Acquire { waiter: WaiterId(1), scopes: Default::default(), may_ask: true };
        let mut inputs = vec![Input::Acquire(acquire)];
        while let Some(input) = inputs.pop() {
            let env = flow::env(&mut self.seeds);
            let wall = env.wall.unix().saturating_add_unsigned(self.age.as_secs());
            let wall = Timestamp::from_unix(wall);
            let env = Env { wall, mono: env.mono.after(self.age), ..env };
            let effects = self.session.handle(input, env).expect("no misuse");
            for told in effects.told {
                match told {
                    Told::Open(visit) => inputs.push(callback(visit.url())),
                    Told::Settle(settlement) => self.settled.push(settlement),
                    _ => {}
                }
            }
            inputs.extend(effects.work.into_iter().map(|work| self.perform(work)));
        }
        let settled = mem::take(&mut self.settled).pop().expect("the caller is settled");
        assert!(settled.outcome.is_ok() && !settled.unsaved, "a saved grant");
    }

    fn perform(&mut self, work: Work) -> Input {
        match work {
            Work::Call(call) => {
                let (request, _limits, ticket) = call.split();
                let answer = match request.uri().path() {
                    "/oauth2/token" => canned::answer(200, &self.next_tokens()),
                    "/oauth2/register" => canned::answer(201, canned::REGISTRATION),
                    path if path.contains("protected-resource") => {
                        canned::answer(200, canned::RESOURCE)
                    }
                    path if path.contains("authorization-server") => {
                        canned::answer(200, canned::SERVER)
                    }
                    _ => canned::answer(401, ""),
                };
                ticket.answer(Reply::Answered(answer))
            }
            Work::Listen(listen) => listen.split().1.answer(Bound::Port(51_000)),
            Work::Store(store) => self.store(store),
            Work::Sign(_) => panic!("nothing is signed"),
        }
    }

    /// A server that rotates: each answer has tokens of its own.
    fn next_tokens(&mut self) -> String {
        self.tokens += 1;
        let number = self.tokens;
        canned::TOKENS.replace("c2lnbmF0dXJl", &format!("c2lnbmF0{number:04}")).replace(
            "8xLOxBtZp8_8xLOxBtZp8_8xLOxBtZp8",
            &format!("8xLOxBtZp8_8xLOxBtZp8_{number:010}"),
        )
    }

    fn store(&mut self, op: StoreOp) -> Input {
        let (request, ticket) = op.split();
        ticket.answer(match request {
            StoreRequest::Load { key } => Stored::Loaded(self.records.get(&key).cloned()),
            StoreRequest::Swap { key, record, .. } => {
                self.records.insert(key, record);
                Stored::Swapped
            }
            StoreRequest::Lease { .. } => Stored::Leased,
            StoreRequest::Intend { .. } => Stored::Intended,
            StoreRequest::Release { .. } | StoreRequest::Leave { .. } => Stored::Released,
        })
    }
}

impl Default for Renewals {
    fn default() -> Self {
        Self::new()
    }
}

fn callback(url: &str) -> Input {
    let at = url.find("&state=").expect("a state") + "&state=".len();
    let state = url.get(at..at + 32).expect("32 characters");
    let callback = Callback::url(format!("{}{state}", canned::CALLBACK));
    Input::Callback { arrival: ArrivalId(1), callback }
}
