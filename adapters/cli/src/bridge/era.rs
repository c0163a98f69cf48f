//! What the revisions say differently: pure translations between a host of one era and a server of
//! another.
//!
//! The legacy revisions begin with `initialize` and let a server make requests at any time. Since
//! 2026-07-28 every request describes its client, and a server that needs something from it answers
//! `input_required`; the client asks again with the answers.

use serde_json::{Map, Value, json};

use crate::bridge::message::{self, PARAMS};

/// The revisions that begin with `initialize`, newest first.
pub(crate) const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// The first revision without it.
pub(crate) const MODERN: &str = "2026-07-28";

pub(crate) const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
pub(crate) const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
pub(crate) const META_INFO: &str = "io.modelcontextprotocol/clientInfo";
const META_SERVER: &str = "io.modelcontextprotocol/serverInfo";
const META_LOG: &str = "io.modelcontextprotocol/logLevel";
const META_SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// Requests of a server that are taken from one result. A host has a person to ask for each.
const MOST_INPUTS: usize = 64;

/// How a host describes itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Host {
    /// The revision that it asks for.
    pub(crate) version: Option<String>,
    pub(crate) capabilities: Value,
    pub(crate) info: Value,
}

impl Host {
    /// The host of an `initialize`.
    pub(crate) fn initializing(params: &Value) -> Result<Self, Value> {
        let version = params.get("protocolVersion").and_then(Value::as_str);
        let version = version.ok_or_else(|| {
            message::error(PARAMS, "initialize names a protocolVersion, as 2025-11-25", None)
        })?;
        Ok(Self::of(params, Some(version), "capabilities", "clientInfo"))
    }

    /// The host of a request that describes its client, if it does.
    pub(crate) fn asking(params: &Value) -> Option<Self> {
        let meta = params.get("_meta")?;
        let version = meta.get(META_VERSION)?.as_str()?;
        Some(Self::of(meta, Some(version), META_CAPABILITIES, META_INFO))
    }

    fn of(object: &Value, version: Option<&str>, capabilities: &str, info: &str) -> Self {
        let member = |name: &str| object.get(name).filter(|member| member.is_object()).cloned();
        let unnamed = || json!({"name": "unnamed", "version": "0"});
        Self {
            version: version.map(str::to_owned),
            capabilities: member(capabilities).unwrap_or_else(|| json!({})),
            info: member(info).unwrap_or_else(unnamed),
        }
    }

    /// The legacy revision that is spoken with this host: its own, if that is known.
    pub(crate) fn agreed(&self) -> &'static str {
        let known = LEGACY.into_iter().find(|known| self.version.as_deref() == Some(known));
        known.unwrap_or(LEGACY[0])
    }
}

/// The answer to `initialize`, out of what the server says about itself: of `initialize` or of
/// `server/discover`, or null. A host hears of the server, never of the bridge.
pub(crate) fn initialized(server: &Value, url: &str, modern: bool, version: &str) -> Value {
    let mut result = server.as_object().cloned().unwrap_or_default();
    if modern {
        for member in ["resultType", "supportedVersions", "ttlMs", "cacheScope"] {
            result.remove(member);
        }
        let named = result.get("_meta").and_then(|meta| meta.get(META_SERVER)).cloned();
        let named = named.filter(Value::is_object);
        result.insert("serverInfo".to_owned(), named.unwrap_or_else(|| unnamed(url)));
    }
    result.insert("protocolVersion".to_owned(), json!(version));
    // A server that cannot be discovered may offer anything.
    let anything = || json!({"tools": {}, "prompts": {}, "resources": {}});
    result.entry("capabilities").or_insert_with(anything);
    result.entry("serverInfo").or_insert_with(|| unnamed(url));
    Value::Object(result)
}

/// A server of which no more is known than its URL.
fn unnamed(url: &str) -> Value {
    json!({"name": url, "version": "unknown"})
}

/// The answer to `initialize` while a login waits for its person: lists that are empty and will
/// change.
pub(crate) fn awaiting(url: &str, version: &str, instructions: &str) -> Value {
    let changes = json!({"listChanged": true});
    json!({
        "protocolVersion": version,
        "capabilities": {"tools": changes, "prompts": changes, "resources": changes},
        "serverInfo": unnamed(url),
        "instructions": instructions,
    })
}

