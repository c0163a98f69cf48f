//! The words of a server that refuses, in whatever shape they come (TOK-12, TOK-14, TOK-90, REG-92).
//!
//! Decides which member of a body is its error code, which text is for a person, and whether the
//! words are a refusal or a passing trouble (REF-90). Refuses to decide what a refusal leads to.
//! The text is redacted, escaped and cut before it is kept: nobody acts on it (HOST-303, HOST-305).

use std::borrow::Cow;

use super::json::{List, Value};
use super::members::{Member, Named, members, read_members};
use super::redact::redacted;
use super::salvage::salvage;
use crate::failure::{LONGEST_SHOWN, escaped};
use crate::secret::Secret;

/// Words of a trouble that may pass, whatever the status they came with (REF-90).
const PASSING: [&str; 11] = [
    "temporarily_unavailable",
    "server_error",
    "slow_down",
    "service_unavailable",
    "internal_error",
    "internal_server_error",
    "ratelimited",
    "rate_limited",
    "too_many_requests",
    "use_dpop_nonce",
    "invalid_dpop_proof",
];

/// Most bytes of a body that are looked at for an excerpt.
const EXCERPT_OF: usize = 4 * 1024;
/// Most characters of an excerpt.
const LONGEST_EXCERPT: usize = 200;

/// The words of a body.
#[derive(Default)]
pub(super) struct Words {
    /// The text of `error`, as it came; never shown as it is.
    pub(super) error: Option<String>,
    /// The text for a person: redacted, escaped and cut.
    text: Option<String>,
    /// True if a JSON object said that there is an error.
    refuses: bool,
    /// True if one of its words stands for a trouble that may pass.
    passing: bool,
}

members! {
    /// The members in which servers say that something is wrong.
    Body {
        error,
        error_description,
        message,
        msg,
        detail,
        title,
        error_summary = "errorSummary",
        errors,
        ok,
        code,
        error_code,
        camel_code = "errorCode",
        kind = "type",
        status,
    }
}

impl Words {
    /// Reads a body. `secrets` are taken out of the text that is kept.
    pub(super) fn read(body: &[u8], secrets: &[&Secret]) -> Self {
        let whole = read_members(body, &Body::NAMES).ok();
        let first =
            || salvage(body, &Body::NAMES).filter(|found| found.whole).map(|found| found.members);
        match whole.or_else(first) {
            Some(members) => Self::of(&Body::of(&members), body, secrets),
            None => Self { text: excerpt(body, secrets), ..Self::default() },
        }
    }

    fn of(found: &Body<'_>, body: &[u8], secrets: &[&Secret]) -> Self {
        let said = filled(found.error);
        let error = said.and_then(Value::text);
        let texts = [found.msg, found.detail, found.title, found.error_summary, found.errors];
        let spoken = [filled(found.error_description), filled(found.message)]
            .into_iter()
            .chain([said.filter(|_| error.is_none())])
            .chain(texts.map(filled))
            .flatten()
            .find_map(|value| words(value, 0));
        let refused = found.ok.value == Some(Value::Bool(false));
        let refuses = refused || said.is_some() || spoken.is_some();
        let codes = [found.code, found.error_code, found.camel_code, found.kind, found.status];
        let mut codes = codes.map(filled).into_iter().chain([said]).flatten();
        let passing = codes.any(is_passing)
            || [said, filled(found.errors)]
                .into_iter()
                .flatten()
                .any(|it| inner(it).any(is_passing));
        let known = spoken.is_some() || error.is_some();
        let text = match spoken {
            Some(text) => Some(shown(text, secrets)),
            None if known => None,
            None => excerpt(body, secrets),
        };
        Self { error: error.map(Cow::into_owned), text, refuses, passing }
    }

    /// Returns true if an object says that there is an error, and none that may pass (REF-90).
    pub(super) fn definite(&self) -> bool {
        self.refuses && !self.passing
    }

    /// Returns true if an object says that there is an error, of any kind.
    pub(super) fn refuses(&self) -> bool {
        self.refuses
    }

