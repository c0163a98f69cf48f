//! The parties of a schedule, and the oddities of the servers and the machine.
//!
//! Two bytes at the beginning say who is there. Up to two at the end, behind the last whole action,
//! say what is odd: without them, as in every schedule from before there were any, nothing is.

use core::fmt;

use mcp_authz_core::config::{ConfigBuilder, Method, PreRegistered};
use mcp_authz_core::secret::Secret;
use serde_json::{Value, json};

use crate::model::{
    AuthMethod, Endpoint, Literal, Model, Preregistered, RefreshIssue, Rotation, Server, Settings,
    Sloppiness,
};

/// How the server treats a refresh token that it has replaced, and who is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scene {
    /// 1 to 4.
    pub processes: usize,
    /// 2 to 16, spread over the processes.
    pub callers: usize,
    /// A replaced refresh token works for half a minute more.
    pub grace: bool,
    /// Somebody has logged in before the schedule begins.
    pub logged_in: bool,
    /// Seconds an access token lives.
    pub life: u64,
    /// The server has forgotten the registration of the first code that it is sent.
    pub forgets: bool,
    /// The oddities of the servers and the machine.
    pub odd: Odd,
}

impl Scene {
    pub(super) fn read([first, second]: [u8; 2], odd: [u8; 2]) -> Self {
        let (first, second) = (usize::from(first), usize::from(second));
        Self {
            processes: 1 + first % 4,
            callers: 2 + second % 15,
            grace: first & 4 != 0,
            logged_in: !(first >> 3).is_multiple_of(4),
            life: [40, 60, 120, 600].get((first >> 5) % 4).copied().unwrap_or(60),
            forgets: second / 15 == 3,
            odd: Odd::read(odd),
        }
    }

    /// The servers of this scene.
    pub(super) fn model(&self) -> Model {
        let mut settings = Settings::revision("2025-11-25");
        let tokens = &mut settings.server.tokens;
        tokens.access_life_s = self.life;
        tokens.forgets_clients = usize::from(self.forgets);
        let grace_ms = if self.grace { 30_000 } else { 0 };
        tokens.rotation = Rotation::On { revoke_family: true, grace_ms };
        self.odd.apply(&mut settings.server, self.logged_in);
        let mut model = Model::new(settings);
        let refused = Literal::json(400, r#"{"error":"invalid_client_metadata"}"#);
        model.inject(Endpoint::Register, self.odd.client.refused_registrations(), refused);
        model
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processes, callers, grace, logged_in, life, forgets, odd } = self;
        write!(f, "{processes} process(es), {callers} callers, access tokens of {life} s, ")?;
        let rotation = if *grace { "rotation with 30 s of grace" } else { "strict rotation" };
        let forgets = if *forgets { ", a forgetful server" } else { "" };
        let logged_in = if *logged_in { "logged in" } else { "nobody logged in" };
        write!(f, "{rotation}, {logged_in}{forgets}")?;
        if *odd == Odd::default() { Ok(()) } else { write!(f, "\nOdd: {odd:?}") }
    }
}

/// The habits of real servers and machines that the honest ones of the model do not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Odd {
    /// The form of answers that grant tokens.
    pub form: Form,
    /// The words in which a refresh is refused for good.
    pub words: Words,
    /// So many refreshes are answered by 503 before any is looked at.
    pub outages: u8,
    /// How the client comes to be one.
    pub client: Client,
    /// How long tokens are good, and what for.
    pub tokens: Lives,
    /// Where the store, a listener or a connection fails, it is for want of descriptors or memory.
    pub exhausted: bool,
    /// The first code exchange of the schedule is refused as `invalid_client`.
    pub refuses_exchange: bool,
}

/// The form of an answer that grants tokens (HOST-320).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the settings of the model say it")]
pub enum Form {
    #[default]
    Clean,
    Encoding,
    NotUtf8,
    Nul,
    Remark,
    Twice,
    Accepted,
    NonAuthoritative,
}