/// The lists that may change, each with the member that names its entries.
pub(crate) const LISTS: [(&str, &str); 4] = [
    ("tools/list", "tools"),
    ("prompts/list", "prompts"),
    ("resources/list", "resources"),
    ("resources/templates/list", "resourceTemplates"),
];

/// The empty answer to a request for a list.
pub(crate) fn empty_list(method: &str) -> Option<Value> {
    let (_, member) = LISTS.into_iter().find(|(list, _)| *list == method)?;
    Some(json!({ member: [] }))
}

/// The notifications that each list of such a server has changed; of all lists if `capabilities` is
/// null.
pub(crate) fn changes(capabilities: &Value) -> impl Iterator<Item = &'static str> {
    [
        ("tools", "notifications/tools/list_changed"),
        ("prompts", "notifications/prompts/list_changed"),
        ("resources", "notifications/resources/list_changed"),
    ]
    .into_iter()
    .filter(|(name, _)| {
        let said = capabilities.get(name).and_then(|it| it.get("listChanged"));
        capabilities.is_null() || said == Some(&Value::Bool(true))
    })
    .map(|(_, method)| method)
}

/// The filter of a `subscriptions/listen` that stands for what a legacy host is told unasked;
/// nothing if there is nothing to hear of.
pub(crate) fn filter(capabilities: &Value, resources: &[String]) -> Option<Value> {
    let mut filter = Map::new();
    for (name, member) in [
        ("tools", "toolsListChanged"),
        ("prompts", "promptsListChanged"),
        ("resources", "resourcesListChanged"),
    ] {
        let said = capabilities.get(name).and_then(|it| it.get("listChanged"));
        if said == Some(&Value::Bool(true)) {
            filter.insert(member.to_owned(), json!(true));
        }
    }
    if !resources.is_empty() {
        filter.insert("resourceSubscriptions".to_owned(), json!(resources));
    }
    (!filter.is_empty()).then(|| json!({ "notifications": filter }))
}

/// Parameters with the log level that a legacy host has set (2026-07-28 has it on each request).
pub(crate) fn with_log_level(mut params: Value, level: &Value) -> Value {
    if params.is_null() {
        params = json!({});
    }
    let meta = params.as_object_mut().map(|it| it.entry("_meta").or_insert_with(|| json!({})));
    if let Some(meta) = meta.and_then(Value::as_object_mut) {
        meta.entry(META_LOG).or_insert_with(|| level.clone());
    }
    params
}

/// Takes the mark of a subscription off a notification for a host that made none.
pub(crate) fn unsubscribed(mut params: Value) -> Value {
    if let Some(meta) = params.get_mut("_meta").and_then(Value::as_object_mut) {
        meta.remove(META_SUBSCRIPTION);
        if meta.is_empty()
            && let Some(params) = params.as_object_mut()
        {
            params.remove("_meta");
        }
    }
    params
}

/// Puts the host's own id for its subscription in place of the transport's.
pub(crate) fn resubscribed(mut object: Value, id: &Value) -> Value {
    if let Some(mark) = object.get_mut("_meta").and_then(|meta| meta.get_mut(META_SUBSCRIPTION)) {
        *mark = id.clone();
    }
    object
}

/// The meaning of a result of a modern server for a legacy host.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// It is the host's.
    Complete(Value),
    /// The server wants answers, and the request once more.
    Inputs(Inputs),
    /// It is nothing that this request can have as its result.
    Unusable(&'static str),
}

/// The requests in an `input_required` result.
#[derive(Debug, PartialEq)]
pub(crate) struct Inputs {
    pub(crate) requests: Vec<Input>,
    state: Option<Value>,
}

/// One request of a server, under the server's key for it.
#[derive(Debug, PartialEq)]
pub(crate) struct Input {
    pub(crate) key: String,
    pub(crate) method: String,
    pub(crate) params: Value,
}

/// Reads a result. What the revision adds to it is taken off, since a legacy host does not know it.
pub(crate) fn outcome(method: &str, mut result: Value) -> Outcome {
    let kind = result.as_object_mut().and_then(|members| members.remove("resultType"));
    match kind.as_ref().map(|kind| kind.as_str().unwrap_or_default()) {
        None | Some("complete") => Outcome::Complete(result),
        Some("input_required") => inputs(method, &mut result),
        Some(_) => Outcome::Unusable("the server's result is of a type that nobody declared"),
    }
}

