//! A snapshot, with placeholders.

use serde_json::{Map, Value};

use super::mapping::Mapping;
use super::names::{Rule, UNKNOWN, rule_of};
use super::parts::{is_part, is_state};
use super::words::is_word;

impl Mapping {
    /// A whole snapshot. Its names are ours, and so are the words by which it names states.
    pub(super) fn snapshot(&mut self, snapshot: Value) -> Value {
        self.part("", snapshot)
    }

    fn part(&mut self, name: &str, value: Value) -> Value {
        let known = rule_of(name).is_some() || is_part(name);
        match value {
            Value::Object(members) if is_key(&members) => self.key(members).into(),
            Value::Object(members) => {
                let part = |(name, value): (String, Value)| {
                    let value = self.part(&name, value);
                    let known = rule_of(&name).is_some() || is_part(&name);
                    (if known { name } else { self.hide("member", &name) }, value)
                };
                Value::Object(members.into_iter().map(part).collect())
            }
            Value::Array(list) => {
                Value::Array(list.into_iter().map(|value| self.part(name, value)).collect())
            }
            // The same name is that of a state here, and of a text there.
            Value::String(text)
                if (is_state(&text) && matches!(name, "state" | "host"))
                    || (known
                        && rule_of(name).is_none()
                        && (is_state(&text) || is_word(&text))) =>
            {
                text.into()
            }
            Value::String(text) => self.by_rule(rule_of(name).unwrap_or(UNKNOWN), &text).into(),
            Value::Number(number) if name == "spent" => {
                number.as_u64().map_or(Value::Number(number), |mark| self.spent(mark).into())
            }
            // It belongs to a newer program, and nobody here knows what it is.
            Value::Number(_) if !known && !name.is_empty() => 1.into(),
            other => other,
        }
    }

    /// The key of a record: a list of the texts that the record belongs to.
    fn key(&mut self, mut key: Map<String, Value>) -> Map<String, Value> {
        let rules = match key.get("kind").and_then(Value::as_str) {
            Some("Binding") => [Rule::Url, Rule::Account, UNKNOWN, UNKNOWN],
            Some("Client") => [Rule::Url, Rule::Url, UNKNOWN, UNKNOWN],
            _ => [Rule::Url, Rule::Url, UNKNOWN, Rule::Account],
        };
        let names = key.get("name").and_then(Value::as_str).unwrap_or_default();
        let names: Vec<String> = serde_json::from_str(names).unwrap_or_default();
        let names = names.iter().zip(rules).map(|(name, rule)| self.by_rule(rule, name));
        let names = serde_json::to_string(&names.collect::<Vec<_>>()).unwrap_or_default();
        key.insert("name".to_owned(), names.into());
        key
    }
}

fn is_key(members: &Map<String, Value>) -> bool {
    members.len() == 2 && members.contains_key("kind") && members.contains_key("name")
}