    /// The text to show. A code that is not a registered one stands before it (HOST-218).
    pub(super) fn description(self, registered: bool, secrets: &[&Secret]) -> Option<String> {
        let Some(code) = self.error.filter(|error| !registered && !error.is_empty()) else {
            return self.text;
        };
        let code = shown(Cow::Owned(code), secrets);
        Some(match self.text {
            Some(text) => cut(&format!("{code}: {text}"), LONGEST_SHOWN).to_owned(),
            None => code,
        })
    }
}

fn filled(member: Member<'_>) -> Option<Value<'_>> {
    member.value.filter(|value| !is_blank(*value))
}

/// Returns true for `""` and `false`: some servers send such an `error` beside their tokens.
pub(super) fn is_blank(value: Value<'_>) -> bool {
    match value {
        Value::Bool(whether) => !whether,
        Value::Text(text) => text.read().is_empty(),
        _ => false,
    }
}

/// The text of a value: the value itself, the one inside an object, or that of a list's first
/// element.
fn words(value: Value<'_>, depth: u8) -> Option<Cow<'_, str>> {
    const WORDS: [&str; 7] =
        ["message", "error_description", "description", "msg", "detail", "title", "error"];
    match value {
        Value::Text(text) => Some(text.read()).filter(|text| !text.is_empty()),
        Value::Object(raw) if depth < 2 => {
            let members = read_members(raw.as_bytes(), &WORDS).ok()?;
            let mut values = members.each(&WORDS).into_iter().filter_map(|member| member.value);
            values.find_map(|value| words(value, depth.saturating_add(1)))
        }
        Value::List(list) if depth < 2 => {
            list.iter().next().and_then(|value| words(value, depth.saturating_add(1)))
        }
        _ => None,
    }
}

/// The words inside an object that say of what kind an error is.
fn inner(value: Value<'_>) -> impl Iterator<Item = Value<'_>> {
    const KINDS: [&str; 5] = ["code", "type", "status", "error", "errorCode"];
    let object = match value {
        Value::Object(raw) => Some(raw),
        Value::List(list) => first(list),
        _ => None,
    };
    let members = object.and_then(|raw| read_members(raw.as_bytes(), &KINDS).ok());
    let members = members.map(|members| members.each(&KINDS));
    members.into_iter().flatten().filter_map(|member| member.value)
}

fn first(list: List<'_>) -> Option<&str> {
    match list.iter().next() {
        Some(Value::Object(raw)) => Some(raw),
        _ => None,
    }
}

fn is_passing(value: Value<'_>) -> bool {
    value.text().is_some_and(|word| PASSING.iter().any(|known| word.eq_ignore_ascii_case(known)))
}

fn shown(text: Cow<'_, str>, secrets: &[&Secret]) -> String {
    escaped(&redacted(text, secrets))
}

/// The first words of a body of unknown shape, without markup and on one line (TOK-14). A body with
/// a member or field for a secret in it is not quoted at all.
fn excerpt(body: &[u8], secrets: &[&Secret]) -> Option<String> {
    let body = body.get(..body.len().min(EXCERPT_OF)).unwrap_or_default();
    let text = String::from_utf8_lossy(body);
    let quoted = |name: &&str| {
        ["\"", "=", "'", "\\\""].iter().any(|end| text.contains(&[name, *end].concat()))
    };
    if ["_token", "_secret", "_assertion", "password"].iter().any(quoted) {
        return None;
    }
    let plain = without_markup(&text);
    let line = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = redacted(line, secrets);
    let shown = cut(&escaped(&line), LONGEST_EXCERPT).to_owned();
    Some(shown).filter(|shown| !shown.is_empty())
}

/// The text between tags, without scripts and styles.
fn without_markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        out.push_str(before);
        if !tag.starts_with(|first: char| first.is_ascii_alphabetic() || "/!?".contains(first)) {
            out.push('<');
            rest = tag;
            continue;
        }
        out.push(' ');
        rest = tag.split_once('>').map_or("", |(_, rest)| rest);
        for name in ["script", "style"] {
            if begins(tag, name) {
                let end = ["</", name].concat();
                let at = rest.to_ascii_lowercase().find(&end);
                rest = at.and_then(|at| rest.get(at..)).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

fn begins(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// At most so many characters of an escaped text.
fn cut(text: &str, most: usize) -> &str {
    text.get(..most).unwrap_or(text)
}

#[cfg(test)]
mod tests;
