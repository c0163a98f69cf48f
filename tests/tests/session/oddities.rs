//! The oddity registry, played in the simulator: each odd server has the end that it says it has.
//! `tests/interop` asks the same of the example clients over sockets.

use std::collections::BTreeSet;

use mcp_authz_core::failure::Kind;
use mcp_authz_core::time::Awaited;
use mcp_authz_tests::model::{End, Endpoint, Oddity, Settings};
use mcp_authz_tests::sim::{BEGINNING, Sim};

/// Most refusals of one request, and most pages that the person agrees to.
const MOST: usize = 4;

/// A run of a client: it may look for what is stored, calls a tool, and asks for what it lacks.
fn run(sim: &mut Sim, looks: bool) -> Result<End, String> {
    sim.model().clear_seen();
    if looks {
        let stored = sim.acquire_quietly("");
        sim.serve();
        let found = sim.outcome(stored).ok_or("the first look at the store does not end")?;
        if found.is_err() {
            sim.lay_down_token();
        }
    }
    let (mut pages, mut stuck) = (0, false);
    for again in 0..MOST {
        let Err(refused) = sim.call_tool("echo", again > 0) else { return end(sim, pages) };
        sim.serve();
        while let Some(visit) = sim.next_visit().filter(|_| pages < MOST) {
            stuck |= visit.approve_if_asked().is_none();
            sim.serve();
            pages += 1;
        }
        if pages > 0 && sim.waits_for() == Some(Awaited::Person) {
            // Nothing came back, or nothing that was believed: the login ends when nothing better
            // comes (ISS-90, REG-93).
            let began = u64::try_from(BEGINNING).unwrap_or(0);
            let now = (sim.wall_ms() / 1000).saturating_sub(began);
            sim.at(now + 600);
        }
        match sim.outcome(refused) {
            Some(Ok(_)) => {}
            Some(Err(failure)) if stuck && failure.kind() == Kind::CallbackTimeout => {
                return Ok(End::Stuck);
            }
            Some(Err(failure)) => return Ok(End::Fails(failure.kind())),
            None => return Err(format!("waits for {:?}", sim.waits_for())),
        }
    }
    Err("is refused for ever".to_owned())
}

/// The end of a run that called its tool.
fn end(sim: &mut Sim, pages: usize) -> Result<End, String> {
    let renewed = sim
        .model()
        .seen_at(Endpoint::Token)
        .any(|seen| seen.form.get("grant_type") == Some("refresh_token") && seen.error.is_none());
    match (pages, renewed, sim.published()) {
        (0, _, None) => Ok(End::Open),
        (0, false, Some(_)) => Ok(End::Holds),
        (0, true, Some(_)) => Ok(End::Renews),
        (1, ..) => Ok(End::LogsIn),
        _ => Err(format!("shows {pages} pages")),
    }
}

/// What differs from what the registry says, or nothing.
fn differs(oddity: &Oddity, after_s: u64, looks: bool) -> Option<String> {
    let mut settings = Settings::default();
    oddity.apply(&mut settings);
    let mut sim = Sim::against(settings, |config| config.persistent(true));
    let first = run(&mut sim, looks);
    if first != Ok(oddity.first) {
        return Some(format!("{}: first {first:?}, not {:?}", oddity.name, oddity.first));
    }
    let mut wrong = None;
    let mut at = 0;
    for expected in oddity.again.into_iter().chain(oddity.later) {
        sim.new_process(|config| config.persistent(true));
        at += after_s;
        sim.at(at);
        let next = run(&mut sim, looks);
        wrong = wrong.or_else(|| (next != Ok(expected)).then_some((next, expected)));
        at = (sim.wall_ms() / 1000).saturating_sub(u64::try_from(BEGINNING).unwrap_or(0));
    }
    sim.finish();
    let (next, expected) = wrong?;
    Some(format!("{}, {after_s} s, looks {looks}: then {next:?}, not {expected:?}", oddity.name))
}

/// Every odd server of the registry: the first run, and the next one on what that has stored.
#[test]
fn each_odd_server_has_the_end_it_says() {
    // Whatever lives for seconds is over, just so or for long; whatever lives for an hour is not.
    let ways = [(4, true), (4, false), (600, true), (600, false)];
    let asked =
        Oddity::all().flat_map(|oddity| ways.map(|(after_s, looks)| (oddity, after_s, looks)));
    let wrong: Vec<String> =
        asked.filter_map(|(odd, after_s, looks)| differs(odd, after_s, looks)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Names are words that a command line takes, and each is there once.
#[test]
fn oddities_are_told_apart() {
    let mut names = BTreeSet::new();
    for Oddity { name, about, .. } in Oddity::all() {
        let plain = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        assert!(plain && *name != "list", "{name} is no name");
        assert!(names.insert(name), "{name} is there twice");
        assert!(!about.is_empty() && !about.ends_with('.'), "{name}: {about}");
        assert_eq!(Oddity::named(name).map(|found| found.about), Some(*about));
    }
}
