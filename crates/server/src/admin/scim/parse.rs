//! Reads filters, and the paths of patches, which have filters in them
//! (<https://www.rfc-editor.org/rfc/rfc7644#section-3.4.2.2>).

use serde_json::Value as Json;

use super::{
    attribute::{Attribute, Kind},
    filter::{Comparison, Filter, Operator, Steps},
    schema::ResourceType,
};

/// The longest filter or path, in bytes.
const BYTES_MAX: usize = 4_096;
/// How deep a filter may be nested.
const DEPTH_MAX: usize = 20;
/// The most conditions.
const CONDITIONS_MAX: usize = 100;

/// What a path of a patch leads to: an attribute, or some of its values, or a part of those.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    /// At least one.
    pub(super) steps: Steps,
    pub(super) filter: Option<Filter>,
    pub(super) part: Option<&'static Attribute>,
}

/// What is wrong with a filter or a path, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misread {
    /// Counted from 1, in characters.
    pub(super) at: usize,
    pub(super) message: String,
    /// Whether a name of an attribute is what is wrong.
    pub(super) is_name: bool,
}

/// Where names are looked up.
#[derive(Clone, Copy)]
enum Scope {
    Resource(ResourceType),
    Parts(&'static Attribute),
}

struct Reader<'r> {
    text: &'r str,
    /// In bytes; always between two characters.
    at: usize,
    depth: usize,
    conditions: usize,
}

impl Filter {
    /// What has no attribute of a name is as what has no value of it.
    pub(super) fn read(kind: ResourceType, text: &str) -> Result<Filter, Misread> {
        let mut reader = Reader::new(text)?;
        let filter = reader.any(Scope::Resource(kind))?;
        reader.end()?;
        Ok(filter)
    }
}

impl Target {
    pub(super) fn read(kind: ResourceType, text: &str) -> Result<Target, Misread> {
        let mut reader = Reader::new(text)?;
        let steps = reader.known(Scope::Resource(kind))?;
        let mut target = Target { steps, filter: None, part: None };
        if let Some(last) = target.steps.last()
            && reader.takes("[")
        {
            target.filter = Some(reader.within(last)?);
            if reader.takes(".") {
                target.part = reader.known(Scope::Parts(last))?.first().copied();
            }
        }
        reader.end()?;
        Ok(target)
    }
}

