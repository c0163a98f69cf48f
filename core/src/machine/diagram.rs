//! The picture of the machine, drawn from the tables and from nothing else.

use core::fmt::Write;

use super::{StateName, Table};

/// The whole machine as a Mermaid state diagram: one box for each stage, the states in it, and an
/// edge for each target of each row.
#[must_use]
pub fn mermaid() -> String {
    let mut out = String::from("stateDiagram-v2\n");
    for table in Table::ALL {
        // Writing to a string cannot fail.
        let _ = draw(table, &mut out);
    }
    out
}

fn draw(table: &Table, out: &mut String) -> core::fmt::Result {
    let id = |name: StateName| match name {
        StateName::Start | StateName::Done => "[*]".to_owned(),
        StateName::Failed => format!("{}_failed", table.machine),
        other => format!("{}_{other}", table.machine),
    };
    writeln!(out, "    state \"{}: {}\" as {} {{", table.machine, table.purpose, table.machine)?;
    for state in table.states {
        writeln!(out, "        state \"{} (awaits {:?})\" as {}", state.name, state.awaits, id(state.name))?;
    }
    writeln!(out, "        state \"Failed\" as {}", id(StateName::Failed))?;
    for row in table.rows {
        for target in row.targets {
            writeln!(out, "        {} --> {}: {}", id(row.from), id(*target), row.on)?;
        }
    }
    writeln!(out, "    }}")
}
