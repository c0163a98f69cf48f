//! The same handle for the transport of every runtime.

use core::future::Future;
use std::sync::{Arc, LazyLock};

use futures_util::StreamExt;
use mcp_authz_core::Config;
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_driver::AuthSession;
use mcp_authz_driver::ports::{AsyncHttp, AsyncListener, Common, Http, Listener, Runtime};
use mcp_authz_driver::tasks::{self, Tasks};
use mcp_authz_driver::threads::Threads;
use mcp_authz_driver::transport::{
    DroppedTool, Kind, Settings, Tool, ToolResult, Transport, TransportError,
};
use serde_json::Value;

/// What a server sends.
pub(crate) type Messages = Box<dyn Iterator<Item = Result<Value, TransportError>> + Send>;

/// A connection, as a thread uses it.
pub(crate) trait Face: Send + Sync {
    fn call(&self, method: &str, params: Value) -> Result<Value, TransportError>;
    fn list_tools(&self) -> Result<Vec<Tool>, TransportError>;
    fn call_tool(&self, name: &str, arguments: Value) -> Result<ToolResult, TransportError>;
    fn request(&self, method: &str, params: Value) -> Messages;
    fn request_asking(&self, method: &str, params: Value, may_ask: bool) -> Messages;
    fn openings(&self) -> u64;
    fn notify(&self, method: &str, params: Value) -> Result<(), TransportError>;
    fn respond(&self, id: &Value, outcome: Result<Value, Value>) -> Result<(), TransportError>;
    fn listen(&self) -> Result<Option<Messages>, TransportError>;
    fn close(&self) -> Result<(), TransportError>;
    fn server(&self) -> Arc<Value>;
    fn protocol_version(&self) -> String;
    fn kind(&self) -> Kind;
    fn dropped_tools(&self) -> Vec<DroppedTool>;
}

/// A session, over which connections are made.
pub(crate) trait Session: Send + Sync {
    fn connect(&self, settings: Settings) -> Result<Arc<dyn Face>, TransportError>;
    fn forget(&self);
    fn log_in(&self);
}

/// Makes a session with these ports.
pub(crate) type Make = fn(Common, Arc<Config>) -> Box<dyn Session>;

macro_rules! plain {
    () => {
        fn openings(&self) -> u64 {
            self.openings()
        }
        fn server(&self) -> Arc<Value> {
            self.server()
        }
        fn protocol_version(&self) -> String {
            self.protocol_version()
        }
        fn kind(&self) -> Kind {
            self.kind()
        }
        fn dropped_tools(&self) -> Vec<DroppedTool> {
            self.dropped_tools()
        }
    };
}

impl<H: Http, L: Listener> Face for Transport<Threads<H, L>> {
    fn call(&self, method: &str, params: Value) -> Result<Value, TransportError> {
        self.call(method, params)
    }
    fn list_tools(&self) -> Result<Vec<Tool>, TransportError> {
        self.list_tools()
    }
    fn call_tool(&self, name: &str, arguments: Value) -> Result<ToolResult, TransportError> {
        self.call_tool(name, arguments)
    }
    fn request(&self, method: &str, params: Value) -> Messages {
        Box::new(self.request(method, params))
    }
    fn request_asking(&self, method: &str, params: Value, may_ask: bool) -> Messages {
        Box::new(self.request_asking(method, params, may_ask))
    }
    fn notify(&self, method: &str, params: Value) -> Result<(), TransportError> {
        self.notify(method, params)
    }
    fn respond(&self, id: &Value, outcome: Result<Value, Value>) -> Result<(), TransportError> {
        self.respond(id, outcome)
    }
    fn listen(&self) -> Result<Option<Messages>, TransportError> {
        Ok(self.listen()?.map(|messages| Box::new(messages) as Messages))
    }
    fn close(&self) -> Result<(), TransportError> {
        self.close()
    }
    plain!();
}

impl<H: Http, L: Listener> Session for AuthSession<Threads<H, L>> {
    fn connect(&self, settings: Settings) -> Result<Arc<dyn Face>, TransportError> {
        Ok(Arc::new(Transport::<Threads<H, L>>::connect(self.clone(), settings)?))
    }
    fn forget(&self) {
        self.forget().unwrap();
    }
    fn log_in(&self) {
        self.acquire(&ScopeSet::empty(), true).unwrap().outcome.unwrap();
    }
}

