//! `/admin/v1/budgets`: how budgets stand, credit that is added, and fresh starts.

use std::{collections::HashSet, sync::Arc};

use http::{Method, StatusCode};
use policy::{
    Money,
    limit::{Each, Limit, Usd},
    role::Permission,
};
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use store::{Adjustment, Database};
use uuid::Uuid;

use super::{
    Admin, Reply,
    bodies::List,
    change::Wish,
    examine::{object_or_nothing, read},
    find::Finder,
    refusal::{Refusal, Wrong},
    resource::Resource,
    routes::{self, Action, Route},
    side::Asked,
};
use crate::{
    budgets::{Budget, budgets, find_one},
    core::Shared,
    world::now_us,
};

/// The longest note, in characters.
const NOTE_CHARS_MAX: usize = 500;

/// What may be done with budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BudgetAction {
    List,
    Read,
    TopUp,
    Reset,
}

/// A budget, as it stands by the journal.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Budget")]
struct Shown {
    id: Uuid,
    /// As `monthly of team search`.
    name: String,
    /// What is configured, in USD.
    usd: String,
    /// What it has in this period beside that, in USD.
    given_usd: String,
    /// What it is counted apart for; empty where it is one sum.
    each: Vec<Each>,
    /// What was used of it in this period, in USD; nothing where it is counted apart.
    used_usd: Option<String>,
    left_usd: Option<String>,
    /// When the period began, in microseconds since 1970.
    began_us: i64,
    /// When the next one begins; nothing for credit.
    renews_us: Option<i64>,
    /// What was given, the oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<Vec<Given>>,
}

/// What was added to a budget. Entries are never changed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BudgetEntry")]
struct Given {
    id: Uuid,
    /// `top_up`, `reset` or `carry_over`.
    kind: &'static str,
    usd: String,
    note: Option<String>,
    /// Microseconds since 1970.
    at_us: i64,
}

/// Credit to be added.
#[derive(Debug, Deserialize, JsonSchema)]
struct TopUp {
    /// How much, in USD.
    usd: Usd,
    /// Why, for the list and the audit.
    #[serde(default)]
    note: Option<String>,
}

/// A fresh start.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Reset {
    /// Why, for the list and the audit.
    note: Option<String>,
}

pub(super) fn routes() -> Vec<Route> {
    let one: routes::Shape = SchemaGenerator::subschema_for::<Shown>;
    let route = |method: Method, path: &str, named: (&str, &str), needs, (shape, action)| {
        routes::simple(method, path, named, needs, (shape, Action::Budgets(action)))
    };
    let (read, write) = (Permission::BudgetsRead, Permission::BudgetsWrite);
    vec![
        route(
            Method::GET,
            "/admin/v1/budgets",
            ("listBudgets", "How every budget stands"),
            read,
            (SchemaGenerator::subschema_for::<List<Shown>>, BudgetAction::List),
        ),
        route(
            Method::GET,
            "/admin/v1/budgets/{id}",
            ("readBudget", "How a budget stands, and what it was given"),
            read,
            (one, BudgetAction::Read),
        ),
        Route {
            headers: routes::REPEATABLE,
            request: Some(SchemaGenerator::subschema_for::<TopUp>),
            ..route(
                Method::POST,
                "/admin/v1/budgets/{id}/top-up",
                ("topUpBudget", "Add to what a budget has in its period, or to credit for good"),
                write,
                (one, BudgetAction::TopUp),
            )
        },
        Route {
            headers: routes::REPEATABLE,
            request: Some(SchemaGenerator::subschema_for::<Reset>),
            may_be_empty: true,
            ..route(
                Method::POST,
                "/admin/v1/budgets/{id}/reset",
                ("resetBudget", "Forgive what was used so far in a budget's period"),
                write,
                (one, BudgetAction::Reset),
            )
        },
    ]
}

impl Admin {
    pub(super) async fn budgets(&self, action: BudgetAction, asked: Asked<'_>) -> Result<Reply, Refusal> {
        let budgets = Budgets::of(&self.shared, &self.finder(&asked, Resource::Key));
        let members = object_or_nothing(&asked.request.body)?;
        let wish = self.wish(&asked, Resource::Key, true)?;
        let name = asked.name;
        match action {
            BudgetAction::List => self.read(move |database| budgets.list(database)).await,
            BudgetAction::Read => self.read(move |database| budgets.read(&name, database)).await,
            BudgetAction::TopUp => {
                self.write(move |database| budgets.top_up((&name, &members), &wish, database)).await
            }
            BudgetAction::Reset => {
                self.write(move |database| budgets.reset((&name, &members), &wish, database)).await
            }
        }
    }
}

/// Whose budgets are looked at.
struct Budgets {
    limits: Vec<Arc<Limit>>,
    /// Those of the organization that the caller is bound to: what bounds it is not the caller's to change.
    fixed: HashSet<Uuid>,
}

impl Budgets {
    /// Those that the caller may see.
    fn of(shared: &Shared, finder: &Finder) -> Budgets {
        let (callers, own) = (shared.callers.load(), finder.who.organization);
        let fixed = own.map_or(&[][..], |own| callers.directory.limits_above(own));
        let fixed = fixed.iter().map(|limit| limit.id).collect();
        Budgets { limits: callers.limits_of(own), fixed }
    }