fn inputs(method: &str, result: &mut Value) -> Outcome {
    if !matches!(method, "tools/call" | "prompts/get" | "resources/read") {
        return Outcome::Unusable("the server wants input for a request that takes none");
    }
    let state = result.get_mut("requestState").map(Value::take);
    let requests = match result.get_mut("inputRequests").map(Value::take) {
        Some(Value::Object(requests)) if requests.len() <= MOST_INPUTS => requests,
        None if state.is_some() => Map::new(),
        _ => return Outcome::Unusable("the server wants input and does not say which"),
    };
    let read = |(key, mut request): (String, Value)| {
        let method = request.get("method")?.as_str()?.to_owned();
        let known =
            matches!(&*method, "elicitation/create" | "sampling/createMessage" | "roots/list");
        let params = request.get_mut("params").map(Value::take).unwrap_or_default();
        known.then_some(Input { key, method, params })
    };
    match requests.into_iter().map(read).collect::<Option<Vec<Input>>>() {
        Some(requests) => Outcome::Inputs(Inputs { requests, state }),
        None => Outcome::Unusable("the server wants an input that the protocol does not know"),
    }
}

impl Inputs {
    /// The parameters of the request that repeats the first, with these answers.
    pub(crate) fn repeated(&self, params: &Value, answers: Map<String, Value>) -> Value {
        let mut params = params.as_object().cloned().unwrap_or_default();
        for (member, value) in [
            ("inputResponses", (!answers.is_empty()).then_some(Value::Object(answers))),
            ("requestState", self.state.clone()),
        ] {
            params.remove(member);
            params.extend(value.map(|value| (member.to_owned(), value)));
        }
        Value::Object(params)
    }
}

/// A request of a modern server as a legacy host takes it: since 2025-11-25 a page to visit has an id,
/// which 2026-07-28 took away again.
pub(crate) fn as_request(input: &Input, id: u64) -> Value {
    let mut params = input.params.clone();
    if input.method == "elicitation/create"
        && params.get("mode").is_some_and(|mode| mode == "url")
        && let Some(params) = params.as_object_mut()
    {
        params.entry("elicitationId").or_insert_with(|| json!(format!("input-{id}")));
    }
    params
}

