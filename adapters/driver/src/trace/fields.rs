//! Header fields, challenges and callbacks, and the rules that their parts have in common.

use super::mapping::Mapping;
use super::names::{Rule, UNKNOWN, rule_of, rule_of_header};
use super::url::push_odd;
use super::words::{OPERATIONS, is_word};

impl Mapping {
    /// A text, as the rule of its member says.
    pub(super) fn by_rule(&mut self, rule: Rule, text: &str) -> String {
        match rule {
            Rule::Hidden(kind) => self.value(kind, text),
            Rule::Words => self.words(text),
            Rule::Url => self.url(text),
            Rule::Host => self.place(text),
            Rule::Operation => self.operation(text),
            Rule::Scope => {
                let scopes = text.split(' ').map(|scope| self.scope(scope));
                scopes.collect::<Vec<_>>().join(" ")
            }
            Rule::Word(_) if text.split(' ').all(|part| part.is_empty() || is_word(part)) => {
                text.to_owned()
            }
            Rule::Word(kind) => self.value(kind, text),
            Rule::Account if text == "default" => text.to_owned(),
            Rule::Account => self.hide("account", text),
            Rule::Number if is_of_numbers(text) => text.to_owned(),
            Rule::Number | Rule::Inner => self.value("x", text),
        }
    }

    fn scope(&mut self, scope: &str) -> String {
        match scope {
            "openid" | "offline_access" => scope.to_owned(),
            _ => self.value("scope", scope),
        }
    }

    /// The name of an operation: a method of MCP and the name of a tool, a prompt or a resource.
    pub(super) fn operation(&mut self, text: &str) -> String {
        let known = |word: &str| OPERATIONS.iter().any(|it| it.eq_ignore_ascii_case(word));
        match text.split_once(' ') {
            _ if known(text) => text.to_owned(),
            Some((method, name)) if known(method) => {
                [method, &self.hide("operation", name)].join(" ")
            }
            _ => self.hide("operation", text),
        }
    }

    /// A header field.
    pub(super) fn field(&mut self, name: &str, value: &[u8]) -> (String, Vec<u8>) {
        let Ok(text) = core::str::from_utf8(value) else {
            let name = rule_of_header(name).map_or_else(|| self.hide("x", name), |_| name.into());
            // It stays a field that is no text.
            let hidden = self.hide("x", &String::from_utf8_lossy(value));
            let plain = hidden.replace(char::REPLACEMENT_CHARACTER, "");
            return (name, [plain.as_bytes(), &[0xFF]].concat());
        };
        let made = match (name, rule_of_header(name)) {
            ("www-authenticate", _) => self.challenge(text),
            (_, Some(Rule::Word(_))) => self.words(text),
            (_, Some(Rule::Number)) if is_of_numbers(text) => text.to_owned(),
            (_, Some(rule)) => self.by_rule(rule, text),
            (_, None) => return (self.hide("x", name), self.hide("x", text).into_bytes()),
        };
        (name.to_owned(), made.into_bytes())
    }

    /// The value of a `WWW-Authenticate` field, piece by piece. What is malformed stays so.
    pub(super) fn challenge(&mut self, text: &str) -> String {
        let mut made = String::with_capacity(text.len());
        let mut rest = text;
        let mut named = None;
        while let Some(next) = rest.chars().next() {
            if next == '"' {
                let (quoted, after) = self.quoted(named.take().unwrap_or(UNKNOWN), rest);
                made.push_str(&quoted);
                rest = after;
            } else if let Some(rule) = named.take_if(|_| !matches!(next, ' ' | '\t')) {
                let end = rest.find([' ', '\t', ',', '"']).unwrap_or(rest.len());
                let (value, after) = rest.split_at_checked(end).unwrap_or_default();
                made.push_str(&self.by_rule(rule, value));
                rest = after;
            } else if is_of_token(next) {
                let end = rest.find(|inner| !is_of_token(inner)).unwrap_or(rest.len());
                let (token, after) = rest.split_at_checked(end).unwrap_or_default();
                let is_name = after.trim_start_matches([' ', '\t']).starts_with('=');
                made.push_str(&self.token(token, is_name));
                if is_name {
                    let value = after.split_once('=').unwrap_or_default();
                    made.push_str(value.0);
                    made.push('=');
                    named = Some(rule_of(&token.to_ascii_lowercase()).unwrap_or(UNKNOWN));
                    rest = value.1;
                } else {
                    rest = after;
                }
            } else {
                push_odd(&mut made, next);
                rest = rest.get(next.len_utf8()..).unwrap_or_default();
            }
        }
        made
    }

    /// A scheme or a parameter's name.
    fn token(&mut self, token: &str, is_name: bool) -> String {
        let lower = token.to_ascii_lowercase();
        let known = if is_name { rule_of(&lower).is_some() } else { is_word(token) };
        if known { token.to_owned() } else { self.hide("x", token) }
    }

    /// A quoted string, and the text behind it. Without a second quote all that is left is hidden.
    fn quoted<'a>(&mut self, rule: Rule, text: &'a str) -> (String, &'a str) {
        let inner = text.get(1..).unwrap_or_default();
        let mut plain = String::new();
        let mut characters = inner.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    let made = self.by_rule(rule, &plain);
                    let made = made.replace('\\', "\\\\").replace('"', "\\\"");
                    let after = inner.get(at.saturating_add(1)..).unwrap_or_default();
                    return (format!("\"{made}\""), after);
                }
                '\\' => plain.extend(characters.next().map(|(_, escaped)| escaped)),
                other => plain.push(other),
            }
        }
        (format!("\"{}", self.words(inner)), "")
    }

    /// A callback: a URL or a query, with whatever is around it.
    pub(super) fn callback(&mut self, text: &str) -> String {
        let (text, fragment) = match text.split_once('#') {
            Some((text, fragment)) => (text, format!("#{}", self.words(fragment))),
            None => (text, String::new()),
        };
        let mark = text.trim_start().find(['?', '=', '&', ':', '/']);
        let at = mark.and_then(|at| text.trim_start().as_bytes().get(at));
        let made = match (at, text.split_once('?')) {
            (Some(b'?' | b':' | b'/'), Some((before, query))) => {
                [self.url(before), self.query(query)].join("?")
            }
            (Some(b'?' | b':' | b'/'), None) => self.url(text),
            _ => self.query(text),
        };
        [made, fragment].concat()
    }
}

fn is_of_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)
}

/// Returns true for a number, a date or a revision.
fn is_of_numbers(text: &str) -> bool {
    let words = text.split(|character: char| !character.is_ascii_alphabetic());
    words.filter(|word| !word.is_empty()).all(|word| word.len() <= 3 && is_word(word))
        && text.chars().all(|it| it.is_ascii_alphanumeric() || " :,.-+".contains(it))
}
