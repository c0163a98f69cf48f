//! The picture of the machine, drawn from the tables and from nothing else.

use core::fmt::{self, Write};

use super::{Row, SignalName, StateName, Table};
use crate::stage;

/// The whole machine as a Mermaid state diagram: the order of the stages in each flow, one box for
/// each stage, the states in it, and the signals that lead from one to another.
#[must_use]
pub fn mermaid() -> String {
    let mut out = String::from("stateDiagram-v2\n");
    // Writing to a string cannot fail.
    let _ = order(&mut out)
        .and_then(|()| Table::ALL.iter().try_for_each(|table| draw(table, &mut out)));
    out
}

fn order(out: &mut String) -> fmt::Result {
    for (flow, stages) in stage::FLOWS {
        for (stage, next) in stages.iter().zip(stages.iter().skip(1)) {
            writeln!(out, "    {stage} --> {next}: {flow}")?;
        }
    }
    Ok(())
}

fn draw(table: &Table, out: &mut String) -> fmt::Result {
    let id = |name: StateName| match name {
        StateName::Start | StateName::Done => "[*]".to_owned(),
        other => format!("{}_{other}", table.machine),
    };
    writeln!(out, "    state \"{}: {}\" as {} {{", table.machine, table.purpose, table.machine)?;
    for state in table.states {
        let (name, awaits) = (state.name, format!("{:?}", state.awaits).to_lowercase());
        writeln!(out, "        state \"{name} (awaits {awaits})\" as {}", id(name))?;
    }
    writeln!(out, "        state \"Failed\" as {}", id(StateName::Failed))?;
    for (from, to, on) in edges(table.rows) {
        let on: Vec<String> = on.iter().map(ToString::to_string).collect();
        writeln!(out, "        {} --> {}: {}", id(from), id(to), on.join(", "))?;
    }
    writeln!(out, "    }}")
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
