//! The only place where tasks are spawned, so that each has a name and an owner.

use std::future::Future;

use tokio::task::JoinHandle;

/// Runs a task on this core, for as long as the core runs.
#[expect(clippy::disallowed_methods, reason = "this is the place that the ban points to")]
pub(crate) fn spawn_local(name: &'static str, task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
    tracing::trace!(name, "task");
    tokio::task::spawn_local(task)
}

/// Runs a task on the admin runtime.
#[expect(clippy::disallowed_methods, reason = "this is the place that the ban points to")]
pub(crate) fn spawn(name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tracing::trace!(name, "task");
    tokio::spawn(task)
}

/// Runs what would hold a core up on a thread of its own, and waits for it. `None` where it panicked.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

/// Runs hyper's own tasks on this core.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        spawn_local("http/2 stream", async move {
            future.await;
        });
    }
}
