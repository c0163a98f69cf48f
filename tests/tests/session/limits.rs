//! What callers may not do, what no peer can make endless, and that nothing depends on luck.

use http::{HeaderMap, StatusCode};
use mcp_authz_core::effect::{Reply, Told, Why, Work};
use mcp_authz_core::entropy::Entropy;
use mcp_authz_core::failure::Misuse;
use mcp_authz_core::input::{Acquire, Challenge, Had, Refusal, WaiterId};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::session::{Env, Session};
use mcp_authz_core::time::{Awaited, Monotonic, Timestamp};
use mcp_authz_core::{Config, Input};
use mcp_authz_tests::sim::Sim;

use crate::given::{by_hand, discover, logged_in, refresh, register, tokens};
use crate::suite::Script;

fn env(mono: u64, bytes: [u8; Entropy::BYTES]) -> Env {
    Env {
        wall: Timestamp::from_unix(0),
        mono: Monotonic::from_millis(mono),
        entropy: Entropy::new(bytes),
    }
}

fn wanting(waiter: WaiterId) -> Input {
    Input::Acquire(Acquire { waiter, scopes: ScopeSet::empty(), may_ask: true })
}

fn refused(waiter: WaiterId, status: u16) -> Input {
    let refusal = Refusal {
        epoch: None,
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        operation: String::new(),
        accepted: None,
        had: Had::default(),
        may_ask: true,
    };
    Input::Challenge(Challenge { waiter, refusal })
}

scripts! {
    /// A misuse changes nothing: what was under way goes on.
    random_bytes_are_used_once_sec_16(sim = by_hand()) {
        let waiter = sim.acquire("");
        assert_eq!(sim.give_wrongly(Input::Wake, true), Misuse::EntropyRepeated);
        discover(sim);
        register(sim, "c1");
        sim.expect_waiting(waiter);
        sim.expect_visit();
    }

    a_waiter_waits_once_step_16(sim = by_hand()) {
        let waiter = sim.acquire("");
        assert_eq!(sim.give_wrongly(wanting(waiter), false), Misuse::WaiterInUse);
        let refused = refused(waiter, 401);
        assert_eq!(sim.give_wrongly(refused, false), Misuse::WaiterInUse);
        sim.cancel(waiter);
        sim.expect_failed(waiter, "cancelled");
    }

    what_is_no_refusal_is_delivered_step_11(sim = by_hand()) {
        for status in [200, 302, 404, 429, 500] {
            let answer = refused(WaiterId(99), status);
            assert_eq!(sim.give_wrongly(answer, false), Misuse::NotARefusal);
        }
        sim.expect_no_call();
    }

    /// A cancel of nobody is no misuse, nor is an answer that nobody waits for.
    late_inputs_are_no_misuse_host_241(sim = by_hand()) {
        sim.cancel(WaiterId(77));
        let waiter = sim.acquire("");
        let call = sim.expect_call(http::Method::GET, crate::given::RESOURCE);
        let (_, ticket) = call.hold();
        sim.cancel(waiter);
        sim.reply_late(ticket, 200, &crate::given::resource(&[]));
        sim.expect_note("a late answer was dropped");
        sim.expect_no_call();
        assert_eq!(sim.waits_for(), None);
    }

    /// Nobody answers anything: each wait has its end, and says what it waits for.
    nothing_hangs_step_16(sim = by_hand()) {
        let waiter = sim.acquire("");
        assert_eq!(sim.waits_for(), Some(Awaited::Call));
        sim.at(1000);
        sim.expect_failed(waiter, "transient");
        assert_eq!(sim.waits_for(), None);
        let waiter = sim.acquire("");
        discover(sim);
        register(sim, "c1");
        assert_eq!(sim.waits_for(), Some(Awaited::Person));
        sim.at(2000);
        sim.expect_failed(waiter, "callback_timeout");
        assert_eq!(sim.waits_for(), None);
    }

    /// A refresh nobody answers ends too, and opens no page.
    a_silent_token_endpoint_has_its_end_step_16_host_226(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        let waiter = sim.at(60).acquire("");
        let _never = refresh(sim, 1).hold();
        sim.at(130);
        sim.expect_failed(waiter, "timeout");
        sim.expect_no_visit();
    }
}

