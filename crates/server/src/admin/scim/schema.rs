//! The attributes of users and groups (<https://www.rfc-editor.org/rfc/rfc7643#section-4>).

use std::sync::LazyLock;

use super::attribute::{Attribute, Kind, Mutability, Returned};

/// What a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin) enum ResourceType {
    User,
    Group,
}

/// A schema that resources are held against.
pub(super) struct Schema {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) attributes: &'static [Attribute],
}

pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

pub(super) static SCHEMAS: [Schema; 3] = [
    Schema {
        id: "urn:ietf:params:scim:schemas:core:2.0:User",
        name: "User",
        about: "A person who has an account",
        attributes: &OF_USERS,
    },
    Schema {
        id: "urn:ietf:params:scim:schemas:core:2.0:Group",
        name: "Group",
        about: "People and groups of them",
        attributes: &OF_GROUPS,
    },
    Schema {
        id: ENTERPRISE,
        name: "EnterpriseUser",
        about: "A person's place in a company",
        attributes: &OF_ENTERPRISE,
    },
];

/// Everything that a resource may have: an extension is one attribute whose name is that of its schema.
static ALL_OF_USERS: LazyLock<Vec<&'static Attribute>> =
    LazyLock::new(|| COMMON.iter().chain(&OF_USERS).chain(&EXTENSIONS).collect());
static ALL_OF_GROUPS: LazyLock<Vec<&'static Attribute>> =
    LazyLock::new(|| COMMON.iter().chain(&OF_GROUPS).collect());

impl ResourceType {
    pub(super) const ALL: [ResourceType; 2] = [ResourceType::User, ResourceType::Group];

    pub(super) fn name(self) -> &'static str {
        match self {
            ResourceType::User => "User",
            ResourceType::Group => "Group",
        }
    }

    /// As in paths.
    pub(super) fn plural(self) -> &'static str {
        match self {
            ResourceType::User => "Users",
            ResourceType::Group => "Groups",
        }
    }

    /// As in the registry.
    pub(super) fn kind(self) -> &'static str {
        match self {
            ResourceType::User => "user",
            ResourceType::Group => store::GROUP,
        }
    }

    /// The attribute that is the name in the registry.
    pub(super) fn named_by(self) -> &'static str {
        match self {
            ResourceType::User => "userName",
            ResourceType::Group => "displayName",
        }
    }

    pub(super) fn schema(self) -> &'static str {
        match self {
            ResourceType::User => "urn:ietf:params:scim:schemas:core:2.0:User",
            ResourceType::Group => "urn:ietf:params:scim:schemas:core:2.0:Group",
        }
    }

    pub(super) fn extensions(self) -> &'static [&'static str] {
        match self {
            ResourceType::User => &[ENTERPRISE],
            ResourceType::Group => &[],
        }
    }

    pub(super) fn attributes(self) -> &'static [&'static Attribute] {
        match self {
            ResourceType::User => &ALL_OF_USERS,
            ResourceType::Group => &ALL_OF_GROUPS,
        }
    }

    /// The attribute that a name stands for, with those that it is a part of before it: `name.familyName`,
    /// `urn:…:User:department`, in any case of letters.
    pub(super) fn resolve(self, name: &str) -> Option<Vec<&'static Attribute>> {
        let find = |wanted: &str| {
            self.attributes().iter().find(|known| known.name.eq_ignore_ascii_case(wanted)).copied()
        };
        let mut rest = name;
        let mut steps = Vec::new();
        for schema in self.extensions().iter().copied().chain([self.schema()]) {
            let Some(start) = name.get(..schema.len()).filter(|start| start.eq_ignore_ascii_case(schema))
            else {
                continue;
            };
            let behind = name.get(start.len()..).unwrap_or_default();
            steps.extend(find(schema));
            match behind.strip_prefix(':') {
                Some(behind) => rest = behind,
                None if behind.is_empty() && !steps.is_empty() => return Some(steps),
                None => return None,
            }
            break;
        }
        for part in rest.split('.') {
            let found = match steps.last() {
                None => find(part),
                Some(above) => Attribute::find(above.parts, part),
            };
            steps.push(found?);
        }
        Some(steps)
    }
}

