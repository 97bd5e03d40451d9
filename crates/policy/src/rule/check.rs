//! The check of a rule before there is a request: its names are known, its types fit, and what it costs has a limit.
//!
//! On the way the tree becomes quicker to ask: `request.tokens` is one name and not a member of something, and regular
//! expressions are compiled.

use cel::{
    IdedExpr,
    common::ast::{
        CallExpr, ComprehensionExpr, Expr, ListExpr, LiteralValue, SelectExpr, SourceInfo, operators,
    },
};

use super::{
    RuleProblem, Variable,
    functions::{MEMBERS, Pattern},
    problem::{TOO_DEEP, shortened},
    typing,
    values::is_credential,
    variable::{Row, Type, VARIABLES},
};
use crate::config::nearest;

/// How deeply a tree may be nested.
const DEPTH_MAX: usize = 64;

/// What the names of compiled regular expressions begin with; their numbers follow.
pub(super) const PATTERN_PREFIX: &str = "@pattern";

pub(super) struct Checked {
    pub(super) tree: IdedExpr,
    pub(super) used: Vec<Variable>,
    pub(super) patterns: Vec<Pattern>,
}

pub(super) fn check(mut tree: IdedExpr, source: &SourceInfo) -> Result<Checked, RuleProblem> {
    let mut checker = Checker { source, used: Vec::new(), patterns: Vec::new(), bound: Vec::new(), depth: 0 };
    let of = checker.node(&mut tree)?;
    if !of.may_be(Type::Bool) {
        let message =
            format!("comes to {}; a rule must be true or false, so compare it with something", of.noun());
        return Err(RuleProblem::new(message));
    }
    Ok(Checked { tree, used: checker.used, patterns: checker.patterns })
}

struct Checker<'s> {
    source: &'s SourceInfo,
    used: Vec<Variable>,
    patterns: Vec<Pattern>,
    /// The names that a macro binds, such as `m` in `list.exists(m, …)`.
    bound: Vec<(String, Type)>,
    depth: usize,
}

type Found = Result<Type, RuleProblem>;

