//! Options that do not exist: what was meant by them.

use mcp_authz_core::failure::escaped;

use super::{FLAGS, SECRET_VARIABLE, Usage, VALUED};

pub(super) fn unknown(option: &str) -> Usage {
    if option.contains("secret") || option.contains("token") || option.contains("password") {
        let text = "a secret among the arguments can be read by every process of this machine: put it into the \
                    environment variable";
        return Usage(format!("{text} {SECRET_VARIABLE}"));
    }
    let near = FLAGS.iter().chain(&VALUED).min_by_key(|known| distance(option, known));
    match near.filter(|known| distance(option, known) <= 3) {
        Some(known) => Usage(format!("there is no {}: did you mean {known}?", escaped(option))),
        None => Usage(format!("there is no {}: see --help", escaped(option))),
    }
}

/// How many single-byte changes lead from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut corner = i;
        let mut left = i.saturating_add(1);
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, b) in row.iter_mut().skip(1).zip(to.bytes()) {
            let changed = corner.saturating_add(usize::from(a != b));
            corner = *cell;
            left = changed.min(cell.saturating_add(1)).min(left.saturating_add(1));
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}