const VALUE: Attribute = Attribute::text("value", "The value itself");
const DISPLAY: Attribute = Attribute::text("display", "A name for people to read");
const TYPE: Attribute = Attribute::text("type", "What the value is for");
const PRIMARY: Attribute =
    Attribute::text("primary", "Whether it is the preferred one; one is at most").of(Kind::Boolean);
const REF: Attribute = Attribute::text("$ref", "The address of what is meant").of(Kind::Reference).exact();

static META: [Attribute; 5] = [
    fixed(Attribute::text("resourceType", "What the resource is").exact()),
    fixed(Attribute::text("created", "When it was made").of(Kind::Moment)),
    fixed(Attribute::text("lastModified", "When it was last changed").of(Kind::Moment)),
    fixed(Attribute::text("location", "Its address").of(Kind::Reference).exact()),
    fixed(Attribute::text("version", "Its version, as the header ETag has it").exact()),
];

static COMMON: [Attribute; 4] = [
    Attribute { returned: Returned::Always, ..fixed(Attribute::text("id", "Its id here").exact()) },
    Attribute::text("externalId", "Its id at the identity provider").exact(),
    fixed(Attribute::complex("meta", "What is known of the resource itself", &META)),
    Attribute {
        many: true,
        returned: Returned::Always,
        ..fixed(Attribute::text("schemas", "The schemas that its attributes are of").exact())
    },
];

static NAME: [Attribute; 6] = [
    Attribute::text("formatted", "The whole name, to be shown"),
    Attribute::text("familyName", "The family's name"),
    Attribute::text("givenName", "The given name"),
    Attribute::text("middleName", "Names in the middle"),
    Attribute::text("honorificPrefix", "A title before the name"),
    Attribute::text("honorificSuffix", "A title behind the name"),
];
static PLURAL: [Attribute; 4] = [VALUE, DISPLAY, TYPE, PRIMARY];
static EMAILS: [Attribute; 4] = [VALUE, DISPLAY, TYPE.usually(&["work", "home", "other"]), PRIMARY];
static PHONES: [Attribute; 4] =
    [VALUE, DISPLAY, TYPE.usually(&["work", "home", "mobile", "fax", "pager", "other"]), PRIMARY];
static PHOTOS: [Attribute; 4] =
    [VALUE.of(Kind::Reference).exact(), DISPLAY, TYPE.usually(&["photo", "thumbnail"]), PRIMARY];
static CERTIFICATES: [Attribute; 4] = [VALUE.of(Kind::Binary).exact(), DISPLAY, TYPE, PRIMARY];
static ADDRESSES: [Attribute; 8] = [
    Attribute::text("formatted", "The whole address, to be shown"),
    Attribute::text("streetAddress", "Street and house"),
    Attribute::text("locality", "City"),
    Attribute::text("region", "State or region"),
    Attribute::text("postalCode", "Postal code"),
    Attribute::text("country", "Country, by its code of two letters"),
    TYPE.usually(&["work", "home", "other"]),
    PRIMARY,
];
static GROUPS: [Attribute; 4] = [
    fixed(Attribute::text("value", "The group's id").exact()),
    fixed(REF),
    fixed(Attribute::text("display", "The group's name")),
    fixed(TYPE.usually(&["direct", "indirect"])),
];

