//! What `sslmode` asks of PostgreSQL's certificate, against a server that shows one for localhost.

use policy::{Secret, snapshot};
use tollgate_store::{DataDir, Error};

use crate::place::Place;

#[test]
fn a_certificate_is_looked_at_where_that_is_asked_for() {
    let Ok(certificate) = std::env::var("TOLLGATE_TEST_POSTGRES_CERTIFICATE") else {
        eprintln!("skipped: TOLLGATE_TEST_POSTGRES_CERTIFICATE names no certificate of a PostgreSQL");
        return;
    };
    let Some(place) = Place::server() else { return };
    let snapshot::Database::Postgres(address) = &place.store.database else { return };
    let open = |host: &str, query: &str| {
        let address = format!("{}?{query}", address.expose().replace("127.0.0.1", host));
        let database = snapshot::Database::Postgres(Secret::new(address));
        let store = snapshot::Store { database, ..place.store.clone() };
        DataDir::open_with(place.folder.path(), &store)?.database().map(|_| ())
    };
    let with_root = format!("sslmode=verify-full&sslrootcert={certificate}");
    for (host, query) in [
        ("localhost", with_root.as_str()),
        ("127.0.0.1", "sslmode=require"),
        ("127.0.0.1", "sslmode=prefer"),
        ("127.0.0.1", "sslmode=disable"),
    ] {
        assert!(open(host, query).is_ok(), "{host} {query}");
    }
    for (host, query, part) in [
        ("localhost", "sslmode=verify-full", "certificate"),
        ("127.0.0.1", with_root.as_str(), "not valid for name"),
    ] {
        let error =
            open(host, query).expect_err("the certificate is not this server's, or nobody vouches for it");
        assert!(
            matches!(error, Error::Unreachable(_)) && error.to_string().contains(part),
            "{query}: {error}"
        );
    }
}
