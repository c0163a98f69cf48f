//! Which placeholder stands for which text: the same one for the same text, wherever it comes.
//!
//! A placeholder is of the shape of what it stands for: no shorter, with the same kinds of odd
//! characters in it and the same blanks around it. A check that the text passes, or does not, is then
//! passed, or is not, by the placeholder.

use std::collections::HashMap;

use zeroize::Zeroize as _;

use super::forms::decoded;
use super::names::SECRETS;
use super::words::is_word;

/// A secret with fewer bytes than this can stand in any text by chance.
const SHORT: usize = 8;
/// Most secrets that are looked for in one text.
const MOST_ECHOES: usize = 16;
/// Most odd characters that a placeholder repeats.
const MOST_ODD: usize = 16;

/// Every text that was met so far, with its placeholder.
#[derive(Default)]
pub(super) struct Mapping {
    texts: HashMap<String, String>,
    labels: HashMap<String, String>,
    counts: HashMap<&'static str, u64>,
    /// The secrets among the texts.
    secrets: Vec<(String, String)>,
    tickets: HashMap<u64, u64>,
    /// The numbers that stand for values of `state`.
    spent: HashMap<u64, u64>,
}

/// A part of a text.
enum Piece {
    /// It is hidden.
    Text(String),
    /// The placeholder of a secret.
    Secret(String),
}

/// The texts are wiped, as far as this map alone has them.
impl Drop for Mapping {
    fn drop(&mut self) {
        for (mut real, _) in self.texts.drain().chain(self.secrets.drain(..)) {
            real.zeroize();
        }
    }
}

impl Mapping {
    /// The placeholder of a text; blanks around it stay.
    pub(super) fn hide(&mut self, kind: &'static str, text: &str) -> String {
        let core = text.trim();
        let Some(at) = text.find(core).filter(|_| !core.is_empty()) else {
            return text.to_owned();
        };
        let (before, rest) = text.split_at_checked(at).unwrap_or_default();
        let after = rest.get(core.len()..).unwrap_or_default();
        let placeholder = self.placeholder(kind, core);
        [before, &placeholder, after].concat()
    }

    fn placeholder(&mut self, kind: &'static str, text: &str) -> String {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let made = match self.pieces(text) {
            Some(pieces) => pieces
                .into_iter()
                .map(|piece| match piece {
                    Piece::Text(text) => self.hide_plainly(kind, &text),
                    Piece::Secret(placeholder) => placeholder,
                })
                .collect(),
            None => shaped(&self.next(kind), text),
        };
        self.keep(kind, text, &made);
        made
    }

    /// A part of a text, in which no secret is looked for.
    fn hide_plainly(&mut self, kind: &'static str, text: &str) -> String {
        match self.texts.get(text) {
            Some(known) => known.clone(),
            None if text.trim().is_empty() => text.to_owned(),
            None => shaped(&self.next(kind), text),
        }
    }

    /// The secrets that a text has in it, as it is or behind escapes, and what stands around them.
    fn pieces(&self, text: &str) -> Option<Vec<Piece>> {
        if let Some(pieces) = self.split(text) {
            return Some(pieces);
        }
        let escaped = |piece| match piece {
            Piece::Secret(placeholder) => Piece::Secret(placeholder.replace('-', "%2D")),
            same => same,
        };
        let plain = text.contains('%').then(|| decoded(text)).flatten()?;
        Some(self.split(&plain)?.into_iter().map(escaped).collect())
    }

    fn split(&self, text: &str) -> Option<Vec<Piece>> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while pieces.len() < 2 * MOST_ECHOES
            && let Some((before, placeholder, after)) = self.echoed(rest)
        {
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Secret(placeholder.to_owned()));
            rest = after;
        }
        if pieces.is_empty() {
            return None;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Some(pieces)
    }

    /// A secret that a text has in it, and what stands around it.
    fn echoed<'a>(&'a self, text: &'a str) -> Option<(&'a str, &'a str, &'a str)> {
        self.secrets.iter().find_map(|(real, placeholder)| {
            let (before, after) = text.split_once(real)?;
            Some((before, placeholder.as_str(), after))
        })
    }

    fn next(&mut self, kind: &'static str) -> String {
        let count = self.counts.entry(kind).or_default();
        *count = count.saturating_add(1);
        format!("{kind}-{count}")
    }

    fn keep(&mut self, kind: &'static str, real: &str, placeholder: &str) {
        if SECRETS.contains(&kind) && real.len() >= SHORT {
            self.secrets.retain(|(held, _)| held != real);
            self.secrets.push((real.to_owned(), placeholder.to_owned()));
        }
        self.texts.insert(real.to_owned(), placeholder.to_owned());
    }

    /// Takes note that both cores have drawn this value for the same thing.
    pub(super) fn learn(&mut self, kind: &'static str, real: &str, placeholder: &str) {
        if kind == "state" {
            let number = mcp_authz_core::internals::trace::stands_for;
            self.spent.insert(number(real), number(placeholder));
        }
        self.keep(kind, real, placeholder);
    }

    /// Returns true if a text was met before.
    pub(super) fn knows(&self, text: &str) -> bool {
        self.texts.contains_key(text)
    }

    /// A word: kept if it is one of the protocols'.
    pub(super) fn word(&mut self, kind: &'static str, text: &str) -> String {
        if is_word(text.trim()) { text.to_owned() } else { self.hide(kind, text) }
    }

    /// The placeholder of a host's label, in the case of the label.
    pub(super) fn label(&mut self, label: &str) -> String {
        let lower = label.to_lowercase();
        let placeholder = match self.labels.get(&lower) {
            Some(known) => known.clone(),
            None => {
                let made = self.new_label(&lower);
                self.labels.insert(lower, made.clone());
                made
            }
        };
        if label.chars().any(char::is_uppercase) { placeholder.to_uppercase() } else { placeholder }
    }

    /// Both spellings of an international label are mapped at once, since a parser turns one into the
    /// other.
    fn new_label(&mut self, lower: &str) -> String {
        if lower.starts_with("xn--") || !lower.is_ascii() {
            let name = format!("h\u{f6}st-{}", self.next("intl"));
            let spelt = |text: &str| {
                let url = url::Url::parse(&format!("https://{text}/")).ok()?;
                url.host_str().map(str::to_owned)
            };
            // Only a label that a parser would write so has another spelling.
            let other = spelt(lower).filter(|ascii| ascii.starts_with("xn--"));
            if let (Some(ascii), Some(hidden)) = (other, spelt(&name)) {
                self.labels.insert(ascii, hidden.clone());
                return if lower.is_ascii() { hidden } else { name };
            }
        }
        shaped(&self.next("host"), lower)
    }

    /// The number of the shadow's ticket.
    pub(super) fn ticket(&self, real: u64) -> u64 {
        self.tickets.get(&real).copied().unwrap_or(real)
    }

    /// Takes note of the shadow's ticket for the same work.
    pub(super) fn learn_ticket(&mut self, real: u64, shadow: u64) {
        self.tickets.insert(real, shadow);
    }

    /// The number by which the shadow remembers a spent `state`.
    pub(super) fn spent(&self, real: u64) -> u64 {
        self.spent.get(&real).copied().unwrap_or(real)
    }
}

