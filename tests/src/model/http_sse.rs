//! HTTP+SSE of 2024-11-05: requests are posted to an endpoint that a stream has named, replies come on the stream.

use http::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::Model;
use super::answer::Answer;
use super::mcp::{event_stream, initialized, not_allowed, unreadable};
use super::params::Call;
use super::route::MESSAGES;
use super::rpc;
use super::settings::Era;

const VERSION: &str = "2024-11-05";

impl Model {
    /// Where HTTP+SSE messages come in; the replies go out on the stream.
    pub(crate) fn messages(&mut self, call: &Call<'_>, body: &[u8]) -> Answer {
        if self.settings.mcp.era != Era::HttpSse {
            return self.absent();
        }
        if let Err(answer) = self.check_origin(call) {
            return answer;
        }
        let caller = match self.admit_all(call) {
            Ok(caller) => caller,
            Err(answer) => return answer,
        };
        if *call.method != Method::POST {
            return not_allowed("POST");
        }
        let Some(Value::Object(_)) = &call.json else {
            return unreadable(body);
        };
        let message = call.json.clone().unwrap_or_default();
        let session = call.query.get("sessionId").unwrap_or_default().to_owned();
        if !self.transport.knows(&session) {
            return Answer::new(StatusCode::NOT_FOUND, "no such session").because("session");
        }
        if rpc::is_request(&message) {
            let replies = match rpc::method(&message) {
                Some("initialize") => vec![initialized(&message, VERSION)],
                _ => self.replies(&caller, &message, false),
            };
            let at = call.now.saturating_add(self.settings.mcp.stream_delay_ms);
            if !replies.iter().all(|reply| self.streams.reply(&session, reply, at)) {
                return Answer::new(StatusCode::NOT_FOUND, "the stream is gone").because("session");
            }
        }
        Answer::empty(StatusCode::ACCEPTED)
    }

    /// Opens the stream; what is said on it comes by way of `messages`.
    pub(crate) fn open_http_sse(&mut self, call: &Call<'_>) -> Answer {
        if !call.accepts("text/event-stream") {
            return Answer::empty(StatusCode::NOT_ACCEPTABLE).because("accept");
        }
        let id = self.fresh("session");
        let path = Url::parse(&self.settings.mcp_url)
            .map(|url| url.path().trim_end_matches('/').to_owned());
        let right = format!("{}{MESSAGES}?sessionId={id}", path.unwrap_or_default());
        let other = self.settings.mcp.sse_endpoint.as_ref();
        let endpoint = other.map_or(right, |other| other.replace("{session}", &id));
        self.transport.open(id.clone(), VERSION.to_owned(), None, None);
        event_stream(self.streams.http_sse(id, endpoint))
    }
}
