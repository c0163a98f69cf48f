//! Many at once.

use core::future::Future;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Runtime;
use tokio::sync::Barrier;

/// Starts so many at once, each a task; how long until all are done.
///
/// # Panics
/// If one of them does.
pub(crate) fn rush<F>(runtime: &Runtime, count: usize, one: impl Fn() -> F) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let gate = Arc::new(Barrier::new(count.saturating_add(1)));
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let (gate, one) = (Arc::clone(&gate), one());
            runtime.spawn(async move {
                gate.wait().await;
                one.await;
            })
        })
        .collect();
    runtime.block_on(async {
        gate.wait().await;
        let begun = Instant::now();
        for task in tasks {
            task.await.expect("no panic");
        }
        begun.elapsed()
    })
}
