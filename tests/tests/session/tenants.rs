//! Several tenants and resources over one store: what belongs to one is served to no other.

use core::mem::swap;
use std::collections::BTreeMap;

use mcp_authz_core::Config;
use mcp_authz_core::config::ConfigBuilder;
use mcp_authz_core::effect::RecordKind;
use mcp_authz_core::time::Awaited;
use mcp_authz_tests::model::Settings;
use mcp_authz_tests::random::Random;
use mcp_authz_tests::sim::Sim;
use serde_json::json;

use crate::given::{
    METADATA, approve, discover, kept, known_client, refresh, resource, server, tokens,
};

/// Two sessions, each with a clock of its own, over one server and one store, which are with
/// whichever of them acts.
struct Tenants {
    sims: [Sim; 2],
    /// Who was served each access token first.
    served: BTreeMap<String, usize>,
    active: usize,
    seconds: u64,
}

const NAMES: [Option<&str>; 2] = [None, Some("T2")];

impl Tenants {
    fn new() -> Self {
        let sim = |tenant: usize| {
            let mut sim = Sim::against(Settings::default(), |config| named(config, tenant));
            sim.draw_from(u64::try_from(tenant).unwrap() << 32);
            sim
        };
        Self { sims: [sim(0), sim(1)], served: BTreeMap::new(), active: 0, seconds: 0 }
    }

    /// This tenant acts; the server and the store are with it now.
    fn act(&mut self, tenant: usize) -> &mut Sim {
        if self.active != tenant {
            let [one, other] = &mut self.sims;
            swap(one.model(), other.model());
            swap(one.store(), other.store());
            self.active = tenant;
        }
        let seconds = self.seconds;
        self.sims[tenant].at(seconds);
        &mut self.sims[tenant]
    }

    /// Whatever a tenant holds now was never another's.
    #[track_caller]
    fn look(&mut self, tenant: usize) {
        if let Some(granted) = self.sims[tenant].published() {
            let token = granted.authorization().to_str().unwrap().to_owned();
            let whose = *self.served.entry(token).or_insert(tenant);
            assert_eq!(whose, tenant, "a token of one tenant is served to the other");
        }
    }
}

fn named(config: ConfigBuilder, tenant: usize) -> ConfigBuilder {
    let config = config.persistent(true);
    match NAMES[tenant] {
        Some(name) => config.account(name),
        None => config,
    }
}

#[test]
fn no_tenant_is_served_another_s_token_in_ten_thousand_operations_host_296() {
    let mut tenants = Tenants::new();
    let mut chance = Random::new(0x5eed_1234_5678_9abc);
    let mut logins = [0; 2];
    for _ in 0..10_000 {
        let tenant = usize::try_from(chance.below(2)).unwrap();
        tenants.seconds += chance.below(120);
        let mut seconds = tenants.seconds;
        let sim = tenants.act(tenant);
        match chance.below(100) {
            0..=59 => {
                let caller = sim.acquire_quietly("");
                sim.serve();
                sim.cancel(caller);
            }
            60..=79 => {
                let caller = sim.acquire("");
                sim.serve();
                while let Some(Awaited::Person | Awaited::Pause) = sim.waits_for() {
                    if sim.waits_for() == Some(Awaited::Person) {
                        sim.expect_visit().approve();
                        logins[tenant] += 1;
                    } else {
                        seconds += 1;
                        sim.at(seconds);
                    }
                    sim.serve();
                }
                sim.expect_granted(caller);
                tenants.seconds = seconds;
            }
            80..=89 => {
                let caller = sim.refused(401, "Bearer");
                sim.serve();
                sim.cancel(caller);
            }
            90..=97 => sim.new_process(|config| named(config, tenant)),
            _ => {
                sim.forget();
                sim.serve();
            }
        }
        tenants.look(tenant);
        tenants.look(1 - tenant);
    }
    assert!(logins.iter().all(|logins| *logins > 20), "{logins:?}");
    let served = |tenant| tenants.served.values().filter(|whose| **whose == tenant).count();
    assert!(served(0) > 100 && served(1) > 100, "{} and {}", served(0), served(1));
    let grants = tenants.sims[tenants.active].store().documents(RecordKind::Grant);
    let mut accounts: Vec<_> = grants.iter().map(|grant| grant["account"].as_str()).collect();
    accounts.sort_unstable();
    // Cancelled logins put a registration in doubt, and each new one has a record of its own.
    accounts.dedup();
    assert_eq!(accounts, [Some("T2"), Some("default")]);
}

/// One client at one issuer, for a second resource.
fn at_another_resource() -> Sim {
    Sim::by_hand(|_| {
        let config = Config::builder("https://mcp.example/other").persistent(true);
        config.pre_registered(known_client(None))
    })
}

#[test]
fn resources_of_one_issuer_and_client_share_no_token_host_297() {
    let mut first = kept();
    first.new_process(|config| config.persistent(true).pre_registered(known_client(None)));
    let caller = first.acquire("");
    discover(&mut first);
    approve(&mut first).reply_json(200, &tokens(1, 60));
    first.expect_granted(caller);

    let mut second = at_another_resource();
    swap(first.store(), second.store());
    let quiet = second.acquire_quietly("");
    second.expect_failed(quiet, "reauthorization_required");
    second.expect_no_call();
    let caller = second.acquire("");
    let mut about = resource(&[]);
    about["resource"] = json!("https://mcp.example/other");
    let well_known = "/.well-known/oauth-protected-resource/other";
    second.expect_call(http::Method::GET, well_known).reply_json(200, &about);
    second.expect_call(http::Method::GET, METADATA).reply_json(200, &server());
    let call = approve(&mut second);
    assert_eq!(call.form("client_id"), ["known"]);
    assert_eq!(call.form("resource"), ["https://mcp.example/other"]);
    call.reply_json(200, &tokens(2, 60));
    assert_eq!(second.expect_granted(caller).authorization(), "Bearer AT-CANARY-2");
    assert_eq!(second.store().documents(RecordKind::Grant).len(), 2);

    // Each renews with what is its own.
    let caller = second.at(60).acquire_quietly("");
    refresh(&mut second, 2).reply_json(200, &tokens(12, 600));
    second.expect_granted(caller);
    swap(first.store(), second.store());
    let caller = first.at(60).acquire_quietly("");
    refresh(&mut first, 1).reply_json(200, &tokens(11, 600));
    assert_eq!(first.expect_granted(caller).authorization(), "Bearer AT-CANARY-11");
    let mut third = at_another_resource();
    swap(first.store(), third.store());
    let caller = third.at(60).acquire_quietly("");
    assert_eq!(third.expect_granted(caller).authorization(), "Bearer AT-CANARY-12");
}