static OF_USERS: [Attribute; 21] = [
    Attribute { unique: true, ..Attribute::text("userName", "The name of the account").required() },
    Attribute::complex("name", "The parts of the person's name", &NAME),
    Attribute::text("displayName", "The name to be shown"),
    Attribute::text("nickName", "What the person is called"),
    Attribute::text("profileUrl", "The address of a page about the person").of(Kind::Reference).exact(),
    Attribute::text("title", "The person's position, as Vice President"),
    Attribute::text("userType", "How the person belongs to the organization, as Employee"),
    Attribute::text("preferredLanguage", "Languages, as the header Accept-Language has them"),
    Attribute::text("locale", "Where the person is, for dates and money, as en-US"),
    Attribute::text("timezone", "The time zone, as Europe/Berlin"),
    Attribute::text("active", "Whether the person's calls are taken").of(Kind::Boolean),
    Attribute {
        returned: Returned::Never,
        ..Attribute::text("password", "Taken and thrown away: nobody signs in with one")
            .set_by(Mutability::WriteOnly)
    },
    Attribute::list("emails", "Addresses of mail", &EMAILS),
    Attribute::list("phoneNumbers", "Numbers of telephones", &PHONES),
    Attribute::list("ims", "Addresses of instant messages", &PLURAL),
    Attribute::list("photos", "Addresses of pictures", &PHOTOS),
    Attribute::list("addresses", "Postal addresses", &ADDRESSES),
    fixed(Attribute::list("groups", "The groups that the person is in", &GROUPS)),
    Attribute::list("entitlements", "What the person may do elsewhere", &PLURAL),
    Attribute::list("roles", "What the person is elsewhere", &PLURAL),
    Attribute::list("x509Certificates", "Certificates", &CERTIFICATES),
];

static MANAGER: [Attribute; 3] = [
    Attribute::text("value", "The manager's id").exact(),
    REF,
    fixed(Attribute::text("displayName", "The manager's name")),
];
static OF_ENTERPRISE: [Attribute; 6] = [
    Attribute::text("employeeNumber", "The person's number in the company"),
    Attribute::text("costCenter", "The cost centre"),
    Attribute::text("organization", "The organization's name, for people to read"),
    Attribute::text("division", "The division"),
    Attribute::text("department", "The department"),
    Attribute::complex("manager", "Who manages the person", &MANAGER),
];
static EXTENSIONS: [Attribute; 1] =
    [Attribute::complex(ENTERPRISE, "A person's place in a company", &OF_ENTERPRISE)];

static MEMBERS: [Attribute; 4] = [
    Attribute::text("value", "The member's id").exact().set_by(Mutability::Immutable),
    REF.set_by(Mutability::Immutable),
    fixed(Attribute::text("display", "The member's name")),
    Attribute::text("type", "What the member is").set_by(Mutability::Immutable).usually(&["User", "Group"]),
];
static OF_GROUPS: [Attribute; 2] = [
    Attribute { unique: true, ..Attribute::text("displayName", "The group's name").required() },
    Attribute::list("members", "Who is in it", &MEMBERS),
];

const fn fixed(attribute: Attribute) -> Attribute {
    attribute.set_by(Mutability::ReadOnly)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_attributes() {
        let check = |name: &str, expected: Option<&[&str]>| {
            let found = ResourceType::User.resolve(name);
            let found: Option<Vec<&str>> = found.map(|steps| steps.iter().map(|step| step.name).collect());
            assert_eq!(found.as_deref(), expected, "{name}");
        };
        check("USERNAME", Some(&["userName"]));
        check("name.familyname", Some(&["name", "familyName"]));
        check("urn:ietf:params:scim:schemas:core:2.0:User:emails.value", Some(&["emails", "value"]));
        check("URN:ietf:params:scim:schemas:extension:enterprise:2.0:user", Some(&[ENTERPRISE]));
        check(&format!("{ENTERPRISE}:manager.value"), Some(&[ENTERPRISE, "manager", "value"]));
        check("urn:ietf:params:scim:schemas:core:2.0:User", None);
        check(&format!("{ENTERPRISE}:userName"), None);
        check("name.", None);
        check("members", None);
        check("", None);
    }
}
