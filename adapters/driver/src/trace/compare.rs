//! The effects of both cores side by side: they must be the same but for the placeholders, and where
//! both have drawn something random, each value is learnt as the other's.

use serde_json::Value;

use super::forms::decoded;
use super::mapping::Mapping;
use super::names::{Rule, UNKNOWN, rule_of};

/// Values that a core makes of random bytes.
const DRAWN: [(&str, &str); 6] = [
    ("state", "state"),
    ("code_challenge", "challenge"),
    ("code_verifier", "verifier"),
    ("challenge", "challenge"),
    ("verifier", "verifier"),
    ("login", "login"),
];

/// Numbers that a core draws.
const NUMBERS: [&str; 2] = ["ticket", "holder"];

/// The place where two effects differ.
pub(super) type Place = String;

impl Mapping {
    /// Compares the effects of the core with those of its shadow.
    pub(super) fn compare(&mut self, real: &Value, shadow: &Value) -> Result<(), Place> {
        self.pair("", real, shadow)
    }

    fn pair(&mut self, name: &str, real: &Value, shadow: &Value) -> Result<(), Place> {
        let here = || Err(String::new());
        match (real, shadow) {
            (Value::Object(one), Value::Object(other)) => {
                if one.len() != other.len() {
                    return here();
                }
                for (name, value) in one {
                    let hidden = || other.get(&self.hide("member", name));
                    let Some(beside) = other.get(name).or_else(hidden) else {
                        return Err(name.clone());
                    };
                    self.pair(name, value, beside).map_err(|place| joined(name, &place))?;
                }
                Ok(())
            }
            (Value::Array(one), Value::Array(other)) => {
                if one.len() != other.len() {
                    return here();
                }
                // A header field is a pair of its name and its value.
                let field = match one.as_slice() {
                    [Value::String(field), _] if name == "headers" => field.as_str(),
                    _ => name,
                };
                for (at, (value, beside)) in one.iter().zip(other).enumerate() {
                    self.pair(field, value, beside)
                        .map_err(|place| joined(&at.to_string(), &place))?;
                }
                Ok(())
            }
            (Value::String(one), Value::String(other)) => {
                if one == other || self.agrees(name, one, other) { Ok(()) } else { here() }
            }
            (Value::Number(one), Value::Number(other)) if NUMBERS.contains(&name) => {
                if let (Some(one), Some(other)) = (one.as_u64(), other.as_u64()) {
                    self.learn_ticket(one, other);
                }
                Ok(())
            }
            _ if real == shadow => Ok(()),
            _ => here(),
        }
    }

    /// Returns true if one text stands for the other.
    fn agrees(&mut self, name: &str, real: &str, shadow: &str) -> bool {
        match name {
            // A sentence may be cut anywhere.
            "text" => return true,
            // It is made of texts that are compared elsewhere.
            "authorization" => return first_word(real) == first_word(shadow),
            "url" if real.contains('?') => return self.agree_as_urls(real, shadow),
            "body" => return self.agree_as_bodies(real, shadow),
            "names" | "words" => {
                let any = [Rule::Url, Rule::Host, Rule::Account, UNKNOWN];
                return any.into_iter().any(|rule| self.by_rule(rule, real) == shadow);
            }
            _ => {}
        }
        if let Some((_, kind)) = DRAWN.iter().find(|(drawn, _)| *drawn == name)
            // A shadow that was taken up from a snapshot has a verifier that nobody has drawn.
            && (!self.knows(real) || matches!(*kind, "challenge" | "verifier"))
        {
            self.learn(kind, real, shadow);
            return true;
        }
        self.by_rule(rule_of(name).unwrap_or(UNKNOWN), real) == shadow
    }

    fn agree_as_urls(&mut self, real: &str, shadow: &str) -> bool {
        let (Some((one, query)), Some((other, beside))) =
            (real.split_once('?'), shadow.split_once('?'))
        else {
            return false;
        };
        self.url(one) == other && self.agree_as_forms(query, beside)
    }

    fn agree_as_forms(&mut self, real: &str, shadow: &str) -> bool {
        let count = |text: &str| text.split('&').count();
        count(real) == count(shadow)
            && real.split('&').zip(shadow.split('&')).all(|(one, other)| {
                let (name, value) = one.split_once('=').unwrap_or((one, ""));
                let (named, beside) = other.split_once('=').unwrap_or((other, ""));
                let same = name == named || self.query(name) == named;
                let (Some(value), Some(beside)) = (decoded(value), decoded(beside)) else {
                    return false;
                };
                same && (value == beside || self.agrees(name, &value, &beside))
            })
    }

    fn agree_as_bodies(&mut self, real: &str, shadow: &str) -> bool {
        let read = |text: &str| serde_json::from_str::<Value>(text);
        match (read(real), read(shadow)) {
            (Ok(one), Ok(other)) => self.pair("", &one, &other).is_ok(),
            _ => self.agree_as_forms(real, shadow),
        }
    }
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

fn joined(name: &str, rest: &str) -> Place {
    if rest.is_empty() { name.to_owned() } else { format!("{name}.{rest}") }
}
