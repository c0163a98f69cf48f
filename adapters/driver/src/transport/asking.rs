//! The requests and notifications that a program sends on a connection.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use http::StatusCode;
use serde_json::{Value, json};

use super::answer::{self, Form};
use super::engine::Engine;
use super::error::{RpcError, TransportError};
use super::line::{Line, Messages};
use super::manner::Wire;
use super::refused::Loss;
use super::request::Request;
use super::rpc::{self, Sort};

/// Pages of the list of tools that are read for the sake of one call.
const MOST_PAGES: u32 = 32;

impl<L: Line> Engine<L> {
    /// Everything the server sends for one request, the response last.
    pub(crate) fn request(
        self: &Arc<Self>,
        method: &str,
        params: Value,
        may_ask: bool,
    ) -> Messages {
        messages(Request::asking(Arc::clone(self), method, params, may_ask))
    }

    /// The result of one request. Requests of the server that come meanwhile are declined.
    pub(crate) async fn call(
        self: &Arc<Self>,
        method: &str,
        params: Value,
    ) -> Result<Value, TransportError> {
        let may_ask = self.settings.may_ask;
        let mut request = Request::asking(Arc::clone(self), method, params, may_ask);
        while let Some(message) = request.next().await {
            let mut message = message?;
            match rpc::sort(&message) {
                Some(Sort::Response) if request.is_answered() => {
                    if let Some(error) = message.get("error") {
                        return Err(TransportError::Rpc(RpcError::read(error)));
                    }
                    let result = message.get_mut("result").map(Value::take);
                    return Ok(result.unwrap_or_default());
                }
                Some(Sort::Request) => self.decline(&message),
                _ => {}
            }
        }
        Err(TransportError::Malformed("there was no response"))
    }

    /// The server's own stream, if it has one (TRANS-22).
    pub(crate) async fn listen(self: &Arc<Self>) -> Result<Option<Messages>, TransportError> {
        let mut lost = false;
        loop {
            let link = self.ready().await?;
            match (link.manner.wire, &link.bus) {
                (Wire::Modern, _) => return Ok(None),
                (_, Some(bus)) => return Ok(Some(bus.listen())),
                (Wire::HttpSse, None) => return Err(TransportError::Closed),
                (Wire::Session, None) => {}
            }
            let request = link.manner.get(self.line.url(), None)?;
            let answer = self.line.open(self.exchange(request, "GET")).await?;
            match answer.status() {
                StatusCode::METHOD_NOT_ALLOWED => return Ok(None),
                StatusCode::NOT_FOUND if link.manner.session.is_none() => return Ok(None),
                status if !status.is_success() => match self.lost(&link, answer).await {
                    (loss, _) if loss != Loss::None && !lost => {
                        lost = true;
                        self.renew(link.number, loss).await?;
                    }
                    (_, error) => return Err(error),
                },
                _ if answer::form(answer.headers()) != Form::Events => {
                    return Err(TransportError::Malformed("it is no stream of events"));
                }
                _ => {
                    link.works();
                    let request = Request::standing(Arc::clone(self), link, answer.into_body());
                    return Ok(Some(messages(request)));
                }
            }
        }
    }

    /// Reads the list of tools once more, for the sake of one call (TRANS-14).
    pub(crate) fn relist(
        self: &Arc<Self>,
    ) -> core::pin::Pin<Box<dyn Future<Output = Result<(), TransportError>> + Send>> {
        let engine = Arc::clone(self);
        Box::pin(async move {
            let mut params = json!({});
            for _ in 0..MOST_PAGES {
                let result = engine.call("tools/list", params).await?;
                match result.get("nextCursor") {
                    Some(cursor) if cursor.is_string() => params = json!({"cursor": cursor}),
                    _ => break,
                }
            }
            Ok(())
        })
    }
}

/// A request as a stream. A wait for it that is given up loses nothing.
fn messages<L: Line>(request: Request<L>) -> Messages {
    stream::unfold(request, async |mut request| {
        request.next().await.map(|message| (message, request))
    })
    .boxed()
}
