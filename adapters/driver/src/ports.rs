//! The ports that a driver needs from the outside: one small trait for each kind of work.
//!
//! The store and the signer block in every driver; async ones call them on the runtime's blocking
//! pool. Sending, listening and spawning come in a blocking and an async form.

use core::fmt;
use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::io;
use std::panic::catch_unwind;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, Uri};
use mcp_authz_core::config::Config;
use mcp_authz_core::effect::{
    Effects, Key, Limits, ListenOn, Record, RecordKind, Reply, SignRequest, Signature,
    StoreRequest, Stored, Told, Why,
};
use mcp_authz_core::failure::Kind;
use mcp_authz_core::input::Input;
use mcp_authz_core::session::{Env, Snapshot};

use crate::arrivals::{Arrivals, Listening};
use crate::clock::{self, Clock};
use crate::entropy::{self, Random};
use crate::error::DriveError;

/// Sends requests, on the calling thread.
///
/// For every method: no redirect is followed, no cookie kept, nothing decompressed, the limits are
/// enforced, and each address is asked about before it is dialled, or left to a proxy where the limits
/// allow one. Whatever is not certainly unsent is [`Reply::MaybeSent`].
pub trait Http: Send + Sync + 'static {
    /// Sends a request on a connection of its own, which no earlier answer can have spoilt and
    /// whose idle death can make no one-time request uncertain.
    fn send(&self, request: Request<Vec<u8>>, limits: &Limits) -> Reply;

    /// Sends a caller's own request; connections may be reused. Returns when the head of the answer
    /// is there, within the limits' total time; what its body may hold is the reader's to limit,
    /// though one that is announced to be larger is refused at once.
    ///
    /// # Errors
    /// [`Unanswered`] says whether the request may have been sent.
    fn open(&self, request: Request<Vec<u8>>, limits: &Limits) -> Opened<Box<dyn Body>>;

    /// The host and port of the proxy that a request to this URL goes through; `None` if it goes
    /// through none, or through one that is not known here.
    fn proxy(&self, _uri: &Uri) -> Option<Arc<str>> {
        None
    }
}

/// The body of an answer, as it comes. Dropping it closes its connection unless it was read to the end.
pub trait Body: Send + 'static {
    /// Waits for the next piece, no longer than this time; `None` at the end of a whole body. After
    /// an error there is nothing more.
    ///
    /// # Errors
    /// Why there is no next piece: [`Why::Timeout`], or the body is cut off or malformed.
    fn piece(&mut self, within: Duration) -> Result<Option<Bytes>, Why>;
}

impl Body for Box<dyn Body> {
    fn piece(&mut self, within: Duration) -> Result<Option<Bytes>, Why> {
        (**self).piece(within)
    }
}

/// [`Http`] for async programs. Dropping a future drops its connection.
pub trait AsyncHttp: Send + Sync + 'static {
    /// The body of an answer, as it comes.
    type Body: AsyncBody;

    /// As [`Http::send`].
    fn send(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> impl Future<Output = Reply> + Send;

    /// As [`Http::open`].
    fn open(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> impl Future<Output = Opened<Self::Body>> + Send;

    /// As [`Http::proxy`].
    fn proxy(&self, _uri: &Uri) -> Option<Arc<str>> {
        None
    }
}

/// [`Body`] for async programs. A wait that is given up loses nothing: the next one goes on with it.
pub trait AsyncBody: Send + 'static {
    /// As [`Body::piece`].
    fn piece(
        &mut self,
        within: Duration,
    ) -> impl Future<Output = Result<Option<Bytes>, Why>> + Send;
}

/// Listens on the redirect URI.
pub trait Listener: Send + Sync + 'static {
    /// Binds loopback, returns at once and reports every callback from then on, until the value is
    /// dropped.
    ///
    /// # Errors
    /// If nothing could be bound. Somebody whose port is taken is told so: say
    /// [`AddrInUse`](io::ErrorKind::AddrInUse) then.
    fn bind(&self, on: &ListenOn, arrivals: Arrivals) -> io::Result<Listening>;
}

/// [`Listener`] for async programs.
pub trait AsyncListener: Send + Sync + 'static {
    /// As [`Listener::bind`].
    fn bind(
        &self,
        on: &ListenOn,
        arrivals: Arrivals,
    ) -> impl Future<Output = io::Result<Listening>> + Send;
}

/// Spawns and sleeps, through a handle kept from the start: it is also called where no runtime is
/// entered, as in a destructor.
pub trait Runtime: Send + Sync + 'static {
    /// Runs a task to its end. If the runtime is gone the task is dropped.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);

    /// Is ready after this time. Polled on the runtime.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// Runs a function that blocks where blocking harms nobody; `None` if it could not be run to
    /// its end.
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Option<T>> + Send;
}

/// Keeps credentials: opaque bytes under a key with a generation.
///
/// Shared by every session of a program, and by other programs. [`StoreRequest`] says what each
/// operation means and which answers it may have; `mcp-authz-host` has a suite that a store of
/// one's own can be held against.
pub trait Store: Send + Sync + 'static {
    /// Performs one operation. A swap is durable before it is answered, and compares the generation
    /// in one step with replacing it, so that of two processes only one succeeds. None waits for
    /// another holder; each ends within 30 seconds. [`StoreRequest::Leave`] may come from a
    /// destructor.
    fn perform(&self, request: StoreRequest) -> Stored;

    /// Every record of a kind, in any order. Records that cannot be read are left out.
    ///
    /// # Errors
    /// The `store_…` code, `store_unavailable` also for a store that cannot list.
    fn list(&self, kind: RecordKind) -> Result<Vec<(Key, Record)>, Kind> {
        let _ = kind;
        Err(Kind::StoreUnavailable)
    }
}