/// The words in which a refresh is refused for good (REF-90).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are the names")]
pub enum Words {
    #[default]
    InvalidGrant,
    OkFalse,
    Message,
    InvalidScope,
    InvalidRequest,
    InvalidClient,
    Detail,
    InteractionRequired,
}

/// How the client comes to be one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Client {
    /// It registers, and is public.
    #[default]
    Public,
    /// It registers, and is given a secret for HTTP Basic.
    Basic,
    /// It registers, and is given a secret for the body.
    Post,
    /// It was agreed upon beforehand, and is public.
    Known,
    /// It was agreed upon beforehand with a secret for HTTP Basic.
    KnownBasic,
    /// It was agreed upon beforehand with a secret for the body.
    KnownPost,
    /// Its first registration is refused.
    RefusedOnce,
    /// Its first three registrations are refused.
    RefusedThrice,
}

/// How long tokens are good, and what for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lives {
    /// As the scene has it.
    #[default]
    Plain,
    /// Access tokens live three seconds.
    Short,
    /// Access tokens live three seconds, and there are no refresh tokens.
    ShortAlone,
    /// There are no refresh tokens.
    Alone,
    /// Refresh tokens live 100 seconds.
    RefreshShort,
    /// An access token is good for one request.
    OneUse,
    /// An access token is good for three requests.
    ThreeUses,
    /// One refresh token stays for ever.
    Static,
}

/// The fields of [`Odd`] within its two bytes, lowest bits first.
const FIELDS: [u16; 7] = [0x0007, 0x0038, 0x00c0, 0x0700, 0x3800, 0x4000, 0x8000];

impl Odd {
    fn read(bytes: [u8; 2]) -> Self {
        use {Client as C, Form as F, Lives as L, Words as W};
        let [low, high] = bytes.map(usize::from);
        let forms = [
            F::Clean,
            F::Encoding,
            F::NotUtf8,
            F::Nul,
            F::Remark,
            F::Twice,
            F::Accepted,
            F::NonAuthoritative,
        ];
        let words = [
            W::InvalidGrant,
            W::OkFalse,
            W::Message,
            W::InvalidScope,
            W::InvalidRequest,
            W::InvalidClient,
            W::Detail,
            W::InteractionRequired,
        ];
        let clients = [
            C::Public,
            C::Basic,
            C::Post,
            C::Known,
            C::KnownBasic,
            C::KnownPost,
            C::RefusedOnce,
            C::RefusedThrice,
        ];
        let lives = [
            L::Plain,
            L::Short,
            L::ShortAlone,
            L::Alone,
            L::RefreshShort,
            L::OneUse,
            L::ThreeUses,
            L::Static,
        ];
        Self {
            form: pick(forms, low),
            words: pick(words, low >> 3),
            outages: pick([0, 1, 2, 4], low >> 6),
            client: pick(clients, high),
            tokens: pick(lives, high >> 3),
            exhausted: high & 0x40 != 0,
            refuses_exchange: high & 0x80 != 0,
        }
    }

    /// The same with one field of it as it is at honest servers, for each of them.
    pub(super) fn tamer(bytes: [u8; 2]) -> impl Iterator<Item = [u8; 2]> {
        FIELDS.map(|field| (u16::from_le_bytes(bytes) & !field).to_le_bytes()).into_iter()
    }

    /// Bytes in which each field has an even chance to be as it is at honest servers.
    pub(super) fn drawn(number: u64) -> [u8; 2] {
        let [low, high, chances, ..] = number.to_le_bytes();
        let drawn = |(bit, field): (usize, &u16)| if chances >> bit & 1 == 1 { *field } else { 0 };
        let kept: u16 = FIELDS.iter().enumerate().map(drawn).sum();
        (u16::from_le_bytes([low, high]) & kept).to_le_bytes()
    }

