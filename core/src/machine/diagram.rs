//! The picture of the machine, drawn from the tables and from nothing else.

use core::fmt::{self, Write};

use super::{MachineName, Row, SignalName, State, StateName, Table};
use crate::table::FlowTable;

/// The flows and the stages as one Mermaid state diagram.
pub(crate) fn mermaid(flows: &[&FlowTable], stages: &[&Table]) -> String {
    let mut out = String::from("stateDiagram-v2\n");
    let flows = flows.iter().map(|table| Drawn {
        name: table.flow,
        purpose: table.purpose,
        states: table.states.iter().map(|(name, stage)| (*name, format!("runs {stage}"))).collect(),
        rows: table.rows,
    });
    let stages = stages.iter().map(|table| Drawn {
        name: table.machine,
        purpose: table.purpose,
        states: table.states.iter().map(|state| (state.name, awaits(state))).collect(),
        rows: table.rows,
    });
    // Writing to a string cannot fail.
    let _ = flows.chain(stages).try_for_each(|drawn| drawn.draw(&mut out));
    out
}

fn awaits(state: &State) -> String {
    format!("awaits {}", format!("{:?}", state.awaits).to_lowercase())
}

/// One box of the picture.
struct Drawn {
    name: MachineName,
    purpose: &'static str,
    states: Vec<(StateName, String)>,
    rows: &'static [Row],
}

impl Drawn {
    fn draw(&self, out: &mut String) -> fmt::Result {
        let Self { name: machine, purpose, states, rows } = self;
        let id = |name: StateName| match name {
            StateName::Start | StateName::Done => "[*]".to_owned(),
            other => format!("{machine}_{other}"),
        };
        writeln!(out, "    state \"{machine}: {purpose}\" as {machine} {{")?;
        for (name, what) in states {
            writeln!(out, "        state \"{name} ({what})\" as {}", id(*name))?;
        }
        if rows.iter().any(|row| row.targets.contains(&StateName::Failed)) {
            writeln!(out, "        state \"Failed\" as {}", id(StateName::Failed))?;
        }
        for (from, to, on) in edges(rows) {
            let on: Vec<String> = on.iter().map(ToString::to_string).collect();
            writeln!(out, "        {} --> {}: {}", id(from), id(to), on.join(", "))?;
        }
        writeln!(out, "    }}")
    }
}

/// The edges, with the signals that lead the same way taken together.
fn edges(rows: &[Row]) -> Vec<(StateName, StateName, Vec<SignalName>)> {
    let mut edges: Vec<(StateName, StateName, Vec<SignalName>)> = Vec::new();
    for row in rows {
        for to in row.targets {
            match edges.iter_mut().find(|(from, at, _)| (*from, *at) == (row.from, *to)) {
                Some((_, _, on)) => on.push(row.on),
                None => edges.push((row.from, *to, vec![row.on])),
            }
        }
    }
    edges
}
