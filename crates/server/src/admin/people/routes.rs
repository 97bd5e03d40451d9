//! The routes of people.

use http::Method;
use policy::role::Permission;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value as Json};

use super::bodies::{
    Ended, LocalAccount, LocalAccountBody, LocalAccountWithPassword, Me, OneTimePassword, OwnPassword,
    SessionShown, SignInBody, SignedOut, Ways,
};
use crate::admin::{
    bodies::List,
    routes::{Action, Answer, Parameter, Route, Shape, VERSIONED, number, route, text},
};

/// What is asked of people and about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin) enum PeopleAction {
    Ways,
    SignIn,
    StartLogin,
    EndLogin,
    SignOut,
    Me,
    OwnPassword,
    Sessions,
    EndSessions,
    EndSession,
    Accounts,
    CreateAccount,
    ReadAccount,
    MergeAccount,
    DeleteAccount,
    SetPassword,
}

impl PeopleAction {
    /// Whether anybody may ask it: those who want to get in.
    pub(in crate::admin) fn is_public(self) -> bool {
        matches!(
            self,
            PeopleAction::Ways | PeopleAction::SignIn | PeopleAction::StartLogin | PeopleAction::EndLogin
        )
    }

    /// Whether it is answered while a one-time password has not been changed.
    pub(super) fn is_before_change(self) -> bool {
        matches!(self, PeopleAction::Me | PeopleAction::OwnPassword | PeopleAction::SignOut)
    }
}

const ACCOUNTS: [Parameter; 3] = [
    text("search", "only names with these letters in them"),
    number("limit", "how many, from 1 to 500; 100 where nothing is said"),
    text("cursor", "what next_cursor said"),
];
const LOGIN: [Parameter; 1] = [text(
    "return_to",
    "the path of this gateway to go to afterwards, as /; /admin/v1/me where nothing is said",
)];

fn shape<T: schemars::JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

pub(in crate::admin) fn routes() -> Vec<Route> {
    let mut routes = of_sign_in();
    routes.extend(of_sessions());
    routes.extend(of_accounts());
    routes
}

fn of_sign_in() -> Vec<Route> {
    let goes_on = |route: Route| Route { status: 302, answer: Answer::Text, ..route };
    vec![
        people(
            (Method::GET, "/admin/v1/sign-in"),
            ("listWaysIn", "How people can sign in"),
            None,
            (shape::<Ways>, PeopleAction::Ways),
        ),
        Route {
            request: Some(shape::<SignInBody>),
            ..people(
                (Method::POST, "/admin/v1/sign-in"),
                ("signIn", "Sign in with a password or an admin key; the answer sets the session's cookie"),
                None,
                (shape::<Me>, PeopleAction::SignIn),
            )
        },
        goes_on(Route {
            parameters: &LOGIN,
            ..people(
                (Method::GET, "/admin/v1/sign-in/{provider}"),
                ("startLogin", "Go to an identity provider to sign in"),
                None,
                (shape::<Map<String, Json>>, PeopleAction::StartLogin),
            )
        }),
        goes_on(people(
            (Method::GET, "/admin/v1/sign-in/{provider}/callback"),
            ("endLogin", "Where an identity provider sends people back to"),
            None,
            (shape::<Map<String, Json>>, PeopleAction::EndLogin),
        )),
        people(
            (Method::POST, "/admin/v1/sign-out"),
            ("signOut", "End the session"),
            None,
            (shape::<SignedOut>, PeopleAction::SignOut),
        ),
    ]
}

fn of_sessions() -> Vec<Route> {
    vec![
        people(
            (Method::GET, "/admin/v1/me"),
            ("readMe", "Who asks, and what they may do"),
            None,
            (shape::<Me>, PeopleAction::Me),
        ),
        Route {
            request: Some(shape::<OwnPassword>),
            ..people(
                (Method::POST, "/admin/v1/me/password"),
                ("changeOwnPassword", "Change one's own password; all other sessions end"),
                None,
                (shape::<Me>, PeopleAction::OwnPassword),
            )
        },
        people(
            (Method::GET, "/admin/v1/sessions"),
            ("listSessions", "One's own sessions; with admins:write, those of all"),
            None,
            (shape::<List<SessionShown>>, PeopleAction::Sessions),
        ),
        people(
            (Method::DELETE, "/admin/v1/sessions"),
            ("endSessions", "End one's own sessions, this one included"),
            None,
            (shape::<Ended>, PeopleAction::EndSessions),
        ),
        people(
            (Method::DELETE, "/admin/v1/sessions/{id}"),
            ("endSession", "End one of one's own sessions; with admins:write, any"),
            None,
            (shape::<SessionShown>, PeopleAction::EndSession),
        ),
    ]
}

fn of_accounts() -> Vec<Route> {
    let needs = Some(Permission::AdminsWrite);
    let one: Shape = shape::<LocalAccount>;
    let with_password: Shape = shape::<LocalAccountWithPassword>;
    vec![
        Route {
            parameters: &ACCOUNTS,
            ..people(
                (Method::GET, "/admin/v1/accounts"),
                ("listAccounts", "List accounts"),
                needs,
                (shape::<List<LocalAccount>>, PeopleAction::Accounts),
            )
        },
        Route {
            request: Some(shape::<LocalAccountBody>),
            status: 201,
            ..people(
                (Method::POST, "/admin/v1/accounts"),
                ("createAccount", "Make an account with a one-time password, which is shown once"),
                needs,
                (with_password, PeopleAction::CreateAccount),
            )
        },
        people(
            (Method::GET, "/admin/v1/accounts/{id}"),
            ("readAccount", "Show an account"),
            needs,
            (one, PeopleAction::ReadAccount),
        ),
        Route {
            headers: VERSIONED,
            request: Some(shape::<Map<String, Json>>),
            ..people(
                (Method::PATCH, "/admin/v1/accounts/{id}"),
                ("mergeAccount", "Change an account's name or role, disable or enable it; its sessions end"),
                needs,
                (one, PeopleAction::MergeAccount),
            )
        },
        people(
            (Method::DELETE, "/admin/v1/accounts/{id}"),
            ("deleteAccount", "End an account and its sessions"),
            needs,
            (one, PeopleAction::DeleteAccount),
        ),
        Route {
            request: Some(shape::<OneTimePassword>),
            may_be_empty: true,
            ..people(
                (Method::POST, "/admin/v1/accounts/{id}/password"),
                ("setPassword", "Give an account a one-time password, which unlocks it; its sessions end"),
                needs,
                (with_password, PeopleAction::SetPassword),
            )
        },
    ]
}

fn people(
    at: (Method, &str),
    (operation, summary): (&str, &str),
    needs: Option<Permission>,
    (shape, action): (Shape, PeopleAction),
) -> Route {
    let named = (operation.to_owned(), summary.to_owned());
    Route { needs, ..route(at, named, Permission::PartsRead, (shape, Action::People(action))) }
}
