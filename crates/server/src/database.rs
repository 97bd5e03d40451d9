//! The admin side's way to the database: a thread of its own, since asking a database waits, and the clients of some must
//! not be used on threads that run tasks.

use std::{
    fmt,
    sync::{Arc, mpsc},
};

use store::Database;
use tokio::sync::oneshot;
use wire::{Fault, Kind, Origin};

/// The most questions that wait.
const QUESTIONS_MAX: usize = 64;

type Question = Box<dyn FnOnce(&mut Database) + Send>;

/// Asks the database, one question at a time.
#[derive(Clone)]
pub(crate) struct DatabaseThread(Arc<mpsc::SyncSender<Question>>);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// Too many wait.
    Busy,
    Store(store::Error),
}

impl DatabaseThread {
    /// The thread ends when nobody can ask any more.
    pub(crate) fn start(mut database: Database) -> std::io::Result<DatabaseThread> {
        let (sender, questions) = mpsc::sync_channel::<Question>(QUESTIONS_MAX);
        std::thread::Builder::new().name("database".to_owned()).spawn(move || {
            for question in questions {
                question(&mut database);
            }
        })?;
        Ok(DatabaseThread(Arc::new(sender)))
    }

    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Database) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Unanswered> {
        self.send(question)?.await.map_err(|_| Unanswered::Busy)?.map_err(Unanswered::Store)
    }

    /// The same for a thread that runs no tasks.
    pub(crate) fn ask_and_wait<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Database) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Unanswered> {
        let answered = self.send(question)?.blocking_recv();
        answered.map_err(|_| Unanswered::Busy)?.map_err(Unanswered::Store)
    }

    fn send<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Database) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, store::Error>>, Unanswered> {
        let (answer, answered) = oneshot::channel();
        let question: Question = Box::new(move |database| {
            // Who asked may have gone.
            let _ = answer.send(question(database));
        });
        self.0.try_send(question).map_err(|_| Unanswered::Busy)?;
        Ok(answered)
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unanswered::Busy => formatter.write_str("the admin side is busy; try again"),
            Unanswered::Store(error) => error.fmt(formatter),
        }
    }
}

impl From<Unanswered> for Fault {
    fn from(unanswered: Unanswered) -> Fault {
        let message = unanswered.to_string();
        match unanswered {
            Unanswered::Busy => Fault::new(Origin::Gateway, Kind::Overloaded, message).code("admin_busy"),
            Unanswered::Store(store::Error::NoKey(_)) => {
                Fault::new(Origin::Client, Kind::NotFound, message).code("no_such_key")
            }
            Unanswered::Store(store::Error::KeyExists(_)) => {
                Fault::invalid("name", message).code("key_exists")
            }
            Unanswered::Store(store::Error::Unreachable(_)) => {
                Fault::new(Origin::Gateway, Kind::Overloaded, message).code("store_unreachable")
            }
            Unanswered::Store(_) => Fault::new(Origin::Gateway, Kind::Internal, message).code("store_failed"),
        }
    }
}
