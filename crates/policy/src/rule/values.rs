//! What variables stand for in one request, found out when a rule comes to them.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use cel::{
    ExecutionError,
    common::{
        traits::{Container, Indexer},
        types::{CelDouble, CelInt, CelList, CelString, MAP_TYPE, Type},
        value::{CowVal, Val},
    },
    context::VariableResolver,
};
use jiff::{Timestamp, civil::DateTime, tz::Offset};

use super::{Rule, Variable, check::PATTERN_PREFIX, functions::truth, variable::VARIABLES};
use crate::{
    facts::{RequestFacts, Structure},
    key::Owner,
    principal::{EntityKind, Principal},
};

/// All that rules are asked of.
#[derive(Clone, Copy)]
pub struct RuleFacts<'f> {
    pub request: &'f RequestFacts<'f>,
    pub headers: &'f dyn Headers,
    pub principal: &'f Principal,
    pub judge: &'f dyn Judge,
    /// Where the call comes from.
    pub address: Option<IpAddr>,
    /// What would be asked, where that is the question.
    pub target: Option<RuleTarget<'f>>,
    /// Microseconds since 1970.
    pub now_us: i64,
}

/// What would be asked.
#[derive(Clone, Copy)]
pub struct RuleTarget<'f> {
    pub provider: &'f str,
    pub model: &'f str,
    /// Where its data is processed and kept.
    pub regions: &'f [String],
}

/// The headers of a request.
pub trait Headers: Sync {
    /// The text of a header by its name in lower case. Rules never ask for credentials.
    fn text(&self, name: &str) -> Option<&str>;
}

/// What can be told of what a user wants by reading it, which costs: only rules that mention it ask.
pub trait Judge: Sync {
    /// From 0 to 1: how likely a small model answers worse than a strong one. `None`: nobody can tell.
    fn difficulty(&self) -> Option<f64>;

    /// Which of the configured intents the user has; empty where it is none of them. `None`: nobody can tell.
    fn intent(&self) -> Option<&str>;
}

/// Headers that no rule can read: those in which keys, tokens and sessions are shown.
const CREDENTIALS: [&str; 7] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "x-amz-security-token",
    "x-goog-api-key",
    "x-goog-iam-authorization-token",
];

/// Whether a header, by its name in lower case, shows a credential.
pub(super) fn is_credential(name: &str) -> bool {
    CREDENTIALS.contains(&name) || name.ends_with("api-key")
}

/// The variables of one rule in one request.
pub(super) struct Scope<'s> {
    pub(super) rule: &'s Rule,
    pub(super) facts: &'s RuleFacts<'s>,
}

impl VariableResolver for Scope<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        if let Some(number) = name.strip_prefix(PATTERN_PREFIX) {
            let pattern = self.rule.patterns.get(number.parse::<usize>().ok()?)?;
            return Some(CowVal::Borrowed(pattern));
        }
        let row = VARIABLES.iter().find(|row| row.name == name)?;
        self.value(row.variable)
    }
}

impl Scope<'_> {
    /// `None` where nobody can tell.
    fn value(&self, variable: Variable) -> Option<CowVal<'_, '_>> {
        let RuleFacts { request, headers, principal, judge, address, target, now_us } = *self.facts;
        Some(match variable {
            Variable::Model => text(request.model),
            Variable::Operation => text(request.operation.name()),
            Variable::Dialect => text(request.dialect.name()),
            Variable::Tokens => int(request.tokens()),
            Variable::OutputTokens => int(request.output_tokens_max.unwrap_or(0)),
            Variable::Messages => int(request.messages),
            Variable::Stream => truth(request.stream),
            Variable::HasImages => truth(request.has_images),
            Variable::HasAudio => truth(request.has_audio),
            Variable::HasFiles => truth(request.has_files),
            Variable::HasTools => truth(request.tools > 0),
            Variable::Tools => int(request.tools),
            Variable::Structured => truth(request.structure != Structure::None),
            Variable::Reasoning => truth(request.reasoning),
            Variable::Language => text(request.language()),
            Variable::User => text(request.user.unwrap_or_default()),
            Variable::Difficulty => CowVal::owned(CelDouble::from(judge.difficulty()?)),
            Variable::Intent => text(judge.intent()?),
            Variable::Headers => CowVal::owned(Texts::Headers(headers)),
            Variable::Metadata => CowVal::owned(Texts::Labels(request)),
            Variable::KeyName => text(&principal.name),
            Variable::KeyId => CowVal::owned(CelString::from(principal.id.to_string())),
            Variable::KeyModels => list(principal.models()),
            Variable::KeyRoles => list(&principal.roles),
            Variable::KeyOwner => text(owner(principal.owner)),
            Variable::KeyOrganization => text(principal.within(EntityKind::Organization)),
            Variable::KeyTeam => text(principal.within(EntityKind::Team)),
            Variable::KeyTeams => {
                let teams = principal.ancestors.iter().filter(|above| above.kind == EntityKind::Team);
                texts(teams.map(|team| team.name.as_str()))
            }
            Variable::KeyProject => text(principal.within(EntityKind::Project)),
            Variable::KeyUser => text(principal.within(EntityKind::User)),
            Variable::KeyTags => CowVal::owned(Texts::Tags(&principal.tags)),
            Variable::ClientAddress => {
                let shown = address.map(|address| address.to_string()).unwrap_or_default();
                CowVal::owned(CelString::from(shown))
            }
            Variable::TargetProvider => text(target?.provider),
            Variable::TargetModel => text(target?.model),
            Variable::TargetRegions => list(target?.regions),
            Variable::TimeHour => int(u8::try_from(time(now_us)?.hour()).ok()?),
            Variable::TimeMinute => int(u8::try_from(time(now_us)?.minute()).ok()?),
            Variable::TimeWeekday => int(u8::try_from(time(now_us)?.weekday().to_monday_one_offset()).ok()?),
            Variable::TimeIso => CowVal::owned(CelString::from(second(now_us)?.to_string())),
        })
    }
}

