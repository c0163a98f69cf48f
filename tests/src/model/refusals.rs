//! The answers that some servers give in place of those that the specification wants.

use http::StatusCode;
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use serde_json::{Value, json};

use super::Model;
use super::answer::Answer;
use super::bearer::Caller;
use super::mcp::refused;
use super::params::Call;
use super::rpc;
use super::settings::{Discover, LostBody, LostSession};

impl Model {
    pub(crate) fn discover(&mut self, call: &Call<'_>, caller: &Caller, message: &Value) -> Answer {
        match self.settings.mcp.discover {
            Discover::Unknown(status) => {
                let reply = rpc::error(message.get("id"), rpc::NO_METHOD, "no such method", None);
                Answer::json(code(status), &reply).because("-32601")
            }
            Discover::Refused(401) => {
                self.challenge(StatusCode::UNAUTHORIZED, Some("invalid_token"), None)
            }
            Discover::Refused(status) => {
                Answer::new(code(status), "not for you").header(CONTENT_TYPE, "text/plain")
            }
            Discover::Known if self.is_modern(call, message) => self.modern(call, caller, message),
            Discover::Known => self.legacy(call, caller, message),
        }
    }

    /// The answer to a session id that is not known.
    pub(crate) fn lost_session(&self) -> Answer {
        self.said(self.settings.mcp.lost, "Session not found")
    }

    /// The answer to a call of the tool that is always refused.
    pub(crate) fn refused_tool(&self, message: &Value) -> Option<Answer> {
        let (tool, answer) = self.settings.mcp.refused_tool.as_ref()?;
        let named = message.pointer("/params/name").and_then(Value::as_str);
        (rpc::method(message) == Some("tools/call") && named == Some(tool))
            .then(|| self.said(*answer, "Nothing comes of it"))
    }

    fn said(&self, LostSession { status, body }: LostSession, text: &str) -> Answer {
        let challenged = self.challenge(StatusCode::UNAUTHORIZED, Some("invalid_token"), None);
        let mut answer = match body {
            LostBody::Rpc(error) => refused(code(status), error, text),
            LostBody::Text(text) => {
                Answer::new(code(status), text).header(CONTENT_TYPE, "text/plain; charset=utf-8")
            }
            LostBody::Json(text) => Answer::json(code(status), &json!({"error": text})),
            LostBody::Empty => Answer::empty(code(status)),
        };
        if status == 401 {
            let challenge = challenged.headers.get(WWW_AUTHENTICATE).cloned();
            answer.headers.extend(challenge.map(|challenge| (WWW_AUTHENTICATE, challenge)));
        }
        answer
    }
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