impl<'r> Reader<'r> {
    fn new(text: &'r str) -> Result<Reader<'r>, Misread> {
        let reader = Reader { text, at: 0, depth: 0, conditions: 0 };
        if text.len() > BYTES_MAX {
            return Err(reader.wrong(format!("has more than {BYTES_MAX} bytes")));
        }
        Ok(reader)
    }

    /// Conditions between "or".
    fn any(&mut self, scope: Scope) -> Result<Filter, Misread> {
        let mut filters = vec![self.all(scope)?];
        while self.takes_word("or") {
            filters.push(self.all(scope)?);
        }
        Ok(one_or(filters, Filter::Any))
    }

    /// Conditions between "and", which binds closer.
    fn all(&mut self, scope: Scope) -> Result<Filter, Misread> {
        let mut filters = vec![self.one(scope)?];
        while self.takes_word("and") {
            filters.push(self.one(scope)?);
        }
        Ok(one_or(filters, Filter::All))
    }

    fn one(&mut self, scope: Scope) -> Result<Filter, Misread> {
        let start = self.at;
        let is_negated = self.takes_word("not");
        self.skip_spaces();
        if self.takes("(") {
            let filter = self.deeper(|reader| {
                let filter = reader.any(scope)?;
                reader.skip_spaces();
                reader.expect(")")?;
                Ok(filter)
            })?;
            return Ok(if is_negated { Filter::Not(Box::new(filter)) } else { filter });
        }
        if is_negated {
            // It may be the first letters of a name, or no name at all.
            self.at = start;
        }
        self.condition(scope)
    }

    fn condition(&mut self, scope: Scope) -> Result<Filter, Misread> {
        self.conditions += 1;
        if self.conditions > CONDITIONS_MAX {
            return Err(self.wrong(format!("has more than {CONDITIONS_MAX} conditions")));
        }
        self.skip_spaces();
        let steps = scope.resolve(self.name()?);
        if self.takes("[") {
            let Some(last) = steps.last().filter(|last| !last.parts.is_empty()) else {
                return Err(self.wrong("comes behind an attribute that has no parts"));
            };
            let within = self.within(last)?;
            if !self.takes(".") {
                return Ok(Filter::Within(steps, Box::new(within)));
            }
            let parts = Scope::Parts(last).resolve(self.name()?);
            let about_part = self.comparison(parts)?;
            return Ok(Filter::Within(steps, Box::new(Filter::All(vec![within, about_part]))));
        }
        self.comparison(steps)
    }

    /// What stands between brackets, up to the closing one.
    fn within(&mut self, attribute: &'static Attribute) -> Result<Filter, Misread> {
        self.deeper(|reader| {
            let filter = reader.any(Scope::Parts(attribute))?;
            reader.skip_spaces();
            reader.expect("]")?;
            Ok(filter)
        })
    }

    /// An operator, and what it compares with.
    fn comparison(&mut self, steps: Steps) -> Result<Filter, Misread> {
        self.skip_spaces();
        let before = self.at;
        let word = self.word();
        if word.eq_ignore_ascii_case("pr") {
            return Ok(Filter::Present(steps));
        }
        let Some(operator) = Operator::named(word) else {
            self.at = before;
            return Err(self.wrong("must be one of eq, ne, co, sw, ew, gt, ge, lt, le and pr"));
        };
        self.skip_spaces();
        let literal_at = self.at;
        let literal = self.literal()?;
        let coarse = steps.last().map(|last| last.kind);
        if !operator.is_equality()
            && (literal.is_boolean()
                || literal.is_null()
                || coarse.is_some_and(|kind| matches!(kind, Kind::Boolean | Kind::Binary)))
        {
            self.at = literal_at;
            return Err(self.wrong("can be compared by eq and ne only"));
        }
        Ok(Filter::Compare(Comparison { steps, operator, literal }))
    }

    /// A text in quotation marks, a number, true, false or null, as in JSON.
    fn literal(&mut self) -> Result<Json, Misread> {
        let rest = self.rest();
        let length = if rest.starts_with('"') {
            let mut is_escaped = false;
            let end = rest.char_indices().skip(1).find(|(_, letter)| {
                let ends = *letter == '"' && !is_escaped;
                is_escaped = *letter == '\\' && !is_escaped;
                ends
            });
            end.map(|(at, _)| at + 1).ok_or_else(|| self.wrong("has no closing quotation mark"))?
        } else {
            rest.find([' ', ')', ']']).unwrap_or(rest.len())
        };
        let text = rest.get(..length).unwrap_or_default();
        let literal = serde_json::from_str(&match text {
            "True" | "TRUE" => "true".to_owned(),
            "False" | "FALSE" => "false".to_owned(),
            text => text.to_owned(),
        });
        let is_simple = |literal: &Json| !literal.is_array() && !literal.is_object();
        let literal = literal.ok().filter(is_simple);
        let literal = literal
            .ok_or_else(|| self.wrong("must be a text in quotation marks, a number, true, false or null"))?;
        self.at += length;
        Ok(literal)
    }

    /// A name that there is an attribute of.
    fn known(&mut self, scope: Scope) -> Result<Steps, Misread> {
        let before = self.at;
        let name = self.name()?;
        let steps = scope.resolve(name);
        if steps.is_empty() {
            let message = format!("there is no attribute \"{name}\"");
            self.at = before;
            return Err(Misread { is_name: true, ..self.wrong(message) });
        }
        Ok(steps)
    }

    fn name(&mut self) -> Result<&'r str, Misread> {
        let rest = self.rest();
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || "_-$.:".contains(letter);
        let length = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
        let name = rest.get(..length).unwrap_or_default();
        if !name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '$') {
            return Err(self.wrong("must be the name of an attribute"));
        }
        self.at += length;
        Ok(name)
    }

    fn word(&mut self) -> &'r str {
        let rest = self.rest();
        let length = rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Takes a word, with the spaces before it, where it comes next.
    fn takes_word(&mut self, wanted: &str) -> bool {
        let before = self.at;
        self.skip_spaces();
        let word = self.word();
        let ends = self.rest().starts_with([' ', '(']) || self.rest().is_empty();
        let found = word.eq_ignore_ascii_case(wanted) && ends;
        if !found {
            self.at = before;
        }
        found
    }

    fn takes(&mut self, sign: &str) -> bool {
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), Misread> {
        if self.takes(sign) {
            Ok(())
        } else {
            Err(self.wrong(format!("must be \"{sign}\", \"and\" or \"or\"")))
        }
    }

    fn end(&mut self) -> Result<(), Misread> {
        self.skip_spaces();
        if self.rest().is_empty() { Ok(()) } else { Err(self.wrong("is more than can be understood")) }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Misread>) -> Result<T, Misread> {
        if self.depth >= DEPTH_MAX {
            return Err(self.wrong(format!("is nested deeper than {DEPTH_MAX}")));
        }
        self.depth += 1;
        let read = read(self)?;
        self.depth -= 1;
        Ok(read)
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(' ').len();
    }

    fn rest(&self) -> &'r str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn wrong(&self, message: impl Into<String>) -> Misread {
        let before = self.text.get(..self.at).unwrap_or_default();
        Misread { at: before.chars().count() + 1, message: message.into(), is_name: false }
    }
}

impl Scope {
    fn resolve(self, name: &str) -> Steps {
        match self {
            Scope::Resource(kind) => kind.resolve(name).unwrap_or_default(),
            Scope::Parts(attribute) => Attribute::find(attribute.parts, name).into_iter().collect(),
        }
    }
}

