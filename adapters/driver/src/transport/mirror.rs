//! Tool parameters that the modern revision mirrors in headers (TRANS-12, TRANS-13).

use std::collections::{BTreeMap, HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use serde_json::Value;

/// How deep a schema is looked into.
const DEEPEST: usize = 32;
/// Tools that are remembered; the annotations of others are learned when the server misses them.
const MOST_TOOLS: usize = 4096;
/// The longest name that is remembered.
const LONGEST_NAME: usize = 1024;

/// A tool that was taken off the list because its annotations break the rules (TRANS-13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedTool {
    /// Its name.
    pub name: String,
    /// The fault of its annotations.
    pub reason: &'static str,
}

/// One parameter and the header that mirrors it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mirrored {
    header: HeaderName,
    path: Vec<String>,
}

/// The tools that the lists named so far.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    known: HashMap<String, Vec<Mirrored>>,
    dropped: BTreeMap<String, &'static str>,
}

impl Tools {
    /// Reads the result of one `tools/list` and takes those tools off it that must not be used.
    pub(crate) fn learn(&mut self, result: &mut Value) {
        let Some(tools) = result.get_mut("tools").and_then(Value::as_array_mut) else { return };
        tools.retain(|tool| {
            let Some(name) = tool.get("name").and_then(Value::as_str) else { return true };
            self.dropped.remove(name);
            let short = name.len() <= LONGEST_NAME;
            match annotations(tool.get("inputSchema").unwrap_or(&Value::Null)) {
                Ok(mirrored) => {
                    let room = self.known.len() < MOST_TOOLS || self.known.contains_key(name);
                    if short && room {
                        self.known.insert(name.to_owned(), mirrored);
                    }
                    true
                }
                Err(reason) => {
                    self.known.remove(name);
                    if short && self.dropped.len() < MOST_TOOLS {
                        self.dropped.insert(name.to_owned(), reason);
                    }
                    false
                }
            }
        });
    }

    /// The tools that were taken off.
    pub(crate) fn dropped(&self) -> Vec<DroppedTool> {
        let dropped =
            |(name, reason): (&String, &&'static str)| DroppedTool { name: name.clone(), reason };
        self.dropped.iter().map(dropped).collect()
    }

    /// The headers of one call.
    pub(crate) fn headers(&self, params: &Value) -> Vec<(HeaderName, HeaderValue)> {
        let name = params.get("name").and_then(Value::as_str).unwrap_or_default();
        let mirrored = self.known.get(name).map(Vec::as_slice).unwrap_or_default();
        let value = |mirrored: &Mirrored| {
            let begin = params.get("arguments")?;
            let value = mirrored.path.iter().try_fold(begin, |at, step| at.get(step))?;
            Some((mirrored.header.clone(), written(value)?))
        };
        mirrored.iter().filter_map(value).collect()
    }
}

fn written(value: &Value) -> Option<HeaderValue> {
    match value {
        Value::String(text) => spelled(text),
        Value::Bool(truth) => Some(HeaderValue::from_static(if *truth { "true" } else { "false" })),
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            HeaderValue::from_str(&number.to_string()).ok()
        }
        // A whole number may be written with a fraction of nothing.
        Value::Number(number) => {
            let whole = number.as_f64().filter(|value| value.fract() == 0.0)?;
            HeaderValue::from_str(&format!("{whole:.0}")).ok()
        }
        _ => None,
    }
}

/// A header value for any text: as it is if it is plain, else in the base64 wrapping.
pub(crate) fn spelled(text: &str) -> Option<HeaderValue> {
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && text.trim() == text
        && !(text.starts_with("=?base64?") && text.ends_with("?="));
    if plain {
        return HeaderValue::from_str(text).ok();
    }
    HeaderValue::from_str(&format!("=?base64?{}?=", STANDARD.encode(text))).ok()
}

/// The annotated parameters of a schema.
fn annotations(schema: &Value) -> Result<Vec<Mirrored>, &'static str> {
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    walk(schema, &mut Some(Vec::new()), &mut |annotation, path, parameter| {
        let name = annotation.as_str().ok_or("an annotation is no text")?;
        let path = path.ok_or("an annotation stands where no parameter is")?;
        if !matches!(parameter.as_str(), Some("string" | "integer" | "boolean")) {
            return Err("an annotated parameter is no string, integer or boolean");
        }
        let header = (!name.is_empty())
            .then(|| HeaderName::from_bytes(format!("mcp-param-{name}").as_bytes()).ok())
            .flatten()
            .ok_or("an annotation cannot be a header name")?;
        if !seen.insert(header.clone()) {
            return Err("two parameters share a header");
        }
        found.push(Mirrored { header, path: path.to_vec() });
        Ok(())
    })?;
    Ok(found)
}

type Visit<'a> = dyn FnMut(&Value, Option<&[String]>, &Value) -> Result<(), &'static str> + 'a;

