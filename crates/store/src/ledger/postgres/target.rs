//! Where PostgreSQL is.

use futures_util::future::{Either, select};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{PostgresLink, schema};
use crate::{
    ledger::{driver::OPERATION, job::Failure, link::Background},
    sql::Server,
};

pub(in crate::ledger) struct PostgresTarget {
    config: Config,
    tls: MakeRustlsConnect,
}

impl PostgresTarget {
    pub(in crate::ledger) fn new(server: &Server) -> PostgresTarget {
        let (mut config, tls) = server.parts();
        config.application_name("tollgate ledger").connect_timeout(OPERATION).tcp_user_timeout(OPERATION);
        PostgresTarget { config, tls }
    }

    /// Two connections: a batch of settlements holds no reservation up.
    pub(in crate::ledger) async fn connect(&self) -> Result<(PostgresLink, Background), Failure> {
        let (reserving, reserving_runs) = self.open().await?;
        let (settling, settling_runs) = self.open().await?;
        let mut background: Background = Box::pin(async move {
            // When one has ended, the other is given up, too.
            select(reserving_runs, settling_runs).await;
        });
        let prepared = Box::pin(async {
            schema::migrate(&reserving).await?;
            PostgresLink::prepare(reserving, settling).await
        });
        match select(prepared, &mut background).await {
            Either::Left((link, _)) => Ok((link.map_err(|error| lost(&error))?, background)),
            Either::Right(_) => Err(Failure::Lost("the connection has ended".to_owned())),
        }
    }

    async fn open(&self) -> Result<(Client, Background), Failure> {
        let (client, connection) =
            self.config.connect(self.tls.clone()).await.map_err(|error| lost(&error))?;
        let mut runs: Background = Box::pin(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection of the shared ledger");
            }
        });
        let limits = Box::pin(client.batch_execute(LIMITS));
        match select(limits, &mut runs).await {
            Either::Left((set, _)) => set.map_err(|error| lost(&error))?,
            Either::Right(_) => return Err(Failure::Lost("the connection has ended".to_owned())),
        }
        Ok((client, runs))
    }
}

fn lost(error: &tokio_postgres::Error) -> Failure {
    Failure::Lost(super::link::why(error))
}

/// No statement takes longer than the driver waits for it.
const LIMITS: &str = "SET statement_timeout = 2000; SET lock_timeout = 1000; SET synchronous_commit = off; \
     SET idle_in_transaction_session_timeout = 5000";
