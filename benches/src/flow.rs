//! One whole login through the core: from a 401 to a published token, with dynamic registration.

use std::sync::Arc;

use http::{Response, StatusCode};
use mcp_authz_core::effect::{Bound, Reply, Told, Work};
use mcp_authz_core::entropy::Entropy;
use mcp_authz_core::input::{ArrivalId, Callback, Challenge, Had, Refusal, WaiterId};
use mcp_authz_core::session::{Env, Session};
use mcp_authz_core::time::{Monotonic, Timestamp};
use mcp_authz_core::{Config, Effects, Granted, Input};

use crate::canned;

const WALL: Timestamp = Timestamp::from_unix(1_785_542_400);

/// The configuration.
///
/// # Panics
/// Never; it is fixed.
#[must_use]
pub fn config() -> Arc<Config> {
    Config::builder(canned::MCP_URL).build().expect("a fixed configuration")
}

/// A login as it is prepared before the measurement begins.
#[derive(Debug)]
pub struct Prepared {
    session: Session,
    refusal: Input,
    answers: [Response<Vec<u8>>; 4],
    seeds: u64,
    wall: Timestamp,
}

/// Prepares a login.
#[must_use]
pub fn prepare(config: &Arc<Config>) -> Prepared {
    prepare_at(config, WALL)
}

/// Prepares a login at another time than the canned one.
#[must_use]
pub fn prepare_at(config: &Arc<Config>, wall: Timestamp) -> Prepared {
    let refusal = Input::Challenge(Challenge {
        waiter: WaiterId(1),
        refusal: Refusal {
            epoch: None,
            status: StatusCode::UNAUTHORIZED,
            headers: canned::challenge(),
            operation: "POST tools/list".to_owned(),
            accepted: None,
            had: Had::default(),
            may_ask: true,
        },
    });
    Prepared {
        session: Session::new(Arc::clone(config)),
        refusal,
        answers: canned::answers(),
        seeds: 0,
        wall,
    }
}

/// One step's time and randomness: a real source is not what is measured.
pub fn env(seeds: &mut u64) -> Env {
    *seeds += 1;
    let mut bytes = [0x5a; Entropy::BYTES];
    for (to, from) in bytes.iter_mut().rev().zip(seeds.to_le_bytes()) {
        *to = from;
    }
    for (to, from) in bytes.iter_mut().zip(seeds.to_le_bytes()) {
        *to ^= from;
    }
    Env { wall: WALL, mono: Monotonic::from_millis(*seeds), entropy: Entropy::new(bytes) }
}

/// Runs a prepared login to its token.
///
/// # Panics
/// If the login does not take the way it must.
pub fn run(prepared: Prepared) -> (Session, Arc<Granted>) {
    let Prepared { mut session, refusal, answers, mut seeds, wall } = prepared;
    let mut answers = answers.into_iter();
    let mut next = Some(refusal);
    let mut granted = None;
    while let Some(input) = next.take() {
        let Effects { told, work } =
            session.handle(input, Env { wall, ..env(&mut seeds) }).expect("no misuse");
        for told in told {
            match told {
                Told::Open(visit) => {
                    let url = visit.url();
                    let at = url.find("&state=").expect("a state") + "&state=".len();
                    let state = url.get(at..at + 32).expect("32 characters");
                    let mut query = String::with_capacity(canned::CALLBACK.len() + 32);
                    query.push_str(canned::CALLBACK);
                    query.push_str(state);
                    let callback = Callback::url(query);
                    next = Some(Input::Callback { arrival: ArrivalId(1), callback });
                }
                Told::Settle(settlement) => {
                    granted = Some(settlement.outcome.expect("a grant"));
                }
                _ => {}
            }
        }
        for work in work {
            next = Some(match work {
                Work::Call(call) => {
                    let (_request, _limits, ticket) = call.split();
                    ticket.answer(Reply::Answered(answers.next().expect("four requests")))
                }
                Work::Listen(listen) => {
                    let (_on, ticket) = listen.split();
                    ticket.answer(Bound::Port(51_000))
                }
                Work::Store(_) | Work::Sign(_) => panic!("nothing is stored or signed"),
            });
        }
    }
    (session, granted.expect("the caller is settled"))
}
