//! The pictures of the pages, drawn from the tables and from nothing else.

use std::fmt::Write as _;

use mcp_authz_core::internals::{FLOWS, FlowTable};
use mcp_authz_core::note::{MachineName, SignalName, StateName};

/// The login and the refresh as one Mermaid flowchart for the front page: which step leads to which.
/// Failures, restarts and what another process was quicker with are left out.
#[must_use]
pub fn overview() -> String {
    let mut out = String::from("flowchart LR\n");
    let shown =
        |table: &&&FlowTable| matches!(table.flow, MachineName::Login | MachineName::Refresh);
    for table in FLOWS.iter().filter(shown) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "    subgraph {}", table.flow);
        for (from, to) in steps(table) {
            let _ = writeln!(out, "        {} --> {}", drawn(table, from), drawn(table, to));
        }
        out.push_str("    end\n");
    }
    out
}

fn steps(table: &FlowTable) -> Vec<(StateName, StateName)> {
    let mut steps = Vec::new();
    for row in table.rows {
        if matches!(row.on, SignalName::Resumed | SignalName::Overtaken) {
            continue;
        }
        for to in row.targets {
            let step = (row.from, *to);
            if *to != StateName::Failed && !steps.contains(&step) {
                steps.push(step);
            }
        }
    }
    steps
}

/// The node of a state. Its first part keeps states of one name in two flows apart.
fn drawn(table: &FlowTable, state: StateName) -> String {
    match state {
        StateName::Start => format!("{}_Start([begin])", table.flow),
        StateName::Done => format!("{}_Done([granted])", table.flow),
        state => format!("{}_{state}[{state}]", table.flow),
    }
}