fn text<'b>(text: &'b str) -> CowVal<'b, 'b> {
    CowVal::owned(CelString::from(text))
}

fn int<'b>(number: impl TryInto<i64>) -> CowVal<'b, 'b> {
    CowVal::owned(CelInt::from(number.try_into().unwrap_or(i64::MAX)))
}

fn list(list: &[String]) -> CowVal<'_, '_> {
    texts(list.iter().map(String::as_str))
}

fn texts<'b>(list: impl Iterator<Item = &'b str>) -> CowVal<'b, 'b> {
    let boxed = |text: &'b str| -> Box<dyn Val + 'b> { Box::new(CelString::from(text)) };
    CowVal::owned(CelList::from(list.map(boxed).collect::<Vec<_>>()))
}

fn owner(owner: Owner) -> &'static str {
    match owner {
        Owner::File => "file",
        Owner::Registry => "registry",
    }
}

fn second(now_us: i64) -> Option<Timestamp> {
    Timestamp::from_second(now_us.div_euclid(1_000_000)).ok()
}

fn time(now_us: i64) -> Option<DateTime> {
    second(now_us).map(|second| Offset::UTC.to_datetime(second))
}

/// Texts by name. They can be asked for by name only, never listed: how many there are is up to the caller.
#[derive(Clone, Copy)]
enum Texts<'f> {
    Headers(&'f dyn Headers),
    Labels(&'f RequestFacts<'f>),
    Tags(&'f BTreeMap<String, String>),
}

impl<'f> Texts<'f> {
    fn find(self, name: &str) -> Option<&'f str> {
        match self {
            Texts::Headers(_) if is_credential(name) => None,
            Texts::Headers(headers) => headers.text(name),
            Texts::Labels(request) => request.label(name),
            Texts::Tags(tags) => tags.get(name).map(String::as_str),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Texts::Headers(_) => "headers",
            Texts::Labels(_) => "metadata",
            Texts::Tags(_) => "key.tags",
        }
    }
}

/// What a request holds is nothing to print.
impl fmt::Debug for Texts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<'f> Val for Texts<'f> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        static MAP: Type = MAP_TYPE;
        &MAP
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }
}

impl Container for Texts<'_> {
    fn contains(&self, name: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.find(word(name)?).is_some())
    }
}

impl Indexer for Texts<'_> {
    fn get<'b, 'v>(&'b self, name: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let name = word(name)?;
        match self.find(name) {
            Some(found) => Ok(CowVal::owned(CelString::from(found))),
            None => Err(ExecutionError::no_such_key(&format!("{}[\"{name}\"]", self.name()))),
        }
    }

    fn steal<'v>(self: Box<Self>, name: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(name).map(CowVal::into_owned)
    }
}

fn word<'n>(name: &'n dyn Val) -> Result<&'n str, ExecutionError> {
    let wrong = |_| ExecutionError::UnexpectedType {
        got: name.get_type().name().to_owned(),
        want: "string".to_owned(),
    };
    <&'n str>::try_from(name).map_err(wrong)
}
