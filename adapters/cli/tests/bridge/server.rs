//! A scripted MCP server without a login: of the legacy revisions with sessions and streams, or of
//! 2026-07-28. Its one tool asks, counts and waits as it is told.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::host::PATIENCE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    Legacy,
    Modern,
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    era: Era,
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
pub(crate) struct State {
    /// Every message that came.
    pub(crate) heard: Vec<Value>,
    /// The headers of every request, with names in lower case.
    pub(crate) headers: Vec<HashMap<String, String>>,
    /// Sessions that were ended.
    pub(crate) ended: usize,
    /// Streams of calls whose reader has gone.
    pub(crate) closed: usize,
    /// Streams that could not be written to for some seconds.
    pub(crate) blocked: usize,
    /// The session that is known now.
    session: u64,
    /// Standing streams, or subscriptions with their ids.
    streams: Vec<(TcpStream, Option<Value>)>,
}

impl State {
    /// How many streams have been opened.
    pub(crate) fn streams(&self) -> usize {
        self.streams.len()
    }
}

struct Asked {
    method: String,
    headers: HashMap<String, String>,
    body: Value,
}

impl Server {
    pub(crate) fn start(era: Era) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { era, state: Mutex::default(), moved: Condvar::new() });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&serving);
                thread::spawn(move || shared.serve(stream));
            }
        });
        Self { url, shared }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    /// Waits until the state is such.
    pub(crate) fn wait(&self, what: &str, is: impl Fn(&State) -> bool) {
        drop(self.shared.wait(what, is));
    }

    /// The messages with a method that came so far.
    pub(crate) fn all(&self, method: &str) -> Vec<Value> {
        let state = self.state();
        state.heard.iter().filter(|it| it["method"] == method).cloned().collect()
    }

    /// Says something on every standing stream or subscription.
    pub(crate) fn push(&self, method: &str) {
        for (stream, subscription) in &mut self.state().streams {
            let mut message = json!({"jsonrpc": "2.0", "method": method, "params": {"n": 1}});
            if let Some(id) = subscription {
                message["params"]["_meta"] = json!({"io.modelcontextprotocol/subscriptionId": id});
            }
            let _reader_has_gone = event(stream, &message, None);
        }
    }

    /// Asks something on the standing streams.
    pub(crate) fn put(&self, id: &str, method: &str) {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method});
        for (stream, _) in &mut self.state().streams {
            event(stream, &message, None).unwrap();
        }
    }

    /// Loses every session, and closes what belongs to them.
    pub(crate) fn forget(&self) {
        let mut state = self.state();
        state.session += 1;
        for (stream, _) in state.streams.drain(..) {
            let _gone_already = stream.shutdown(std::net::Shutdown::Both);
        }
        drop(state);
        self.shared.moved.notify_all();
    }
}

impl Shared {
    fn wait(&self, what: &str, is: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let state = self.state.lock().unwrap();
        let (state, late) =
            self.moved.wait_timeout_while(state, PATIENCE, |state| !is(state)).unwrap();
        assert!(!late.timed_out(), "{what}: {:?}", state.heard);
        state
    }

    fn serve(&self, mut stream: TcpStream) {
        let Some(asked) = read(&mut stream) else { return };
        let mut state = self.state.lock().unwrap();
        state.heard.push(asked.body.clone());
        state.headers.push(asked.headers.clone());
        let session = state.session;
        drop(state);
        self.moved.notify_all();
        let _reader_has_gone = match self.era {
            Era::Modern => self.modern(&mut stream, &asked),
            Era::Legacy => self.legacy(&mut stream, &asked, session),
        };
    }

