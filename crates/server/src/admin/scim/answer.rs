//! Answers requests of SCIM.

use serde_json::{Map, Value as Json};
use store::Database;

use super::{
    action::{ScimAction, Verb},
    body::object,
    discovery, list,
    projection::Projection,
    schema::ResourceType,
    search::Search,
    tenant::Tenant,
    user::Order,
};
use crate::admin::{
    Admin, AdminRequest, Reply, change::Wish, find::Finder, query::Expected, refusal::Refusal,
};

/// A change, with all that it needs.
struct Write {
    tenant: Tenant,
    wish: Wish,
    projection: Projection,
    wanted: String,
    given: Map<String, Json>,
}

impl Admin {
    /// Callers may change users, or they do not come here. The finder is one of users.
    pub(in crate::admin) async fn scim(
        &self,
        action: ScimAction,
        (finder, wanted): (Finder, String),
        request: &AdminRequest,
    ) -> Result<Reply, Refusal> {
        let tenant = Tenant::new(finder, request);
        match action {
            ScimAction::Discover(what) => discovery::answer(what, &wanted, &tenant.base, &request.query),
            ScimAction::List(kind) => {
                let search = Search::of_query(&request.query)?;
                self.read(move |database| list::list(&tenant, &[kind], &search, database)).await
            }
            ScimAction::Search(kind) => {
                let search = Search::of_body(&object(&request.body)?)?;
                let kinds = kind.map_or_else(|| ResourceType::ALL.to_vec(), |kind| vec![kind]);
                self.read(move |database| list::list(&tenant, &kinds, &search, database)).await
            }
            ScimAction::Read(kind) => {
                let (projection, headers) = (projection(request)?, request.headers.clone());
                self.read(move |database| {
                    list::read(&tenant, kind, &wanted, (&projection, &headers), database)
                })
                .await
            }
            ScimAction::Write(kind, verb) => {
                let given = if verb == Verb::Delete { Map::new() } else { object(&request.body)? };
                let expected = Expected::read_weak(&request.headers);
                let wish = Wish { finder: tenant.finder.clone(), repeatable: None, expected };
                let write = Write { tenant, wish, projection: projection(request)?, wanted, given };
                self.write(move |database| write.perform(kind, verb, database)).await
            }
        }
    }
}

impl Write {
    fn perform(&self, kind: ResourceType, verb: Verb, database: &mut Database) -> Result<Reply, Refusal> {
        let Write { tenant, wish, projection, wanted, given } = self;
        let order = Order { tenant, wish, projection };
        match (kind, verb) {
            (ResourceType::User, Verb::Create) => order.create_user(given, database),
            (ResourceType::User, Verb::Replace) => order.change_user(wanted, (given, false), database),
            (ResourceType::User, Verb::Patch) => order.change_user(wanted, (given, true), database),
            (ResourceType::User, Verb::Delete) => order.delete_user(wanted, database),
            (ResourceType::Group, Verb::Create) => order.create_group(given, database),
            (ResourceType::Group, Verb::Replace) => order.change_group(wanted, (given, false), database),
            (ResourceType::Group, Verb::Patch) => order.change_group(wanted, (given, true), database),
            (ResourceType::Group, Verb::Delete) => order.delete_group(wanted, database),
        }
    }
}

/// Which attributes a request wants to see.
fn projection(request: &AdminRequest) -> Result<Projection, Refusal> {
    Ok(Search::of_query(&request.query)?.projection)
}
