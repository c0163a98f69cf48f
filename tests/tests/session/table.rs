//! The transition tables are true: whole, reachable, and exactly what the scripts see.

use std::collections::BTreeSet;

use mcp_authz_core::internals::{FLOWS, Row, STAGES};
use mcp_authz_core::note::Edge;
use mcp_authz_core::note::{MachineName, SignalName, StateName};

use crate::suite::Script;

pub fn scripts() -> impl Iterator<Item = Script> {
    [
        crate::discovery::ALL,
        crate::first_request::ALL,
        crate::endpoints::ALL,
        crate::switches::ALL,
        crate::issuer_choice::ALL,
        crate::doubts::ALL,
        crate::courses::ALL,
        crate::enrolment::ALL,
        crate::registering::ALL,
        crate::hostile_urls::ALL,
        crate::callback::ALL,
        crate::authorization::ALL,
        crate::binding::ALL,
        crate::client_documents::ALL,
        crate::registration::ALL,
        crate::issuer::ALL,
        crate::legacy::ALL,
        crate::server_metadata::ALL,
        crate::login::ALL,
        crate::tokens::ALL,
        crate::damage::ALL,
        crate::scopes::ALL,
        crate::outages::ALL,
        crate::sloppy::ALL,
        crate::canary::ALL,
        crate::limits::ALL,
        crate::restart::ALL,
        crate::vault::ALL,
        crate::claims::ALL,
        crate::log_out::ALL,
        crate::races::ALL,
        crate::refusals::ALL,
        crate::stepup::ALL,
        crate::lanes::ALL,
        crate::client_auth::ALL,
        crate::refresh::ALL,
        crate::expiry::ALL,
        crate::refused_refreshes::ALL,
        crate::challenge_scope::ALL,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// A stage's table or a flow's.
struct Any {
    name: MachineName,
    states: Vec<StateName>,
    rows: &'static [Row],
}

fn tables() -> impl Iterator<Item = Any> {
    let stages = STAGES.iter().map(|table| Any {
        name: table.machine,
        states: table.states.iter().map(|state| state.name).collect(),
        rows: table.rows,
    });
    let flows = FLOWS.iter().map(|table| Any {
        name: table.flow,
        states: table.states.iter().map(|(name, _)| *name).collect(),
        rows: table.rows,
    });
    stages.chain(flows)
}

fn declared() -> BTreeSet<Edge> {
    let edges = tables().flat_map(|table| {
        table.rows.iter().flat_map(move |row| {
            row.targets.iter().map(move |to| Edge {
                machine: table.name,
                from: row.from,
                on: row.on,
                to: *to,
            })
        })
    });
    edges.collect()
}

#[test]
fn every_state_has_a_row_for_each_signal_it_can_meet() {
    for table in STAGES {
        assert!(table.row(StateName::Start, SignalName::Begin).is_some());
        for state in table.states {
            for signal in SignalName::met_while(state.awaits) {
                let row = table.row(state.name, *signal);
                assert!(row.is_some(), "{}: {} on {signal}", table.machine, state.name);
            }
        }
    }
}

#[test]
fn every_state_of_a_flow_has_a_row_for_whatever_its_stage_brings() {
    for table in FLOWS {
        let row = |from, on| table.rows.iter().any(|row| (row.from, row.on) == (from, on));
        assert!(row(StateName::Start, SignalName::Begin), "{} cannot begin", table.flow);
        for (state, stage) in table.states {
            let met = SignalName::met_after(*stage);
            assert!(!met.is_empty(), "{stage} is no stage");
            for signal in met {
                assert!(row(*state, *signal), "{}: {state} on {signal}", table.flow);
            }
        }
    }
}

#[test]
fn every_row_starts_and_ends_in_a_known_state_once() {
    for table in tables() {
        let known: BTreeSet<StateName> = table.states.iter().copied().collect();
        let ends = [StateName::Done, StateName::Failed];
        let mut seen = BTreeSet::new();
        for row in table.rows {
            assert!(known.contains(&row.from) || row.from == StateName::Start);
            assert!(row.targets.iter().all(|to| known.contains(to) || ends.contains(to)));
            assert!(seen.insert((row.from, row.on)), "{}: two rows for one signal", table.name);
        }
    }
}

#[test]
fn every_state_is_reachable_and_can_finish() {
    for table in tables() {
        let mut reached = BTreeSet::from([StateName::Start]);
        let mut finishing = BTreeSet::from([StateName::Done, StateName::Failed]);
        for _ in 0..=table.rows.len() {
            for row in table.rows {
                if reached.contains(&row.from) {
                    reached.extend(row.targets);
                }
                if row.targets.iter().any(|to| finishing.contains(to)) {
                    finishing.insert(row.from);
                }
            }
        }
        for state in table.states {
            assert!(reached.contains(&state), "{}: {state} unreached", table.name);
            assert!(finishing.contains(&state), "{}: {state} stuck", table.name);
        }
    }
}

#[test]
fn the_scripts_see_every_declared_edge_and_no_other() {
    let mut seen = BTreeSet::new();
    for script in scripts() {
        seen.extend(script.plain());
        seen.extend(script.restarted());
    }
    let declared = declared();
    let show = |edges: Vec<&Edge>| {
        let lines = edges.iter().map(|e| format!("{}: {} -{}-> {}", e.machine, e.from, e.on, e.to));
        lines.collect::<Vec<_>>()
    };
    let undeclared = show(seen.difference(&declared).collect());
    assert!(undeclared.is_empty(), "taken but not declared: {undeclared:#?}");
    let unseen = show(declared.difference(&seen).collect());
    assert!(unseen.is_empty(), "declared but never taken: {unseen:#?}");
}