#[test]
fn the_clock_does_not_go_back_sec_17() {
    let config = Config::builder("https://mcp.example/mcp").build().unwrap();
    let mut session = Session::new(config);
    let bytes = |seed: u8| core::array::from_fn(|at| seed.wrapping_mul(7).wrapping_add(at as u8));
    assert!(session.handle(Input::Wake, env(1000, bytes(1))).is_ok());
    let back = session.handle(Input::Wake, env(999, bytes(2)));
    assert_eq!(back.unwrap_err(), Misuse::ClockWentBack);
    // Nothing has happened: the same bytes are still fresh.
    assert!(session.handle(Input::Wake, env(1000, bytes(2))).is_ok());
}

/// Two threads may draw the time in one order and take their turns in the other. What was asked for
/// once is not lost over that.
#[test]
fn an_answer_from_a_moment_ago_is_taken_sec_17() {
    let config = Config::builder("https://mcp.example/mcp").build().unwrap();
    let mut session = Session::new(config);
    let bytes = |seed: u8| core::array::from_fn(|at| seed.wrapping_mul(7).wrapping_add(at as u8));
    let effects = session.handle(wanting(WaiterId(1)), env(1000, bytes(1))).unwrap();
    let Some(Work::Call(call)) = effects.work.into_iter().next() else {
        panic!("the resource is asked first");
    };
    assert!(session.handle(Input::Wake, env(1010, bytes(2))).is_ok());
    let answer = call.split().2.answer(Reply::NotSent(Why::Connect));
    let effects = session.handle(answer, env(1005, bytes(3))).unwrap();
    assert!(effects.told.iter().any(|told| matches!(told, Told::Settle(_))));
}

#[test]
fn a_source_that_gives_nothing_but_zeros_is_refused_host_164_sec_16() {
    let config = Config::builder("https://mcp.example/mcp").build().unwrap();
    let mut session = Session::new(config);
    for alike in [0, 0xFF] {
        let refused = session.handle(wanting(WaiterId(1)), env(1, [alike; Entropy::BYTES]));
        assert_eq!(refused.unwrap_err(), Misuse::EntropyRepeated);
    }
    assert_eq!(session.waiting(), 0);
}

/// Time far out of range is survived, and no arithmetic overflows.
#[test]
fn the_ends_of_time_host_312_sec_17() {
    let config = Config::builder("https://mcp.example/mcp").build().unwrap();
    for wall in [i64::MIN, -1, 0, i64::MAX] {
        for mono in [0, u64::MAX] {
            let mut session = Session::new(std::sync::Arc::clone(&config));
            let bytes = core::array::from_fn(|at| at as u8);
            let env = Env { wall: Timestamp::from_unix(wall), ..env(mono, bytes) };
            let effects = session.handle(wanting(WaiterId(1)), env).unwrap();
            assert!(matches!(effects.work.first(), Some(Work::Call(_)) | None));
        }
    }
}

fn traced(script: Script, restarts: bool) -> (Vec<String>, Vec<String>, String) {
    let mut sim: Sim = (script.begin)();
    if restarts {
        sim.restart_after_each_step();
    }
    (script.run)(&mut sim);
    let notes = sim.notes().iter().map(|note| format!("{note:?}")).collect();
    let state = serde_json::to_string(&sim.session().snapshot()).unwrap();
    (sim.requests().to_vec(), notes, state)
}

/// U7: the same inputs, the same effects, to the last byte of the snapshot.
#[test]
fn the_same_inputs_give_the_same_effects() {
    for script in crate::table::scripts() {
        for restarts in [false, true] {
            assert_eq!(traced(script, restarts), traced(script, restarts), "{}", script.name);
        }
    }
}