/// A placeholder with the odd characters of a text, as long as it. It is as long as the text in a form,
/// too, where odd characters are escaped.
fn shaped(name: &str, text: &str) -> String {
    let mut odd: Vec<String> = Vec::new();
    let mut more = 0usize;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let (unit, length) = match escape(rest) {
            Some(escape) => escape,
            None => (odd_character(next), next.len_utf8()),
        };
        if !unit.is_empty() && !odd.contains(&unit) && odd.len() < MOST_ODD {
            odd.push(unit);
        } else if unit.len() == 1 {
            more = more.saturating_add(1);
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    let made = odd.concat();
    let missing = text.len().saturating_sub(made.len()).saturating_sub(name.len());
    let again = odd.iter().find(|unit| unit.len() == 1).map_or("", String::as_str);
    let more = if again.is_empty() { 0 } else { more.min(missing) };
    let plain = "x".repeat(missing.saturating_sub(more));
    [name, &plain, &made, &again.repeat(more)].concat()
}

/// The odd character itself; nothing for a letter, a digit and what may stand in any URL. Of what is not
/// ASCII only the characters are kept that are blank, or that nobody sees.
pub(super) fn odd_character(character: char) -> String {
    let unseen = matches!(character, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{2069}' | '\u{FEFF}');
    match character {
        '.' | '_' | '~' | '-' => String::new(),
        plain if plain.is_ascii_alphanumeric() => String::new(),
        odd if odd.is_ascii() || odd.is_control() || odd.is_whitespace() || unseen => odd.into(),
        _ => "\u{e9}".to_owned(),
    }
}

/// The percent escape that a text begins with, escapes of escapes included, and its length. One of a
/// letter or digit becomes one of `x`.
pub(super) fn escape(text: &str) -> Option<(String, usize)> {
    let mut rest = text.strip_prefix('%')?;
    while let Some(inner) = rest.strip_prefix("25") {
        let Some(next) = inner.get(..2).filter(|next| is_hex(next)) else { break };
        let _escaped_again = next;
        rest = inner;
    }
    let digits = rest.get(..2).filter(|digits| is_hex(digits))?;
    let byte = u8::from_str_radix(digits, 16).ok()?;
    let length = text.len().saturating_sub(rest.len()).saturating_add(2);
    let whole = text.get(..length)?;
    let unit = match byte.is_ascii_alphanumeric() {
        true => format!("{}78", whole.get(..length.saturating_sub(2))?),
        false => whole.to_owned(),
    };
    Some((unit, length))
}

fn is_hex(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