    fn apply(&self, server: &mut Server, logged_in: bool) {
        let tokens = &mut server.tokens;
        match self.form {
            Form::Clean => {}
            Form::Accepted => tokens.status = 202,
            Form::NonAuthoritative => tokens.status = 203,
            Form::Encoding => tokens.sloppiness = Some(Sloppiness::Encoding("utf-8")),
            Form::NotUtf8 => tokens.sloppiness = Some(Sloppiness::NotUtf8),
            Form::Nul => tokens.sloppiness = Some(Sloppiness::Followed(b"\0")),
            Form::Remark => tokens.sloppiness = Some(Sloppiness::Followed(b"\n<!-- 12 ms -->")),
            Form::Twice => tokens.sloppiness = Some(Sloppiness::Twice),
        }
        tokens.refresh_refusal = self.words.refusal();
        tokens.refresh_outages = usize::from(self.outages);
        // A login before the schedule begins was served: its exchange counts, and is not refused.
        tokens.refuses_exchange = self.refuses_exchange.then_some(1 + usize::from(logged_in));
        match self.tokens {
            Lives::Plain => {}
            Lives::Short => tokens.access_life_s = 3,
            Lives::ShortAlone => {
                tokens.access_life_s = 3;
                tokens.refresh = RefreshIssue::Never;
            }
            Lives::Alone => tokens.refresh = RefreshIssue::Never,
            Lives::RefreshShort => tokens.refresh_life_ms = Some(100_000),
            Lives::OneUse => tokens.access_uses = Some(1),
            Lives::ThreeUses => tokens.access_uses = Some(3),
            Lives::Static => tokens.rotation = Rotation::Off,
        }
        server.registration.assigns = match self.client {
            Client::Basic => Some(AuthMethod::Basic),
            Client::Post => Some(AuthMethod::Post),
            _ => None,
        };
        server.clients.extend(self.client.known().map(|method| Preregistered {
            client_id: CLIENT.to_owned(),
            secret: (method != AuthMethod::None).then(|| SECRET.to_owned()),
            method,
            redirect_uris: vec!["http://127.0.0.1/callback".to_owned()],
            grant_types: server.grant_types.clone(),
        }));
    }

    /// Adds the part of all this that a program is told to its configuration.
    pub(super) fn configure(&self, config: ConfigBuilder, issuer: &str) -> ConfigBuilder {
        let Some(method) = self.client.known() else { return config };
        config.pre_registered(PreRegistered {
            issuer: Some(issuer.to_owned()),
            client_id: CLIENT.to_owned(),
            secret: (method != AuthMethod::None).then(|| Secret::new(SECRET)),
            method: Method::from_name(method.name()),
        })
    }
}

const CLIENT: &str = "known";
const SECRET: &str = "a secret that was agreed upon";

impl Client {
    /// How it proves itself, if it was agreed upon beforehand.
    pub(super) const fn known(self) -> Option<AuthMethod> {
        match self {
            Self::Known => Some(AuthMethod::None),
            Self::KnownBasic => Some(AuthMethod::Basic),
            Self::KnownPost => Some(AuthMethod::Post),
            _ => None,
        }
    }

    const fn refused_registrations(self) -> usize {
        match self {
            Self::RefusedOnce => 1,
            Self::RefusedThrice => 3,
            _ => 0,
        }
    }
}

impl Words {
    fn refusal(self) -> Option<(u16, Value)> {
        Some(match self {
            Self::InvalidGrant => return None,
            Self::OkFalse => (200, json!({ "ok": false, "error": "invalid_refresh_token" })),
            Self::Message => (422, json!({ "message": "Invalid Refresh Token: Not Found" })),
            Self::InvalidScope => (400, json!({ "error": "invalid_scope" })),
            Self::InvalidRequest => (400, json!({ "error": "invalid_request" })),
            Self::InvalidClient => (401, json!({ "error": "invalid_client" })),
            Self::Detail => (403, json!({ "detail": "revoked by an administrator" })),
            Self::InteractionRequired => (400, json!({ "error": "interaction_required" })),
        })
    }
}

fn pick<T: Copy, const N: usize>(from: [T; N], number: usize) -> T {
    *from.get(number % N).expect("a remainder is less")
}