    fn list(self, database: &mut Database) -> Result<Reply, Refusal> {
        let all = budgets(self.limits, database, now_us())?;
        let data = all.iter().map(|budget| shown(budget, None)).collect();
        Ok(Reply::ok(&List::<Shown> { data, next_cursor: None }))
    }

    fn read(self, wanted: &str, database: &mut Database) -> Result<Reply, Refusal> {
        let now_us = now_us();
        let budget = self.find(wanted, database, now_us)?;
        let entries = database.adjustments(now_us)?;
        Ok(Reply::ok(&shown(&budget, Some(&entries))))
    }

    fn top_up(
        self,
        (wanted, members): (&str, &Map<String, Json>),
        wish: &Wish,
        database: &mut Database,
    ) -> Result<Reply, Refusal> {
        let TopUp { usd, note } = read(members.clone())?;
        let now_us = now_us();
        let budget = self.find_to_change(wanted, database, now_us)?;
        let entry = budget.top_up(usd.0.picodollars(), checked(note)?, now_us);
        add(&budget, &entry, wish, database)
    }

    fn reset(
        self,
        (wanted, members): (&str, &Map<String, Json>),
        wish: &Wish,
        database: &mut Database,
    ) -> Result<Reply, Refusal> {
        let Reset { note } = read(members.clone())?;
        let now_us = now_us();
        let budget = self.find_to_change(wanted, database, now_us)?;
        let entry = budget.reset(&database.adjustments(now_us)?, checked(note)?, now_us);
        add(&budget, &entry, wish, database)
    }

    /// The budget of this id or name.
    fn find(self, wanted: &str, database: &mut Database, now_us: i64) -> Result<Budget, Refusal> {
        let all = budgets(self.limits, database, now_us)?;
        match find_one(&all, wanted) {
            Ok(found) => found.cloned().ok_or_else(|| Refusal::not_found("budget", wanted)),
            Err(several) => {
                let several = several.join(", ");
                let message =
                    format!("several budgets are called \"{wanted}\"; write one of their ids: {several}");
                Err(Refusal::new(StatusCode::CONFLICT, "name_ambiguous", message))
            }
        }
    }

    /// The same where the caller may change it.
    fn find_to_change(
        mut self,
        wanted: &str,
        database: &mut Database,
        now_us: i64,
    ) -> Result<Budget, Refusal> {
        let fixed = std::mem::take(&mut self.fixed);
        let budget = self.find(wanted, database, now_us)?;
        if !fixed.contains(&budget.limit.id) {
            return Ok(budget);
        }
        let message = format!(
            "the budget \"{}\" bounds the organization as a whole, and this key is bound to it; use a key that is bound \
             to no organization",
            budget.shown()
        );
        Err(Refusal::new(StatusCode::FORBIDDEN, "permission_missing", message))
    }
}

/// Adds an entry unless the same request came before.
fn add(budget: &Budget, entry: &Adjustment, wish: &Wish, database: &mut Database) -> Result<Reply, Refusal> {
    if !budget.limit.each.is_empty() {
        let message = "it is counted apart for each of something; change its amount instead";
        return Err(Refusal::new(StatusCode::CONFLICT, "budget_has_parts", message));
    }
    if entry.amount <= 0 {
        return Err(Refusal::new(StatusCode::CONFLICT, "nothing_to_add", "there is nothing to add"));
    }
    let after = Budget { given: budget.given.saturating_add(entry.amount), ..budget.clone() };
    let organization = wish.finder.who.organization;
    wish.once(database, |transaction| {
        transaction.adjust(entry, organization)?;
        Ok((Reply::ok(&shown(&after, None)), None))
    })
}

fn checked(note: Option<String>) -> Result<Option<String>, Refusal> {
    match note {
        Some(note) if note.chars().count() > NOTE_CHARS_MAX => {
            let message = format!("has {NOTE_CHARS_MAX} characters at most");
            Err(Refusal::invalid(vec![Wrong::new("note", message)]))
        }
        note => Ok(note),
    }
}

fn shown(budget: &Budget, entries: Option<&[Adjustment]>) -> Shown {
    let usd = |amount: i64| Money(amount).to_string();
    let own = |entry: &&Adjustment| (entry.bucket, entry.slot_us) == (budget.limit.id, budget.period.0);
    let is_one = budget.limit.each.is_empty();
    let given = |entry: &Adjustment| Given {
        id: entry.id,
        kind: entry.kind.name(),
        usd: usd(entry.amount),
        note: entry.note.clone(),
        at_us: entry.at_us,
    };
    Shown {
        id: budget.limit.id,
        name: budget.shown(),
        usd: usd(budget.limit.amount),
        given_usd: usd(budget.given),
        each: budget.limit.each.clone(),
        used_usd: is_one.then(|| usd(budget.used)),
        left_usd: is_one.then(|| usd(budget.left())),
        began_us: budget.period.0,
        renews_us: budget.renews_us(),
        entries: entries.map(|entries| entries.iter().filter(own).map(given).collect()),
    }
}