/// The answer that stands for a host's error: a person who was not asked has cancelled. For other
/// inputs there is none, and the call fails.
pub(crate) fn stands_for_error(method: &str) -> Option<Value> {
    (method == "elicitation/create").then(|| json!({"action": "cancel"}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_gets_its_own_revision_if_it_is_known_and_the_newest_if_not() {
        for (asked, agreed) in [
            ("2025-11-25", "2025-11-25"),
            ("2024-11-05", "2024-11-05"),
            ("2031-01-01", "2025-11-25"),
            ("1.0", "2025-11-25"),
        ] {
            let host = Host::initializing(&json!({"protocolVersion": asked})).unwrap();
            assert_eq!(host.agreed(), agreed, "{asked}");
            assert_eq!(host.capabilities, json!({}));
        }
        assert!(Host::initializing(&json!({})).is_err());
        assert_eq!(Host::asking(&json!({"_meta": {"progressToken": 1}})), None);
    }

    #[test]
    fn a_legacy_host_hears_of_the_server_from_either_era() {
        let legacy = json!({
            "protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "new": 1,
            "serverInfo": {"name": "s", "version": "1"}, "instructions": "i",
        });
        let told = initialized(&legacy, "u", false, "2025-03-26");
        assert_eq!(told["protocolVersion"], "2025-03-26");
        assert_eq!(
            (&told["serverInfo"]["name"], &told["instructions"], &told["new"]),
            (&json!("s"), &json!("i"), &json!(1))
        );
        let modern = json!({
            "resultType": "complete", "supportedVersions": [MODERN], "ttlMs": 0,
            "capabilities": {"tools": {"listChanged": true}}, "instructions": "i",
            "_meta": {META_SERVER: {"name": "m", "version": "1"}},
        });
        let told = initialized(&modern, "u", true, "2025-11-25");
        assert_eq!(told["serverInfo"]["name"], "m");
        assert_eq!(told["capabilities"]["tools"]["listChanged"], true);
        assert!(told.get("resultType").is_none() && told.get("supportedVersions").is_none());
        let unknown = initialized(&Value::Null, "https://h/mcp", true, "2025-11-25");
        assert_eq!(unknown["serverInfo"]["name"], "https://h/mcp");
        assert!(unknown["capabilities"]["tools"].is_object());
    }

    #[test]
    fn input_is_asked_for_and_the_request_repeated_with_it_and_the_state() {
        let result = json!({
            "resultType": "input_required", "requestState": "opaque",
            "inputRequests": {
                "who": {"method": "elicitation/create", "params": {"mode": "url", "url": "https://x"}},
                "where": {"method": "roots/list"},
            },
        });
        let Outcome::Inputs(inputs) = outcome("tools/call", result) else { unreachable!() };
        let keys: Vec<&str> = inputs.requests.iter().map(|input| &*input.key).collect();
        assert_eq!(keys, ["where", "who"]);
        let page = inputs.requests.last().unwrap();
        assert_eq!(as_request(page, 9)["elicitationId"], "input-9");
        let answers = Map::from_iter([("who".to_owned(), json!({"action": "accept"}))]);
        let params = json!({"name": "t", "_meta": {"progressToken": 1}, "requestState": "older"});
        assert_eq!(
            inputs.repeated(&params, answers),
            json!({"name": "t", "_meta": {"progressToken": 1}, "requestState": "opaque",
                "inputResponses": {"who": {"action": "accept"}}})
        );
        let stateless = json!({"resultType": "input_required", "inputRequests": {}});
        let Outcome::Inputs(inputs) = outcome("tools/call", stateless) else { unreachable!() };
        assert_eq!(inputs.repeated(&params, Map::new()).get("requestState"), None);
    }

    #[test]
    fn results_that_no_revision_knows_are_unusable() {
        let asks =
            |requests: Value| json!({"resultType": "input_required", "inputRequests": requests});
        let many: Map<String, Value> =
            (0..65).map(|it| (it.to_string(), json!({"method": "roots/list"}))).collect();
        for (method, result) in [
            ("tools/list", asks(json!({}))),
            ("tools/call", json!({"resultType": "input_required"})),
            ("tools/call", asks(json!([]))),
            ("tools/call", asks(json!({"a": {"method": "tools/call"}}))),
            ("tools/call", asks(json!({"a": 7}))),
            ("tools/call", asks(Value::Object(many))),
            ("tools/call", json!({"resultType": "later"})),
            ("tools/call", json!({"resultType": 7})),
        ] {
            assert!(matches!(outcome(method, result.clone()), Outcome::Unusable(_)), "{result}");
        }
        for result in [json!({"a": 1}), json!({"a": 1, "resultType": "complete"})] {
            assert_eq!(outcome("tools/list", result), Outcome::Complete(json!({"a": 1})));
        }
    }

    #[test]
    fn a_subscription_asks_for_what_the_server_has_and_nothing_else() {
        let capabilities = json!({"tools": {"listChanged": true}, "prompts": {}, "resources": 7});
        let asked = filter(&capabilities, &["file:///a".to_owned()]).unwrap();
        assert_eq!(
            asked["notifications"],
            json!({"toolsListChanged": true, "resourceSubscriptions": ["file:///a"]})
        );
        assert_eq!(filter(&json!({"tools": {}}), &[]), None);
        assert_eq!(
            changes(&capabilities).collect::<Vec<_>>(),
            ["notifications/tools/list_changed"]
        );
        let marked = json!({"uri": "u", "_meta": {META_SUBSCRIPTION: 4}});
        assert_eq!(unsubscribed(marked.clone()), json!({"uri": "u"}));
        assert_eq!(resubscribed(marked, &json!("mine"))["_meta"][META_SUBSCRIPTION], "mine");
    }

    #[test]
    fn a_log_level_goes_on_each_request_unless_it_has_one() {
        let level = json!("warning");
        assert_eq!(with_log_level(Value::Null, &level)["_meta"][META_LOG], "warning");
        let own = json!({"_meta": {META_LOG: "debug"}});
        assert_eq!(with_log_level(own, &level)["_meta"][META_LOG], "debug");
    }
}
