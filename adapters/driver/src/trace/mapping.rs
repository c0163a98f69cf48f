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
        let made = match self.echoed(text) {
            Some((before, secret, after)) => {
                [self.hide(kind, &before), secret, self.hide(kind, &after)].concat()
            }
            None => shaped(&self.next(kind), text),
        };
        self.keep(kind, text, &made);
        made
    }

    /// The first secret that a text has in it, and what stands around it.
    fn echoed(&self, text: &str) -> Option<(String, String, String)> {
        let split = |text: &str| {
            self.secrets.iter().find_map(|(real, placeholder)| {
                let (before, after) = text.split_once(real)?;
                Some((before.to_owned(), placeholder.clone(), after.to_owned()))
            })
        };
        let behind_escapes = || {
            let (before, placeholder, after) = split(&decoded(text)?)?;
            Some((before, placeholder.replace('-', "%2D"), after))
        };
        split(text).or_else(|| text.contains('%').then(behind_escapes)?)
    }

    fn next(&mut self, kind: &'static str) -> String {
        let count = self.counts.entry(kind).or_default();
        *count = count.saturating_add(1);
        format!("{kind}-{count}")
    }

    fn keep(&mut self, kind: &'static str, real: &str, placeholder: &str) {
        if SECRETS.contains(&kind) && real.len() >= SHORT {
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

/// The odd character itself; nothing for a letter, a digit and what may stand in any URL.
fn odd_character(character: char) -> String {
    match character {
        '.' | '_' | '~' | '-' => String::new(),
        plain if plain.is_ascii_alphanumeric() => String::new(),
        foreign if foreign.is_alphanumeric() => "\u{e9}".to_owned(),
        odd => odd.to_string(),
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
