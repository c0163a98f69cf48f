//! A small honest client, written apart from the library that the model is there to test.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, Request};
use mcp_authz_tests::model::*;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::{Url, form_urlencoded};

pub(crate) const NOW: u64 = 1_800_000_000_000;
pub(crate) const MCP: &str = "https://mcp.example/mcp";
pub(crate) const REDIRECT: &str = "http://127.0.0.1:1234";
pub(crate) const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const VERIFIER: &str = "verifier-verifier-verifier-verifier-verifier-";

pub(crate) type Form = Vec<(String, String)>;
type Headers<'a> = &'a [(&'static str, String)];

/// One change to an otherwise honest request.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    Drop(&'static str),
    Set(&'static str, &'static str),
    Add(&'static str, &'static str),
}

impl Change {
    pub(crate) fn on(self, mut form: Form) -> Form {
        match self {
            Self::Drop(name) => form.retain(|(key, _)| key != name),
            Self::Add(name, value) => form.push((name.into(), value.into())),
            Self::Set(name, value) => {
                form.retain(|(key, _)| key != name);
                form.push((name.into(), value.into()));
            }
        }
        form
    }

    pub(crate) fn on_url(self, url: &str) -> String {
        let (base, query) = url.split_once('?').unwrap();
        let form = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        format!("{base}?{}", encode(&self.on(form)))
    }
}

#[derive(Default)]
pub(crate) struct Endpoints {
    pub authorize: String,
    pub token: String,
    pub register: String,
}

impl Endpoints {
    pub(crate) fn at(base: &str) -> Self {
        Self {
            authorize: format!("{base}/authorize"),
            token: format!("{base}/token"),
            register: format!("{base}/register"),
        }
    }
}

/// An answer, its stream read as far as it goes.
pub(crate) struct Got {
    pub status: u16,
    map: HeaderMap,
    pub text: String,
    pub error: Option<String>,
    pub dropped: bool,
    pub stream: Option<StreamId>,
    /// How the stream ended, if it did.
    pub end: Option<Piece>,
    pub delay_ms: u64,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers(name).into_iter().next().map(str::to_owned)
    }

    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        self.map.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

pub(crate) struct Client {
    pub model: Model,
    pub now: u64,
    pub auth: AuthMethod,
    pub encode_basic: bool,
    pub refresh_grant: bool,
    pub scope: Option<String>,
    pub endpoints: Endpoints,
    pub as_metadata: Value,
    pub resource: String,
    pub client_id: String,
    pub secret: Option<String>,
    pub access_token: String,
    pub refresh_token: String,
    pub session: Option<String>,
    pub version: String,
    pub transcript: Vec<String>,
    modern: bool,
}

impl Client {
    pub(crate) fn new(settings: Settings) -> Self {
        let modern = matches!(settings.mcp.era, Era::Modern | Era::Both);
        Self {
            scope: settings.challenge.scope.clone(),
            model: Model::new(settings),
            now: NOW,
            auth: AuthMethod::None,
            encode_basic: true,
            refresh_grant: true,
            endpoints: Endpoints::default(),
            as_metadata: Value::Null,
            resource: MCP.to_owned(),
            client_id: String::new(),
            secret: None,
            access_token: String::new(),
            refresh_token: String::new(),
            session: None,
            version: String::new(),
            transcript: Vec::new(),
            modern,
        }
    }

    pub(crate) fn send(
        &mut self,
        method: &str,
        url: &str,
        headers: Headers<'_>,
        body: Vec<u8>,
    ) -> Got {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = self.model.handle(&request.body(body).unwrap(), self.now);
        let (text, stream, end) = match answer.body {
            Body::Whole(bytes) => (String::from_utf8_lossy(&bytes).into_owned(), None, None),
            Body::Dropped => (String::new(), None, None),
            Body::Stream(id) => {
                let (text, end) = self.read(id);
                (text, Some(id), end)
            }
        };
        let dropped = self.model.seen().last().unwrap().status == 0;
        self.transcript
            .push(format!("{method} {url} {} {:?} {text}", answer.status, answer.headers));
        let status = if dropped { 0 } else { answer.status.as_u16() };
        let (map, error) = (answer.headers, answer.error);
        Got { status, map, text, error, dropped, stream, end, delay_ms: answer.delay_ms }
    }

    /// Reads a stream as far as it goes now.
    pub(crate) fn read(&mut self, id: StreamId) -> (String, Option<Piece>) {
        let mut text = Vec::new();
        loop {
            match self.model.poll(id, self.now) {
                Piece::Chunk(bytes) => text.extend(bytes),
                Piece::NotBefore(_) => return (String::from_utf8(text).unwrap(), None),
                end => return (String::from_utf8(text).unwrap(), Some(end)),
            }
        }
    }

    pub(crate) fn get(&mut self, url: &str) -> Got {
        self.send("GET", url, &[], Vec::new())
    }

    pub(crate) fn post_form(
        &mut self,
        url: &str,
        form: &[(&str, String)],
        headers: Headers<'_>,
    ) -> Got {
        let form: Form =
            form.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/x-www-form-urlencoded".into()));
        self.send("POST", url, &headers, encode(&form).into_bytes())
    }

    pub(crate) fn post_json(&mut self, url: &str, body: &Value, headers: Headers<'_>) -> Got {
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/json".into()));
        self.send("POST", url, &headers, body.to_string().into_bytes())
    }

    /// Everything from the challenge to a token.
    pub(crate) fn login(&mut self) {
        self.discover();
        self.login_here();
    }

    pub(crate) fn login_here(&mut self) {
        self.register();
        let tokens = self.exchange();
        assert_eq!(tokens.status, 200, "{}", tokens.text);
        self.keep(&tokens);
    }

    pub(crate) fn discover(&mut self) {
        let challenge = self.mcp("tools/list", json!({}));
        assert_eq!(challenge.status, 401, "{}", challenge.text);
        let challenge = challenge.header("www-authenticate").unwrap_or_default();
        let issuer = match quoted(&challenge, "resource_metadata") {
            Some(url) => {
                let prm = self.get(&url).json();
                self.resource = prm["resource"].as_str().unwrap().to_owned();
                prm["authorization_servers"][0].as_str().unwrap().to_owned()
            }
            None => "https://mcp.example".to_owned(),
        };
        self.as_metadata =
            self.get(&format!("{issuer}/.well-known/oauth-authorization-server")).json();
        assert_eq!(self.as_metadata["issuer"], issuer.as_str());
        let endpoint = |name: &str| self.as_metadata[name].as_str().unwrap_or_default().to_owned();
        self.endpoints = Endpoints {
            authorize: endpoint("authorization_endpoint"),
            token: endpoint("token_endpoint"),
            register: endpoint("registration_endpoint"),
        };
    }

    pub(crate) fn register(&mut self) -> Got {
        let mut document = registration();
        document["token_endpoint_auth_method"] = json!(self.auth.name());
        if !self.refresh_grant {
            document["grant_types"] = json!(["authorization_code"]);
        }
        let url = self.endpoints.register.clone();
        let answer = self.post_json(&url, &document, &[]);
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
        let registered = answer.json();
        self.client_id = registered["client_id"].as_str().unwrap().to_owned();
        self.secret = registered["client_secret"].as_str().map(str::to_owned);
        answer
    }

    pub(crate) fn authorize_url(&self) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let mut form: Form = [
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &format!("{REDIRECT}/callback")),
            ("state", "state-1"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", &self.resource),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
        form.extend(self.scope.clone().map(|scope| ("scope".to_owned(), scope)));
        format!("{}?{}", self.endpoints.authorize, encode(&form))
    }

    /// The URL that the browser is sent back to.
    pub(crate) fn approve(&mut self) -> String {
        let url = self.authorize_url();
        self.approve_at(&url)
    }

    fn approve_at(&mut self, url: &str) -> String {
        self.model.visit(url, self.now).unwrap()
    }

    pub(crate) fn exchange_form(&mut self) -> Form {
        let url = self.authorize_url();
        self.exchange_form_of(&url)
    }

    pub(crate) fn exchange_form_of(&mut self, url: &str) -> Form {
        let back = self.approve_at(url);
        let code = param(&back, "code").unwrap_or_else(|| panic!("{back}"));
        assert_eq!(param(&back, "state").as_deref(), Some("state-1"));
        self.with_client(vec![
            ("grant_type".into(), "authorization_code".into()),
            ("code".into(), code),
            ("code_verifier".into(), VERIFIER.into()),
            ("redirect_uri".into(), format!("{REDIRECT}/callback")),
            ("resource".into(), self.resource.clone()),
        ])
    }

    pub(crate) fn exchange(&mut self) -> Got {
        let form = self.exchange_form();
        self.post_token(form, &[])
    }

    pub(crate) fn refresh_form(&self) -> Form {
        self.with_client(vec![
            ("grant_type".into(), "refresh_token".into()),
            ("refresh_token".into(), self.refresh_token.clone()),
            ("resource".into(), self.resource.clone()),
        ])
    }

    pub(crate) fn refresh(&mut self) -> Got {
        let answer = self.post_token(self.refresh_form(), &[]);
        if answer.status == 200 {
            self.keep(&answer);
        }
        answer
    }

    fn with_client(&self, mut form: Form) -> Form {
        if self.auth != AuthMethod::Basic {
            form.push(("client_id".into(), self.client_id.clone()));
        }
        if self.auth == AuthMethod::Post {
            form.push(("client_secret".into(), self.secret.clone().unwrap_or("none".into())));
        }
        form
    }

    pub(crate) fn post_token(&mut self, form: Form, headers: Headers<'_>) -> Got {
        let mut headers = headers.to_vec();
        if self.auth == AuthMethod::Basic {
            let secret = self.secret.clone().unwrap_or("none".into());
            let encode = |text: &str| match self.encode_basic {
                true => form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>(),
                false => text.to_owned(),
            };
            let pair = format!("{}:{}", encode(&self.client_id), encode(&secret));
            headers.push(("authorization", format!("Basic {}", STANDARD.encode(pair))));
        }
        let form: Vec<(&str, String)> =
            form.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        let url = self.endpoints.token.clone();
        self.post_form(&url, &form, &headers)
    }

    pub(crate) fn keep(&mut self, tokens: &Got) {
        let tokens = tokens.json();
        tokens["access_token"].as_str().unwrap().clone_into(&mut self.access_token);
        if let Some(refresh) = tokens["refresh_token"].as_str() {
            refresh.clone_into(&mut self.refresh_token);
        }
    }

    pub(crate) fn initialize(&mut self, version: &str) {
        let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": version}});
        let mut headers = accept();
        headers.push(("authorization", format!("Bearer {}", self.access_token)));
        let answer = self.post_json(MCP, &hello, &headers);
        assert_eq!(answer.status, 200, "{}", answer.text);
        self.session = answer.header("mcp-session-id");
        let json = answer.text.split("data: ").last().unwrap();
        let reply: Value = serde_json::from_str(json.trim()).unwrap();
        self.version = reply["result"]["protocolVersion"].as_str().unwrap().to_owned();
        self.modern = false;
    }

    pub(crate) fn session_headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("authorization", format!("Bearer {}", self.access_token))];
        headers.extend(self.session.clone().map(|id| ("mcp-session-id", id)));
        headers.push(("mcp-protocol-version", self.version.clone()));
        headers
    }

    /// An MCP request with what the era demands, and the token if there is one.
    pub(crate) fn mcp(&mut self, method: &'static str, params: Value) -> Got {
        if !self.modern && self.session.is_none() && !self.access_token.is_empty() {
            let newest = self.model.settings().mcp.legacy_versions.last().unwrap().clone();
            self.initialize(&newest);
        }
        let bearer = ("authorization", format!("Bearer {}", self.access_token));
        let headers = if self.access_token.is_empty() { Vec::new() } else { vec![bearer] };
        self.mcp_with(method, params, &headers)
    }

    pub(crate) fn mcp_with(
        &mut self,
        method: &'static str,
        params: Value,
        headers: Headers<'_>,
    ) -> Got {
        let mut all = accept();
        all.extend_from_slice(headers);
        if self.modern {
            let name = params["name"].as_str().map(str::to_owned);
            all.push(("mcp-protocol-version", "2026-07-28".into()));
            all.push(("mcp-method", method.into()));
            all.extend(name.map(|name| ("mcp-name", name)));
            return self.post_json(MCP, &modern(method, params), &all);
        }
        if let Some(session) = &self.session {
            all.push(("mcp-session-id", session.clone()));
            all.push(("mcp-protocol-version", self.version.clone()));
        }
        self.post_json(
            MCP,
            &json!({"jsonrpc": "2.0", "id": 2, "method": method, "params": params}),
            &all,
        )
    }

    pub(crate) fn mcp_status(&mut self, method: &'static str, params: Value) -> u16 {
        self.mcp(method, params).status
    }

    pub(crate) fn call_tool(&mut self, name: &str, arguments: Value) -> Value {
        self.mcp("tools/call", json!({"name": name, "arguments": arguments})).json()
    }
}

pub(crate) fn accept() -> Vec<(&'static str, String)> {
    vec![("accept", "application/json, text/event-stream".to_owned())]
}

pub(crate) fn modern(method: &str, mut params: Value) -> Value {
    params["_meta"] =
        json!({VERSION_KEY: "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}});
    json!({"jsonrpc": "2.0", "id": 2, "method": method, "params": params})
}

pub(crate) fn registration() -> Value {
    json!({
        "redirect_uris": [format!("{REDIRECT}/callback")],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "client_name": "An honest client",
        "application_type": "native",
    })
}

pub(crate) fn encode(form: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

pub(crate) fn param(url: &str, name: &str) -> Option<String> {
    Url::parse(url)
        .unwrap()
        .query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// A quoted parameter of a challenge.
pub(crate) fn quoted(challenge: &str, name: &str) -> Option<String> {
    let after = challenge.split_once(&format!("{name}=\""))?.1;
    Some(after.split_once('"')?.0.to_owned())
}