    fn legacy(&self, stream: &mut TcpStream, asked: &Asked, session: u64) -> std::io::Result<()> {
        let body = &asked.body;
        let method = body["method"].as_str().unwrap_or_default();
        if method == "server/discover" {
            return json_answer(
                stream,
                400,
                "",
                &json!({"jsonrpc": "2.0", "id": null,
                "error": {"code": -32000, "message": "Bad Request: no session"}}),
            );
        }
        if method == "initialize" {
            let result = json!({
                "protocolVersion": body["params"]["protocolVersion"],
                "capabilities": {"tools": {"listChanged": true}, "logging": {},
                    "resources": {"subscribe": true}},
                "serverInfo": {"name": "legacy", "version": "1"},
                "instructions": "be kind",
            });
            let header = format!("Mcp-Session-Id: s{session}\r\n");
            return json_answer(stream, 200, &header, &result_of(body, result));
        }
        if asked.headers.get("mcp-session-id") != Some(&format!("s{session}")) {
            return json_answer(stream, 404, "", &json!({}));
        }
        match (&*asked.method, method) {
            ("DELETE", _) => {
                self.state.lock().unwrap().ended += 1;
                self.moved.notify_all();
                empty(stream, 204)
            }
            ("GET", _) => {
                begin(stream)?;
                self.state.lock().unwrap().streams.push((stream.try_clone()?, None));
                self.moved.notify_all();
                Ok(())
            }
            (_, "tools/call") => self.call(stream, body, session),
            _ if body.get("id").is_none() || body.get("method").is_none() => empty(stream, 202),
            _ => json_answer(stream, 200, "", &other(body)),
        }
    }

    /// The tool's work: progress, then what it is told to ask or to wait for, then its result.
    fn call(&self, stream: &mut TcpStream, body: &Value, session: u64) -> std::io::Result<()> {
        begin(stream)?;
        progress(stream, body)?;
        let arguments = &body["params"]["arguments"];
        let mut told = Value::Null;
        if let Some(method) = arguments["ask"].as_str() {
            let id = format!("q-{}", body["id"]);
            let question = json!({"jsonrpc": "2.0", "id": id, "method": method,
                "params": arguments["with"]});
            event(stream, &question, None)?;
            if arguments["withdraws"] == true {
                let params = json!({"requestId": id, "reason": "never mind"});
                let withdrawal = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
                    "params": params});
                event(stream, &withdrawal, None)?;
            } else {
                let answers =
                    |message: &Value| message["id"] == *id && message.get("method").is_none();
                let state = self.wait("an answer", |state| state.heard.iter().any(answers));
                told = state.heard.iter().find(|message| answers(message)).cloned().unwrap();
            }
        }
        if arguments["loses"] == true {
            // Breaks off after an event by which it could be resumed, if the session were known.
            event(
                stream,
                &json!({"jsonrpc": "2.0", "method": "notifications/message"}),
                Some("e1"),
            )?;
            let mut state = self.state.lock().unwrap();
            state.session = session + 1;
            return stream.shutdown(std::net::Shutdown::Both);
        }
        if arguments["floods"] == true {
            return self.flood(stream);
        }
        if arguments["waits"] == true {
            drop(self.wait("a cancellation", |state| {
                state.heard.iter().any(|it| {
                    it["method"] == "notifications/cancelled"
                        && it["params"]["requestId"] == body["id"]
                })
            }));
            return Ok(());
        }
        event(stream, &result_of(body, result(&told, body)), None)
    }

    /// Says far more than anybody should keep.
    fn flood(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        stream.set_write_timeout(Some(Duration::from_secs(2)))?;
        let params = json!({"level": "info", "data": "x".repeat(64 * 1024)});
        let message =
            json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params});
        for _ in 0..16 * 1024 {
            if event(stream, &message, None).is_err() {
                self.state.lock().unwrap().blocked += 1;
                self.moved.notify_all();
                break;
            }
        }
        Ok(())
    }

    fn modern(&self, stream: &mut TcpStream, asked: &Asked) -> std::io::Result<()> {
        let body = &asked.body;
        let method = body["method"].as_str().unwrap_or_default();
        let header = |name: &str| asked.headers.get(name).map(String::as_str).unwrap_or_default();
        if header("mcp-protocol-version") != "2026-07-28" || header("mcp-method") != method {
            return json_answer(
                stream,
                400,
                "",
                &json!({"jsonrpc": "2.0", "id": body["id"],
                "error": {"code": -32020, "message": "headers are missing"}}),
            );
        }
        match method {
            "server/discover" => {
                let result = json!({
                    "resultType": "complete", "supportedVersions": ["2026-07-28"],
                    "capabilities": {"tools": {"listChanged": true}, "logging": {},
                        "resources": {"subscribe": true}},
                    "instructions": "be kind", "ttlMs": 0, "cacheScope": "public",
                    "_meta": {"io.modelcontextprotocol/serverInfo":
                        {"name": "modern", "version": "1"}},
                });
                json_answer(stream, 200, "", &result_of(body, result))
            }
            "subscriptions/listen" => {
                begin(stream)?;
                let acknowledged = json!({"jsonrpc": "2.0",
                    "method": "notifications/subscriptions/acknowledged",
                    "params": {"notifications": body["params"]["notifications"],
                        "_meta": {"io.modelcontextprotocol/subscriptionId": body["id"]}}});
                event(stream, &acknowledged, None)?;
                let subscription = (stream.try_clone()?, Some(body["id"].clone()));
                self.state.lock().unwrap().streams.push(subscription);
                self.moved.notify_all();
                Ok(())
            }
            "tools/call" => self.round(stream, body),
            _ if body.get("id").is_none() => empty(stream, 202),
            _ => {
                let mut answer = other(body);
                if let Some(result) = answer.get_mut("result") {
                    result["resultType"] = json!("complete");
                }
                json_answer(stream, 200, "", &answer)
            }
        }
    }

    /// One round of the tool's work.
    fn round(&self, stream: &mut TcpStream, body: &Value) -> std::io::Result<()> {
        begin(stream)?;
        progress(stream, body)?;
        let (params, arguments) = (&body["params"], &body["params"]["arguments"]);
        if arguments["waits"] == true {
            stream.set_read_timeout(Some(PATIENCE))?;
            let _is_gone = stream.read(&mut [0; 1]);
            self.state.lock().unwrap().closed += 1;
            self.moved.notify_all();
            return Ok(());
        }
        let mut result = match (arguments["ask"].as_str(), &params["inputResponses"]["it"]) {
            (Some(method), Value::Null) => json!({
                "resultType": "input_required", "requestState": "round 1",
                "inputRequests": {"it": {"method": method, "params": arguments["with"]}},
            }),
            (Some(_), answer) => {
                assert_eq!(params["requestState"], "round 1");
                result(&json!({"result": answer}), body)
            }
            (None, _) => result(&Value::Null, body),
        };
        if result.get("resultType").is_none() {
            result["resultType"] = json!("complete");
        }
        event(stream, &result_of(body, result), None)
    }
}

