//! A caller with a live token, in every driver, beside the floor and beside std's lock; alone, and
//! on all cores at once.

use divan::{AllocProfiler, Bencher};
use mcp_authz_benches::live::{Floor, Live, Locked};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

macro_rules! compared {
    ($($name:ident: $make:ty, $acquire:ident;)*) => {
        $(
            #[divan::bench(threads = [1, 0])]
            fn $name(bencher: Bencher<'_, '_>) {
                let held = <$make>::new();
                bencher.bench(|| held.$acquire());
            }
        )*
    };
}

compared! {
    floor: Floor, acquire;
    rw_lock: Locked, acquire;
    acquire_ureq: Live, acquire_ureq;
    acquire_tokio: Live, acquire_tokio;
    acquire_async_std: Live, acquire_async_std;
    authorize_ureq: Live, authorize_ureq;
    authorize_tokio: Live, authorize_tokio;
    authorize_async_std: Live, authorize_async_std;
}