impl<S: Store + ?Sized> Store for Arc<S> {
    fn perform(&self, request: StoreRequest) -> Stored {
        (**self).perform(request)
    }

    fn list(&self, kind: RecordKind) -> Result<Vec<(Key, Record)>, Kind> {
        (**self).list(kind)
    }
}

/// Signs with keys the host owns.
pub trait Signer: Send + Sync + 'static {
    /// Makes one signature, in JWS form.
    fn sign(&self, request: SignRequest) -> Signature;
}

/// Is told what the session does: notes, pages to show to the person, and the grant in use.
pub trait Observer: Send + Sync + 'static {
    /// One thing told. Called without any lock, on whichever thread took the step; must not wait,
    /// since nobody is settled meanwhile. A call that would wait for the same session is refused
    /// with [`DriveError::Reentered`]; reports through [`Arrivals`], a live grant and `cancel` wait
    /// for nothing. A panic ends this call and nothing else.
    fn told(&self, told: &Told);
}

/// Is shown everything that sessions are given and do, to make a trace of it.
///
/// It sees every secret. It is called under the session's lock, and nothing goes on before it returns.
pub trait Recorder: Send + Sync + 'static {
    /// A session begins with this configuration.
    fn begin(&self, config: &Config) -> Box<dyn Steps>;
}

/// Is shown the steps of one session, in order: first what it is given, then what it does.
pub trait Steps: Send {
    /// The session is given this input. If it refuses it as a misuse, no effects follow.
    fn given(&mut self, env: &Env, input: &Input);

    /// The session goes on where this snapshot was taken.
    fn restored(&mut self, env: &Env, from: &Snapshot);

    /// The effects of what was given last.
    fn done(&mut self, effects: &Effects);
}

/// How a program reaches the outside. Sessions may share them.
#[derive(Clone, Copy, Debug)]
pub struct Ports<H, L, R = ()> {
    /// Sends.
    pub http: H,
    /// Listens on the redirect URI.
    pub listener: L,
    /// Spawns and sleeps; nothing in a program without a runtime.
    pub runtime: R,
}

/// The parts that every session has beside its ports.
#[derive(Clone)]
pub struct Common {
    /// Keeps credentials.
    pub store: Arc<dyn Store>,
    /// Signs.
    pub signer: Arc<dyn Signer>,
    /// Is told what happens.
    pub observer: Arc<dyn Observer>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random bytes.
    pub random: Arc<dyn Random>,
    /// Makes a trace of every session, if anybody wants one.
    pub recorder: Option<Arc<dyn Recorder>>,
}

impl Common {
    /// The surroundings of one step.
    pub(crate) fn env(&self) -> Result<Env, DriveError> {
        let entropy = self.random.draw().ok_or(DriveError::EntropyUnavailable)?;
        Ok(Env { wall: self.clock.wall(), mono: self.clock.mono(), entropy })
    }

    /// Who is shown the steps of a session that begins.
    pub(crate) fn steps(&self, config: &Config) -> Option<Box<dyn Steps>> {
        self.recorder.as_ref().map(|recorder| recorder.begin(config))
    }

    /// Ends a session's leases, if it took any. Called while things are dropped, perhaps unwinding.
    pub(crate) fn leave(&self, leave: Option<StoreRequest>) {
        if let Some(leave) = leave {
            let perform = AssertUnwindSafe(|| self.store.perform(leave));
            let _nobody_to_tell = catch_unwind(perform);
        }
    }
}

impl Default for Common {
    fn default() -> Self {
        Self {
            store: Arc::new(NoStore),
            signer: Arc::new(NoSigner),
            observer: Arc::new(Silent),
            clock: Arc::new(clock::System::new()),
            random: Arc::new(entropy::System),
            recorder: None,
        }
    }
}

impl fmt::Debug for Common {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Common")
    }
}

/// No store: every operation is answered `store_unavailable`.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStore;

impl Store for NoStore {
    fn perform(&self, _: StoreRequest) -> Stored {
        Stored::Failed(Kind::StoreUnavailable)
    }
}

/// No keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSigner;

impl Signer for NoSigner {
    fn sign(&self, _: SignRequest) -> Signature {
        Signature::Unavailable
    }
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn told(&self, _: &Told) {}
}

/// No body, for a port through which nobody reads one: it cannot be made.
#[derive(Clone, Copy, Debug)]
pub enum NoBody {}

impl AsyncBody for NoBody {
    async fn piece(&mut self, _: Duration) -> Result<Option<Bytes>, Why> {
        match *self {}
    }
}

/// No listener, for programs whose redirect URI somebody else serves.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoListener;

impl Listener for NoListener {
    fn bind(&self, _: &ListenOn, _: Arrivals) -> io::Result<Listening> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl AsyncListener for NoListener {
    async fn bind(&self, _: &ListenOn, _: Arrivals) -> io::Result<Listening> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The body of an answer that was read to its end, or as far as the caller wanted.
pub type Answer = Response<Vec<u8>>;

/// An answer whose body is still to come, or why there is none.
pub type Opened<B> = Result<Response<B>, Unanswered>;

/// No head of an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// The reason why no answer came.
    pub why: Why,
    /// True if the request may have reached the server.
    pub sent: bool,
}

impl From<Unanswered> for Reply {
    fn from(Unanswered { why, sent }: Unanswered) -> Self {
        if sent { Self::MaybeSent(why) } else { Self::NotSent(why) }
    }
}