impl Checker<'_> {
    fn node(&mut self, node: &mut IdedExpr) -> Found {
        let id = node.id;
        if self.depth >= DEPTH_MAX {
            return self.wrong(id, TOO_DEEP);
        }
        self.depth += 1;
        let found = self.expression(node);
        self.depth -= 1;
        found
    }

    fn expression(&mut self, node: &mut IdedExpr) -> Found {
        let id = node.id;
        if let Some(row) = dotted(&node.expr).and_then(|name| VARIABLES.iter().find(|row| row.name == name)) {
            if !self.used.contains(&row.variable) {
                self.used.push(row.variable);
            }
            node.expr = Expr::Ident(row.name.to_owned());
            return Ok(row.of);
        }
        match &mut node.expr {
            Expr::Literal(literal) => self.literal(id, literal),
            Expr::Ident(name) => match self.bound.iter().rev().find(|(bound, _)| bound == name) {
                Some((_, of)) => Ok(*of),
                None => self.wrong(id, unknown(name)),
            },
            Expr::Select(select) => self.select(id, select),
            Expr::List(ListExpr { elements, .. }) => {
                elements.iter_mut().try_for_each(|element| self.node(element).map(drop))?;
                Ok(Type::List)
            }
            Expr::Comprehension(comprehension) => self.comprehension(id, comprehension),
            Expr::Call(call) => match call.target.take() {
                Some(mut target) => {
                    let found = self.member(id, &mut target, call);
                    call.target = Some(target);
                    found
                }
                None => self.call(id, call),
            },
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                self.wrong(id, "maps and objects cannot be written in rules")
            }
        }
    }

    fn literal(&self, id: u64, literal: &LiteralValue) -> Found {
        match literal {
            LiteralValue::Boolean(_) => Ok(Type::Bool),
            LiteralValue::Int(_) => Ok(Type::Int),
            LiteralValue::Double(_) => Ok(Type::Double),
            LiteralValue::String(_) => Ok(Type::Text),
            LiteralValue::UInt(_) => self.wrong(id, "numbers have no u here; write 1, not 1u"),
            LiteralValue::Bytes(_) => self.wrong(id, "texts have no b here; write \"a\", not b\"a\""),
            LiteralValue::Null => {
                self.wrong(id, "nothing is null here; ask has(headers.name) or compare with \"\"")
            }
        }
    }

    /// A member: `headers.name`, and `has(headers.name)`.
    fn select(&mut self, id: u64, select: &mut SelectExpr) -> Found {
        if let Some(name) = dotted(&select.operand.expr)
            && !VARIABLES.iter().any(|row| row.name == name)
        {
            let (root, member) = (select.operand.id, format!("{name}.{}", select.field));
            if select.test && VARIABLES.iter().any(|row| row.name == member) {
                return self.wrong(root, format!("{member} is always there; compare it with something"));
            }
            return self.wrong(root, unknown(&member));
        }
        let of = self.node(&mut select.operand)?;
        if of != Type::Map {
            return self.wrong(id, format!("{} has no member \"{}\"", of.noun(), select.field));
        }
        self.entry(id, &select.operand.expr, &select.field)?;
        Ok(if select.test { Type::Bool } else { Type::Text })
    }

    /// The name of a header, written in a rule.
    fn entry(&self, id: u64, map: &Expr, name: &str) -> Result<(), RuleProblem> {
        if !matches!(map, Expr::Ident(map) if map == Variable::Headers.name()) {
            return Ok(());
        }
        let plain = name.to_ascii_lowercase();
        if is_credential(&plain) {
            return self
                .wrong(id, format!("\"{plain}\" is a credential, which no rule can read; ask key.name"));
        }
        if plain != name {
            return self.wrong(id, format!("headers have names in lower case; write \"{plain}\""));
        }
        Ok(())
    }

    /// `list.exists(m, …)` and the like. One inside another would make the cost of a rule a product.
    fn comprehension(&mut self, id: u64, comprehension: &mut ComprehensionExpr) -> Found {
        let range = self.node(&mut comprehension.iter_range)?;
        if !range.may_be(Type::List) {
            return self.wrong(id, format!("goes through a list, not {}", range.noun()));
        }
        if !self.bound.is_empty() {
            return self.wrong(id, "goes through a list inside of another; make it several rules");
        }
        let taken = |row: &Row| row.name.split('.').next() == Some(&comprehension.iter_var);
        if VARIABLES.iter().any(taken) {
            return self.wrong(id, format!("\"{}\" has a meaning; use another name", comprehension.iter_var));
        }
        if appended(&comprehension.loop_step.expr)
            .is_some_and(|element| element.expr != Expr::Ident(comprehension.iter_var.clone()))
        {
            return self.wrong(id, "map is left out here, since it makes values; use exists, all or filter");
        }
        let result = self.node(&mut comprehension.accu_init)?;
        self.bound =
            vec![(comprehension.iter_var.clone(), Type::Any), (comprehension.accu_var.clone(), result)];
        self.node(&mut comprehension.loop_cond)?;
        self.node(&mut comprehension.loop_step)?;
        let found = self.node(&mut comprehension.result)?;
        self.bound.clear();
        Ok(found)
    }

    /// `target.function(…)`.
    fn member(&mut self, id: u64, target: &mut IdedExpr, call: &mut CallExpr) -> Found {
        let name = call.func_name.as_str();
        let of = self.node(target)?;
        if name == "size" && call.args.is_empty() {
            return typing::call(name, &[of]).or_else(|message| self.wrong(id, message));
        }
        if !MEMBERS.contains(&name) {
            let known = MEMBERS.iter().copied().chain(["size", "exists", "all", "filter"]);
            return self.wrong(id, typing::no_function(name, known));
        }
        let [argument] = call.args.as_mut_slice() else {
            return self.wrong(id, format!("{name} takes one text, as x.{name}(\"a\")"));
        };
        if !of.may_be(Type::Text) {
            return self.wrong(id, format!("{name} is asked of a string, not of {}", of.noun()));
        }
        if name == "matches" {
            return self.pattern(argument);
        }
        let given = self.node(argument)?;
        if !given.may_be(Type::Text) {
            return self.wrong(id, format!("{name} takes a string, not {}", given.noun()));
        }
        Ok(Type::Bool)
    }

    /// Only regular expressions that stand in the rule itself: nobody else may have one compiled.
    fn pattern(&mut self, argument: &mut IdedExpr) -> Found {
        let Expr::Literal(LiteralValue::String(text)) = &argument.expr else {
            return self.wrong(argument.id, "matches takes a regular expression in quotes");
        };
        match Pattern::compile(text.inner()) {
            Ok(pattern) => {
                argument.expr = Expr::Ident(format!("{PATTERN_PREFIX}{}", self.patterns.len()));
                self.patterns.push(pattern);
                Ok(Type::Bool)
            }
            Err(message) => self.wrong(argument.id, format!("is no valid regular expression: {message}")),
        }
    }

    /// Operators, and functions of one value.
    fn call(&mut self, id: u64, call: &mut CallExpr) -> Found {
        let mut types = Vec::with_capacity(call.args.len());
        for argument in &mut call.args {
            types.push(self.node(argument)?);
        }
        let name = call.func_name.as_str();
        if let ([_, name], operators::INDEX | operators::IN) = (call.args.as_slice(), name) {
            self.named(call, name)?;
        }
        typing::call(name, &types).or_else(|message| self.wrong(id, message))
    }

    /// `headers["name"]` and `"name" in headers`.
    fn named(&self, call: &CallExpr, second: &IdedExpr) -> Result<(), RuleProblem> {
        let Some(first) = call.args.first() else { return Ok(()) };
        let (map, name) = if call.func_name == operators::IN { (second, first) } else { (first, second) };
        match &name.expr {
            Expr::Literal(LiteralValue::String(text)) => self.entry(name.id, &map.expr, text.inner()),
            _ => Ok(()),
        }
    }

    fn wrong<T>(&self, id: u64, message: impl Into<String>) -> Result<T, RuleProblem> {
        Err(RuleProblem::of(id, self.source, message))
    }
}

