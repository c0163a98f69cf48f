//! The sentences of the rules, for programs that show an id and want to say what it stands for.
//!
//! [`Failure::rule`](mcp_authz_core::failure::Failure::rule) and the notes of a session give the ids. The
//! sentences are those of the [page of rules](crate::guide::rules).

const PAGE: &str = include_str!("guide/rules.md");

/// The sentence of the rule with this id, with its full stop; `None` for an id that the page does not
/// list, such as that of a design decision.
///
/// ```
/// use mcp_authz_driver::rules::sentence;
///
/// let pkce = "An authorization server that lists no PKCE methods is refused.";
/// assert_eq!(sentence("ASM-11").as_deref(), Some(pkce));
/// assert_eq!(sentence("D14"), None);
/// ```
#[must_use]
pub fn sentence(id: &str) -> Option<String> {
    PAGE.lines().find_map(|line| {
        let (of, rest) = line.strip_prefix("| <a id=\"")?.split_once('"')?;
        // After the id and the level.
        let (_, cells) = rest.split_once(" | ").filter(|_| of == id)?;
        let (_, sentence) = cells.split_once(" | ")?;
        Some(sentence.strip_suffix(" |")?.replace("\\|", "|"))
    })
}

#[cfg(test)]
mod tests {
    use super::{PAGE, sentence};

    #[test]
    fn every_row_of_the_page_has_a_sentence() {
        let ids =
            PAGE.lines().filter_map(|line| line.strip_prefix("| <a id=\"")?.split('"').next());
        let mut count = 0;
        for id in ids {
            let sentence = sentence(id).unwrap();
            assert!(sentence.ends_with('.') && !sentence.contains("<a"), "{id}: {sentence}");
            count += 1;
        }
        assert!(count > 500, "{count}");
    }

    #[test]
    fn an_id_that_is_the_beginning_of_another_is_no_rule() {
        assert_eq!((sentence("WWW-0"), sentence("WWW-"), sentence("")), (None, None, None));
    }
}
