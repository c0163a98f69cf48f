//! Prints each requirement with the tests that prove it.
//!
//! Ends with status 1 if a requirement that demands a test has none, or a test names a requirement
//! that does not exist.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;

use mcp_authz_tests::coverage::{Coverage, HOSTILE_CASES, Row, root, rows};

const HELP: &str = "\
Which tests prove which requirement, by the ids in the tests' names.

usage: requirements [--missing | --json] [--help]

  --missing   only the requirements that demand a test and have none
  --json      everything, for programs
  --help      this text

A requirement demands a test if its level is MUST or MUST* and it concerns the core, the drivers, the transports or the stores.
Status: 0 all is well; 1 something is missing or a name carries an unknown id; 2 wrong usage.
";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    All,
    Missing,
    Json,
}

fn main() -> ExitCode {
    let mut show = Show::All;
    for argument in std::env::args().skip(1) {
        show = match argument.as_str() {
            "--missing" => Show::Missing,
            "--json" => Show::Json,
            "--help" | "-h" => {
                return ended(io::stdout().write_all(HELP.as_bytes()), ExitCode::SUCCESS);
            }
            other => {
                return ended(
                    write!(io::stderr(), "unknown: {other}\n\n{HELP}"),
                    ExitCode::from(2),
                );
            }
        };
    }
    let coverage = match Coverage::read(&root()) {
        Ok(coverage) => coverage,
        Err(error) => {
            return ended(writeln!(io::stderr(), "cannot read: {error}"), ExitCode::from(2));
        }
    };
    let written = match show {
        Show::Json => json(&coverage),
        Show::All | Show::Missing => text(&coverage, show == Show::Missing),
    };
    let well = coverage.missing().is_empty() && coverage.unknown.is_empty();
    ended(written, if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A reader that went away (`| head`) is no failure of ours.
fn ended(written: io::Result<()>, code: ExitCode) -> ExitCode {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(2),
        _ => code,
    }
}

fn text(coverage: &Coverage, only_missing: bool) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut section = "";
    for row in rows() {
        let missing = row.demanded() && coverage.of(row.id).next().is_none();
        if only_missing && !missing {
            continue;
        }
        if row.section != section {
            section = row.section;
            writeln!(out, "\n{section}")?;
        }
        let mark = if missing { "!" } else { " " };
        writeln!(
            out,
            "{mark} {:<10}  {:<7}  {:<9}  {}",
            row.id, row.level, row.place, row.summary
        )?;
        for test in coverage.of(row.id) {
            writeln!(out, "      {test}")?;
        }
    }
    if !only_missing {
        writeln!(out)?;
        for place in ["core", "driver", "transport", "store", "extension", "person"] {
            let of: Vec<Row> = rows().into_iter().filter(|row| row.place == place).collect();
            let tested = of.iter().filter(|row| coverage.of(row.id).next().is_some()).count();
            writeln!(out, "{place:<10} {tested:>4} of {:>3} requirements have a test", of.len())?;
        }
    }
    for (id, test) in &coverage.unknown {
        writeln!(out, "unknown id {id}: {test}")?;
    }
    let demanded = rows().iter().filter(|row| row.demanded()).count();
    writeln!(
        out,
        "\n{} tests; {} of {demanded} demanded requirements and {} of {HOSTILE_CASES} hostile cases \
         have one",
        coverage.tests,
        demanded - coverage.missing().len(),
        coverage.cases.len(),
    )?;
    out.flush()
}

fn json(coverage: &Coverage) -> io::Result<()> {
    let requirements: Vec<_> = rows()
        .iter()
        .map(|row| {
            serde_json::json!({
                "id": row.id, "level": row.level, "section": row.section,
                "revisions": row.revisions, "where": row.place, "summary": row.summary,
                "demanded": row.demanded(),
                "tests": coverage.of(row.id).map(ToString::to_string).collect::<Vec<_>>(),
            })
        })
        .collect();
    let cases: Vec<_> = coverage
        .cases
        .iter()
        .map(|(number, tests)| {
            serde_json::json!({
                "id": format!("HOST-{number:03}"),
                "tests": tests.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        })
        .collect();
    let unknown: Vec<_> =
        coverage.unknown.iter().map(|(id, test)| format!("{id}: {test}")).collect();
    let all = serde_json::json!({
        "requirements": requirements, "hostile": cases, "unknown": unknown,
        "tests": coverage.tests,
    });
    writeln!(io::stdout(), "{all:#}")
}
