//! Where Redis is.

use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo,
    cluster::{ClusterClient, ClusterClientBuilder},
};

use super::{RedisLink, link::Connection};
use crate::ledger::{driver::OPERATION, job::Failure};

pub(in crate::ledger) struct RedisTarget {
    client: Kind,
}

enum Kind {
    Single(Box<Client>),
    Cluster(Box<ClusterClient>),
}

impl RedisTarget {
    /// One address, or several with commas between them, of which any may be a cluster's node.
    pub(in crate::ledger) fn new(address: &str) -> Result<RedisTarget, String> {
        let bad = |error: redis::RedisError| error.category().to_owned();
        let nodes: Vec<&str> = address.split(',').map(str::trim).collect();
        let is_cluster = nodes.len() > 1 || address.contains("-cluster://");
        let plain = |node: &str| node.replacen("-cluster://", "://", 1);
        if is_cluster {
            let infos: Result<Vec<_>, _> =
                nodes.into_iter().map(|node| plain(node).into_connection_info()).collect();
            let builder = ClusterClientBuilder::new(infos.map_err(bad)?)
                .connection_timeout(OPERATION)
                .response_timeout(OPERATION);
            return Ok(RedisTarget { client: Kind::Cluster(Box::new(builder.build().map_err(bad)?)) });
        }
        Ok(RedisTarget { client: Kind::Single(Box::new(Client::open(plain(address)).map_err(bad)?)) })
    }

    pub(in crate::ledger) async fn connect(&self) -> Result<RedisLink, Failure> {
        let connection = match &self.client {
            Kind::Single(client) => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(OPERATION))
                    .set_response_timeout(Some(OPERATION));
                client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await
                    .map(|connection| Connection::Single(Box::new(connection)))
            }
            Kind::Cluster(client) => client
                .get_async_connection()
                .await
                .map(|connection| Connection::Cluster(Box::new(connection))),
        };
        let connection = connection.map_err(|error| Failure::Lost(error.to_string()))?;
        Ok(RedisLink::new(connection))
    }
}
