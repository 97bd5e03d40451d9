//! The admin side's way to the database: threads of its own, since asking a database waits, and the clients of some must
//! not be used on threads that run tasks. What takes long has one of them, so that nobody waits for it.

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

type Questions = mpsc::SyncSender<Question>;

/// Asks the database, one question at a time; and beside that one that takes long.
#[derive(Clone)]
pub(crate) struct DatabaseThread(Arc<[Questions; 2]>);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// Too many wait.
    Busy,
    Store(store::Error),
}

impl DatabaseThread {
    /// The threads end when nobody can ask any more.
    pub(crate) fn start([quick, long]: [Database; 2]) -> std::io::Result<DatabaseThread> {
        let answer = |name: &str, mut database: Database| {
            let (sender, questions) = mpsc::sync_channel::<Question>(QUESTIONS_MAX);
            let thread = std::thread::Builder::new().name(name.to_owned());
            thread.spawn(move || {
                for question in questions {
                    question(&mut database);
                }
            })?;
            Ok::<_, std::io::Error>(sender)
        };
        Ok(DatabaseThread(Arc::new([answer("database", quick)?, answer("long questions", long)?])))
    }

    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Database) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Unanswered> {
        let [quick, _] = &*self.0;
        send(quick, question)?.await.map_err(|_| Unanswered::Busy)?.map_err(Unanswered::Store)
    }

    /// The same for what takes long.
    pub(crate) async fn ask_at_length<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Database) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Unanswered> {
        let [_, long] = &*self.0;
        send(long, question)?.await.map_err(|_| Unanswered::Busy)?.map_err(Unanswered::Store)
    }

    /// The same for a thread that runs no tasks.
    pub(crate) fn ask_and_wait<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Database) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Unanswered> {
        let [quick, _] = &*self.0;
        let answered = send(quick, question)?.blocking_recv();
        answered.map_err(|_| Unanswered::Busy)?.map_err(Unanswered::Store)
    }
}

fn send<T: Send + 'static>(
    questions: &Questions,
    question: impl FnOnce(&mut Database) -> Result<T, store::Error> + Send + 'static,
) -> Result<oneshot::Receiver<Result<T, store::Error>>, Unanswered> {
    let (answer, answered) = oneshot::channel();
    let question: Question = Box::new(move |database| {
        // Who asked may have gone.
        let _ = answer.send(question(database));
    });
    questions.try_send(question).map_err(|_| Unanswered::Busy)?;
    Ok(answered)
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
