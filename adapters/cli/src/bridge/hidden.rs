//! Tools that the host is not to see (`--ignore-tool`).

use serde_json::Value;

/// Patterns of names, without regard to case; `*` stands for any characters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hidden(Vec<String>);

impl Hidden {
    pub(crate) fn new(patterns: &[String]) -> Self {
        Self(patterns.iter().map(|pattern| pattern.to_lowercase()).collect())
    }

    /// Returns true if a tool of this name is hidden.
    pub(crate) fn has(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.0.iter().any(|pattern| matches(pattern, &name))
    }

    /// Takes them off a list.
    pub(crate) fn take_off(&self, result: &mut Value) {
        if let Some(tools) = result.get_mut("tools").and_then(Value::as_array_mut) {
            tools.retain(|tool| {
                !tool.get("name").and_then(Value::as_str).is_some_and(|name| self.has(name))
            });
        }
    }
}

/// Finds each part of the pattern after the one before it, the last one at the end.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(first) else { return false };
    let mut parts = rest.split('*').collect::<Vec<_>>();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = left.split_once(part) else { return false };
        left = after;
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn stars_stand_for_anything_and_case_for_nothing() {
        for (pattern, name, is_hidden) in [
            ("delete", "delete", true),
            ("delete", "delete_all", false),
            ("delete*", "Delete_All", true),
            ("*account", "delete_account", true),
            ("*account", "account_delete", false),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("**", "", true),
            ("*", "anything", true),
            ("a.c", "abc", false),
        ] {
            assert_eq!(Hidden::new(&[pattern.to_owned()]).has(name), is_hidden, "{pattern} {name}");
        }
        let mut list = json!({"tools": [{"name": "echo"}, {"name": "admin"}, {}], "x": 1});
        Hidden::new(&["ADM*".to_owned()]).take_off(&mut list);
        assert_eq!(list, json!({"tools": [{"name": "echo"}, {}], "x": 1}));
    }
}