/// Shows every annotation with its path, which it has only below `properties` all the way.
fn walk(
    schema: &Value,
    path: &mut Option<Vec<String>>,
    visit: &mut Visit<'_>,
) -> Result<(), &'static str> {
    let depth = path.as_ref().map_or(0, Vec::len);
    if depth > DEEPEST {
        return Err("the schema is nested too deeply");
    }
    match schema {
        Value::Object(members) => {
            if let Some(annotation) = members.get("x-mcp-header") {
                // The schema as a whole is no parameter.
                let place = path.as_deref().filter(|path| !path.is_empty());
                visit(annotation, place, members.get("type").unwrap_or(&Value::Null))?;
            }
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("properties", Value::Object(parameters)) => {
                        for (parameter, schema) in parameters {
                            let mut below = path.clone().map(|mut path| {
                                path.push(parameter.clone());
                                path
                            });
                            walk(schema, &mut below, visit)?;
                        }
                    }
                    // The members of these are data, in which the name means nothing.
                    ("default" | "const" | "enum" | "examples" | "x-mcp-header", _) => {}
                    _ => walk(member, &mut None, visit)?,
                }
            }
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(|item| walk(item, &mut None, visit)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(properties: Value) -> (Tools, Value) {
        let schema = json!({"type": "object", "properties": properties});
        let mut result = json!({"tools": [{"name": "t", "inputSchema": schema}]});
        let mut tools = Tools::default();
        tools.learn(&mut result);
        (tools, result)
    }

    #[test]
    fn header_values_are_plain_or_wrapped_trans_12() {
        for (text, value) in [
            ("whoami", "whoami"),
            ("a b", "a b"),
            ("", ""),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("Zürich", "=?base64?WsO8cmljaA==?="),
            ("=?base64?eA==?=", "=?base64?PT9iYXNlNjQ/ZUE9PT89?="),
            ("a\r\nb", "=?base64?YQ0KYg==?="),
        ] {
            assert_eq!(spelled(text).unwrap(), value, "{text:?}");
        }
    }

    #[test]
    fn annotated_arguments_are_mirrored_trans_13() {
        let (tools, _) = listed(json!({
            "region": {"type": "string", "x-mcp-header": "Region"},
            "sure": {"type": "boolean", "x-mcp-header": "Sure"},
            "options": {"type": "object", "properties": {
                "limit": {"type": "integer", "x-mcp-header": "Limit"},
            }},
            "plain": {"type": "string"},
        }));
        let of = |arguments: Value| {
            let params = json!({"name": "t", "arguments": arguments});
            let mut headers: Vec<_> = tools.headers(&params).into_iter().collect();
            headers.sort_by_key(|(name, _)| name.as_str().to_owned());
            headers
                .into_iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect::<Vec<_>>()
        };
        let all =
            json!({"region": "Zürich", "sure": false, "options": {"limit": -7}, "plain": "x"});
        assert_eq!(
            of(all),
            [
                "mcp-param-limit: -7",
                "mcp-param-region: =?base64?WsO8cmljaA==?=",
                "mcp-param-sure: false"
            ]
        );
        assert_eq!(of(json!({"options": {"limit": 3.0}})), ["mcp-param-limit: 3"]);
        for none in [json!({}), json!({"region": null, "options": 7}), json!(null), json!([1])] {
            assert!(of(none).is_empty());
        }
        assert!(tools.headers(&json!({"name": "other", "arguments": {"region": "x"}})).is_empty());
    }

    #[test]
    fn tools_with_invalid_annotations_are_dropped_and_named_trans_13() {
        let text = |name: Value| json!({"type": "string", "x-mcp-header": name});
        for bad in [
            json!({"a": text(json!(""))}),
            json!({"a": text(json!("two words"))}),
            json!({"a": text(json!("Zürich"))}),
            json!({"a": text(json!("a:b"))}),
            json!({"a": text(json!(7))}),
            json!({"a": text(json!("Same")), "b": text(json!("sAME"))}),
            json!({"a": {"type": "number", "x-mcp-header": "N"}}),
            json!({"a": {"type": "object", "x-mcp-header": "O"}}),
            json!({"a": {"x-mcp-header": "None"}}),
            json!({"a": {"type": "array", "items": text(json!("Item"))}}),
            json!({"a": {"oneOf": [text(json!("One"))]}}),
        ] {
            let (tools, result) = listed(bad.clone());
            assert_eq!(result["tools"], json!([]), "{bad}");
            assert_eq!(tools.dropped().first().unwrap().name, "t", "{bad}");
        }
        let (tools, result) = listed(json!({"a": {"type": "string", "default": text(json!(7))}}));
        assert_eq!(result["tools"].as_array().unwrap().len(), 1, "data is no annotation");
        assert!(tools.dropped().is_empty());
    }

    #[test]
    fn a_tool_that_is_mended_comes_back() {
        let (mut tools, _) = listed(json!({"a": {"type": "number", "x-mcp-header": "N"}}));
        let mut mended =
            json!({"tools": [{"name": "t", "inputSchema": {}}, {"title": "nameless"}]});
        tools.learn(&mut mended);
        assert!(tools.dropped().is_empty());
        assert_eq!(mended["tools"].as_array().unwrap().len(), 2);
    }
}