/// What a step of a macro puts into its list: the element itself where it is `filter`, anything where it is `map`.
fn appended(step: &Expr) -> Option<&IdedExpr> {
    let Expr::Call(call) = step else { return None };
    match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::CONDITIONAL, [_, taken, _]) => appended(&taken.expr),
        (operators::ADD, [_, list]) => match &list.expr {
            Expr::List(list) => list.elements.first(),
            _ => None,
        },
        _ => None,
    }
}

/// The name that an expression spells, as `request.tokens`.
fn dotted(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => {
            Some(format!("{}.{}", dotted(&select.operand.expr)?, select.field))
        }
        _ => None,
    }
}

fn unknown(name: &str) -> String {
    let names = || VARIABLES.iter().map(|row| row.name);
    let last = |name: &'static str| name.rsplit('.').next().unwrap_or(name);
    let (group, member) = name.split_once('.').unwrap_or((name, ""));
    let within = |known: &&'static str| known.split_once('.').is_some_and(|(of, _)| of == group);
    let members: Vec<&str> = names().filter(within).collect();
    let shown = shortened(name);
    if !members.is_empty() {
        let near = nearest(member, members.iter().copied().map(last));
        return match near {
            Some(near) => format!("there is no variable \"{shown}\"; did you mean {group}.{near}?"),
            None => format!("there is no variable \"{shown}\"; use one of: {}", members.join(", ")),
        };
    }
    let alone = || nearest(name, names().map(last)).and_then(|near| names().find(|name| last(name) == near));
    match nearest(name, names()).or_else(alone) {
        Some(near) => format!("there is no variable \"{shown}\"; did you mean {near}?"),
        None => {
            format!(
                "there is no variable \"{shown}\"; use request.…, headers, metadata, key.…, client.address, target.… or time.…"
            )
        }
    }
}