/// A runtime that can be waited on.
pub(crate) trait BlockOn: Clone + Send + Sync + 'static {
    fn block_on<F: Future>(&self, future: F) -> F::Output;
}

struct Waited<T, B>(T, B);

impl<H, L, R, B> Face for Waited<Transport<Tasks<H, L, R>>, B>
where
    H: AsyncHttp,
    L: AsyncListener,
    R: Runtime,
    B: BlockOn,
{
    fn call(&self, method: &str, params: Value) -> Result<Value, TransportError> {
        self.1.block_on(self.0.call(method, params))
    }
    fn list_tools(&self) -> Result<Vec<Tool>, TransportError> {
        self.1.block_on(self.0.list_tools())
    }
    fn call_tool(&self, name: &str, arguments: Value) -> Result<ToolResult, TransportError> {
        self.1.block_on(self.0.call_tool(name, arguments))
    }
    fn request(&self, method: &str, params: Value) -> Messages {
        Box::new(Waited(self.0.request(method, params), self.1.clone()))
    }
    fn request_asking(&self, method: &str, params: Value, may_ask: bool) -> Messages {
        let messages = self.0.request_asking(method, params, may_ask);
        Box::new(Waited(messages, self.1.clone()))
    }
    fn openings(&self) -> u64 {
        self.0.openings()
    }
    fn notify(&self, method: &str, params: Value) -> Result<(), TransportError> {
        self.1.block_on(self.0.notify(method, params))
    }
    fn respond(&self, id: &Value, outcome: Result<Value, Value>) -> Result<(), TransportError> {
        self.1.block_on(self.0.respond(id, outcome))
    }
    fn listen(&self) -> Result<Option<Messages>, TransportError> {
        let messages = self.1.block_on(self.0.listen())?;
        Ok(messages.map(|messages| Box::new(Waited(messages, self.1.clone())) as Messages))
    }
    fn close(&self) -> Result<(), TransportError> {
        self.1.block_on(self.0.close())
    }
    fn server(&self) -> Arc<Value> {
        self.0.server()
    }
    fn protocol_version(&self) -> String {
        self.0.protocol_version()
    }
    fn kind(&self) -> Kind {
        self.0.kind()
    }
    fn dropped_tools(&self) -> Vec<DroppedTool> {
        self.0.dropped_tools()
    }
}

impl<B: BlockOn> Iterator for Waited<tasks::Messages, B> {
    type Item = Result<Value, TransportError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.1.block_on(self.0.next())
    }
}

impl<H, L, R, B> Session for Waited<AuthSession<Tasks<H, L, R>>, B>
where
    H: AsyncHttp,
    L: AsyncListener,
    R: Runtime,
    B: BlockOn,
{
    fn connect(&self, settings: Settings) -> Result<Arc<dyn Face>, TransportError> {
        let connecting = Transport::<Tasks<H, L, R>>::connect(self.0.clone(), settings);
        Ok(Arc::new(Waited(self.1.block_on(connecting)?, self.1.clone())))
    }
    fn forget(&self) {
        self.1.block_on(self.0.forget()).unwrap();
    }
    fn log_in(&self) {
        let settled = self.1.block_on(self.0.acquire(&ScopeSet::empty(), true)).unwrap();
        settled.outcome.unwrap();
    }
}

pub(crate) fn ureq(common: Common, config: Arc<Config>) -> Box<dyn Session> {
    Box::new(mcp_authz_ureq::Client::builder().build().unwrap().session(config, common))
}

pub(crate) static TOKIO: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());

#[derive(Clone)]
pub(crate) struct OnTokio;

impl BlockOn for OnTokio {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        TOKIO.block_on(future)
    }
}

pub(crate) fn tokio(common: Common, config: Arc<Config>) -> Box<dyn Session> {
    let builder = mcp_authz_tokio::Client::builder().runtime(TOKIO.handle().clone());
    Box::new(Waited(builder.build().unwrap().session(config, common), OnTokio))
}

#[derive(Clone)]
struct OnAsyncStd;

impl BlockOn for OnAsyncStd {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        async_std::task::block_on(future)
    }
}

pub(crate) fn async_std(common: Common, config: Arc<Config>) -> Box<dyn Session> {
    let client = mcp_authz_async_std::Client::builder().build().unwrap();
    Box::new(Waited(client.session(config, common), OnAsyncStd))
}