/// A filter alone, or several as one.
fn one_or(mut filters: Vec<Filter>, several: impl FnOnce(Vec<Filter>) -> Filter) -> Filter {
    match filters.pop() {
        Some(only) if filters.is_empty() => only,
        Some(last) => {
            filters.push(last);
            several(filters)
        }
        None => several(filters),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn filters_hold_of_what_they_describe() {
        let person = json!({
            "id": "7", "userName": "mira", "active": true, "title": "Guide", "displayName": "",
            "name": {"familyName": "O'Malley"},
            "emails": [
                {"type": "work", "value": "mira@example.com", "primary": true},
                {"type": "home", "value": "m@example.org"},
            ],
            "meta": {"lastModified": "2026-05-13T04:42:34.5Z"},
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Tours"},
        });
        let check = |text: &str, expected: bool| {
            let filter = Filter::read(ResourceType::User, text);
            let filter = filter.unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
            assert_eq!(filter.holds(&person), expected, "{text}");
        };
        check(r#"userName eq "MIRA""#, true);
        check(r#"USERNAME Eq "mira" "#, true);
        check(r#"id eq "7""#, true);
        check(r#"name.familyName co "o'm""#, true);
        check(r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "m""#, true);
        check(r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "tours""#, true);
        check("title pr", true);
        check("displayName pr", false);
        check("nickName pr", false);
        check("favouriteColour pr", false);
        check(r#"favouriteColour eq "x" or title ew "DE""#, true);
        check(r#"meta.lastModified gt "2026-05-13T04:42:34Z""#, true);
        check(r#"meta.lastModified le "2026-05-13T06:42:34+02:00""#, false);
        check(r#"title pr and userType eq "Employee""#, false);
        check(r#"title pr or userType eq "x" and userType eq "y""#, true);
        check(r#"(title pr or userType eq "x") and userType eq "y""#, false);
        check(r#"not (title pr)"#, false);
        check(r#"title pr and not(userType pr)"#, true);
        check(r#"emails co "example.org""#, true);
        check(r#"emails.type eq "work" and emails.value eq "m@example.org""#, true);
        check(r#"emails[type eq "work" and value eq "m@example.org"]"#, false);
        check(r#"emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp"]"#, true);
        check(r#"emails[type eq "home"].value eq "M@example.org""#, true);
        check(r#"emails[not (type eq "work")]"#, true);
        check("active eq true", true);
        check(r#"active eq "True""#, true);
        check("active eq False", false);
        check("title eq null", false);
        check("nickName eq null", true);
        check("nickName ne null", false);
        check(r#"nickName ne "x""#, true);
        check(r#"title ne "guide""#, false);
        check(r#"userName gt "mi" and userName lt "mj""#, true);
        check(r#"title eq 5"#, false);
        check(r#"title eq "\"\\" or title eq "gu\u0069de""#, true);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let check = |text: &str, at: usize, part: &str| {
            let wrong = Filter::read(ResourceType::User, text).unwrap_err();
            assert!(wrong.at == at && wrong.message.contains(part), "{text}: {wrong:?}");
        };
        check("", 1, "name of an attribute");
        check("userName", 9, "must be one of eq");
        check(r#"userName is "x""#, 10, "must be one of eq");
        check("userName eq mira", 13, "quotation marks");
        check(r#"userName eq "mira"#, 13, "closing");
        check(r#"userName eq "ä" and"#, 20, "name of an attribute");
        check(r#"(title pr"#, 10, "must be \")\"");
        check(r#"emails[type eq "work""#, 22, "must be \"]\"");
        check(r#"userName[type pr]"#, 10, "no parts");
        check("title pr title pr", 10, "more than");
        check("active gt true", 11, "eq and ne only");
        check("active co \"t\"", 11, "eq and ne only");
        check("userName eq {}", 13, "quotation marks");
        check(&"(".repeat(50), 22, "deeper than 20");
        check(&"a".repeat(5_000), 1, "4096 bytes");
        check(&vec!["title pr"; 101].join(" or "), 1_201, "more than 100 conditions");
        check("not title pr", 5, "must be one of eq");
    }

    #[test]
    fn paths_lead_to_attributes_and_values() {
        let check = |text: &str, expected: Result<(&[&str], bool, Option<&str>), bool>| {
            let found = Target::read(ResourceType::User, text);
            let names = found.as_ref().map(|found| {
                let steps: Vec<&str> = found.steps.iter().map(|step| step.name).collect();
                (steps, found.filter.is_some(), found.part.map(|part| part.name))
            });
            let names = names.map_err(|wrong| wrong.is_name);
            let expected = expected.map(|(steps, filter, part)| (steps.to_vec(), filter, part));
            assert_eq!(names, expected, "{text}");
        };
        check("active", Ok((&["active"], false, None)));
        check("name.familyName", Ok((&["name", "familyName"], false, None)));
        check(r#"emails[type eq "work"]"#, Ok((&["emails"], true, None)));
        check(r#"emails[type eq "work" and primary eq true].value"#, Ok((&["emails"], true, Some("value"))));
        check("emails[type eq \"work\"].colour", Err(true));
        check("colour", Err(true));
        check("emails[", Err(false));
        check("emails[type pr]value", Err(false));
        check("", Err(false));
    }
}