/// The result of the tool: what it was told, and its own arguments said back.
fn result(told: &Value, body: &Value) -> Value {
    json!({"content": [{"type": "text", "text": "done"}], "told": told,
        "arguments": body["params"]["arguments"]})
}

/// Any other request: lists, and an echo of what nobody knows.
fn other(body: &Value) -> Value {
    let result = match body["method"].as_str().unwrap_or_default() {
        "tools/list" => {
            let schema = json!({"type": "object"});
            json!({"tools": [{"name": "work", "inputSchema": schema},
                {"name": "delete_all", "inputSchema": schema}], "unknown": {"member": 1}})
        }
        "x/huge" => json!({"text": "x".repeat(17 * 1024 * 1024)}),
        "prompts/list" => {
            let error = json!({"code": -32601, "message": "no prompts"});
            return json!({"jsonrpc": "2.0", "id": body["id"], "error": error});
        }
        _ => json!({"echo": body["params"]}),
    };
    result_of(body, result)
}

fn result_of(body: &Value, result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": body["id"], "result": result})
}

fn progress(stream: &mut TcpStream, body: &Value) -> std::io::Result<()> {
    let token = &body["params"]["_meta"]["progressToken"];
    if token.is_null() {
        return Ok(());
    }
    let params = json!({"progressToken": token, "progress": 1, "unknown": true});
    event(
        stream,
        &json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}),
        None,
    )
}

fn begin(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n: open\n\n",
    )
}

fn event(stream: &mut TcpStream, message: &Value, id: Option<&str>) -> std::io::Result<()> {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    stream.write_all(format!("{id}data: {message}\n\n").as_bytes())?;
    stream.flush()
}

fn json_answer(
    stream: &mut TcpStream,
    status: u16,
    headers: &str,
    body: &Value,
) -> std::io::Result<()> {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

fn empty(stream: &mut TcpStream, status: u16) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())
}

fn read(stream: &mut TcpStream) -> Option<Asked> {
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers: HashMap<String, String> = lines
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let method = lines.first()?.split(' ').next()?.to_owned();
    Some(Asked { method, headers, body: serde_json::from_slice(&body).unwrap_or_default() })
}
