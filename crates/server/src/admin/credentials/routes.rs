//! The routes of credentials.

use http::Method;
use policy::role::Permission;
use schemars::SchemaGenerator;

use super::bodies::{Credential, CredentialBody, ReplacementBody};
use crate::admin::{
    bodies::List,
    routes::{Action, Parameter, Route, Shape, VERSIONED, number, simple, text},
};

/// What is done with credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin) enum Act {
    List,
    Create,
    Read,
    Replace,
    Delete,
}

const ALL: &str = "/admin/v1/provider-credentials";
const ONE: &str = "/admin/v1/provider-credentials/{id}";
const LIST: [Parameter; 3] = [
    text("search", "only names with these letters in them"),
    number("limit", "how many, from 1 to 500; 100 where nothing is said"),
    text("cursor", "what next_cursor said"),
];

pub(in crate::admin) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::CredentialsRead, Permission::CredentialsWrite);
    let list: Shape = SchemaGenerator::subschema_for::<List<Credential>>;
    let single: Shape = SchemaGenerator::subschema_for::<Credential>;
    let act = |shape: Shape, act: Act| (shape, Action::Credentials(act));
    vec![
        Route {
            parameters: &LIST,
            ..simple(
                Method::GET,
                ALL,
                ("listProviderCredentials", "List credentials of providers"),
                read,
                act(list, Act::List),
            )
        },
        Route {
            request: Some(SchemaGenerator::subschema_for::<CredentialBody>),
            status: 201,
            ..simple(
                Method::POST,
                ALL,
                ("createProviderCredential", "Keep a credential of a provider"),
                write,
                act(single, Act::Create),
            )
        },
        simple(
            Method::GET,
            ONE,
            ("readProviderCredential", "Show what a credential of a provider is for"),
            read,
            act(single, Act::Read),
        ),
        Route {
            headers: VERSIONED,
            request: Some(SchemaGenerator::subschema_for::<ReplacementBody>),
            ..simple(
                Method::PUT,
                ONE,
                ("replaceProviderCredential", "Replace a credential of a provider"),
                write,
                act(single, Act::Replace),
            )
        },
        Route {
            headers: VERSIONED,
            ..simple(
                Method::DELETE,
                ONE,
                ("deleteProviderCredential", "Delete a credential of a provider"),
                write,
                act(single, Act::Delete),
            )
        },
    ]
}
