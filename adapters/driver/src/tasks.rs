//! The loop for async programs.
//!
//! There is neither a task that always lives nor an election among callers. A caller takes its own
//! step under the lock and starts a runner if none runs; the runner does the work, and leaves under
//! the lock when nothing is in flight and the session has no deadline. So an idle session costs no
//! task, and a caller that is dropped takes nothing with it but its own wait.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use futures_channel::{mpsc, oneshot};
use futures_util::{Stream, StreamExt as _};
use http::{Request, Uri};
use mcp_authz_core::effect::{Forgotten, Limits, Page, Settlement, Why};
use mcp_authz_core::input::{Callback, Input, WaiterId};
use serde_json::Value;

use crate::arrivals::PageSink;
use crate::error::DriveError;
use crate::loops::{Driven as _, KeptBy, Loop, Settle, State, Workers as _};
use crate::ports::{AsyncBody as _, AsyncHttp, AsyncListener, Opened, Runtime};
use crate::reading::Incoming;
use crate::transport::{self, Task, TransportError};

mod http_sse;
mod runner;
mod shared;

pub use http_sse::{HttpSse, HttpSseSender};
use runner::Running;
pub use shared::Tasks;
use shared::{CancelOnDrop, Runner};

/// How long the end of a stream may follow its last message.
const A_MOMENT: Duration = Duration::from_secs(1);

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> Loop for Tasks<H, L, R> {
    type Http = H;
    type Listener = L;
    type Runtime = R;
    type Body = H::Body;
    type Adapter = R;
    type Messages = Messages;
    type Workers = Runner;
    type Hands = Option<(Running<H, L, R>, mpsc::Receiver<()>)>;

    fn make(kept: KeptBy<Self>) -> Self {
        Self { kept }
    }

    fn kept(&self) -> &KeptBy<Self> {
        &self.kept
    }

    fn call(self: &Arc<Self>, state: &mut State<Runner>, _: bool) -> Self::Hands {
        let workers = &mut state.under_way().workers;
        if workers.kicks.is_some() {
            workers.kick();
            return None;
        }
        if !state.restless() {
            return None;
        }
        let (sender, kicks) = mpsc::channel(1);
        state.under_way().workers.kicks = Some(sender);
        // Whatever drops the task unpolled, a runtime that is gone among others, drops it too.
        Some((Running::new(Arc::clone(self)), kicks))
    }

    fn put_to_work(self: &Arc<Self>, hands: Self::Hands) {
        if let Some((running, kicks)) = hands {
            self.kept.ports.runtime.spawn(runner::run(running, kicks));
        }
    }

    fn turned(&self) {}

    async fn wait(
        self: &Arc<Self>,
        waiter: WaiterId,
        first: Input,
    ) -> Result<Settlement, DriveError> {
        let (sender, settled) = oneshot::channel();
        let settle = move |settlement| {
            let _nobody_left = sender.send(settlement);
        };
        self.enter(waiter, Box::new(settle))?;
        let cancel = CancelOnDrop { shared: self, waiter };
        self.offer(|_| first)?;
        let settlement = settled.await.unwrap_or(Err(DriveError::Stopped));
        drop(cancel);
        settlement
    }

    fn begin(
        self: &Arc<Self>,
        waiter: WaiterId,
        first: Input,
        told: Settle,
    ) -> Result<(), DriveError> {
        self.enter(waiter, told)?;
        self.offer(|_| first).inspect_err(|_| drop(CancelOnDrop { shared: self, waiter }))
    }

    /// It is handed in at once, whether or not the future is polled.
    fn deliver(
        self: &Arc<Self>,
        callback: Callback,
    ) -> impl Future<Output = Result<Page, DriveError>> + Send + use<H, L, R> {
        let (sender, page) = oneshot::channel();
        let sink = PageSink::new(move |page| {
            let _nobody_left = sender.send(page);
        });
        let handed_in = self.offer(|outbox| outbox.arrival(callback, sink));
        let this = Arc::clone(self);
        async move {
            handed_in?;
            this.kept.may_wait()?;
            page.await.map_err(|_| DriveError::Stalled)
        }
    }

    async fn log_out(self: &Arc<Self>) -> Result<Forgotten, DriveError> {
        let (sender, forgotten) = oneshot::channel();
        let farewell = Box::new(move |forgotten| {
            let _nobody_left = sender.send(forgotten);
        });
        self.offer(|outbox| outbox.log_out(farewell))?;
        forgotten.await.map_err(|_| DriveError::Stopped)
    }

    fn open(
        http: &H,
        request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> impl Future<Output = Opened<H::Body>> + Send {
        http.open(request, limits)
    }

    fn proxy(http: &H, uri: &Uri) -> Option<Arc<str>> {
        http.proxy(uri)
    }

    async fn piece(body: &mut Incoming<H::Body>, within: Duration) -> Result<Option<Bytes>, Why> {
        body.piece(within).await
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send {
        self.kept.ports.runtime.sleep(time)
    }

    fn spawn(&self, task: Task) {
        self.kept.ports.runtime.spawn(task);
    }

    async fn finish(&self, mut body: Incoming<H::Body>) {
        self.kept.ports.runtime.spawn(async move {
            let _or_it_is_closed = body.piece(A_MOMENT).await;
        });
    }
}

/// The server's messages, one by one. An error is the last item. A wait for the next one that is
/// given up loses nothing.
pub struct Messages(transport::Messages);

impl From<transport::Messages> for Messages {
    fn from(messages: transport::Messages) -> Self {
        Self(messages)
    }
}

impl Stream for Messages {
    type Item = Result<Value, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Messages")
    }
}
