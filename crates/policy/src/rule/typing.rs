//! What operators and functions take, and what they give.

use cel::common::ast::operators;

use super::{
    functions::{GLOBALS, MEMBERS},
    problem::shortened,
    variable::Type,
};
use crate::config::nearest;

/// The type of a call, or what is wrong with it.
type Given = Result<Type, String>;

const NUMBERS: [Type; 2] = [Type::Int, Type::Double];

/// An operator, or a function of one value.
pub(super) fn call(name: &str, types: &[Type]) -> Given {
    match (name, types) {
        (operators::CONDITIONAL, [condition, yes, no]) => {
            bools("?", &[*condition])?;
            Ok(if yes == no { *yes } else { Type::Any })
        }
        (operators::LOGICAL_AND, types) => bools("&&", types),
        (operators::LOGICAL_OR, types) => bools("||", types),
        (operators::LOGICAL_NOT | operators::NOT_STRICTLY_FALSE, types) => bools("!", types),
        (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => equality(*left, *right),
        (
            operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
            [left, right],
        ) => order(*left, *right),
        (operators::IN, [left, right]) => membership(*left, *right),
        (operators::INDEX, [of, by]) => index(*of, *by),
        (operators::ADD, [left, right]) => {
            arithmetic(*left, *right, &[Type::Int, Type::Double, Type::Text, Type::List])
        }
        (operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE, [left, right]) => {
            arithmetic(*left, *right, &NUMBERS)
        }
        (operators::MODULO, [left, right]) => arithmetic(*left, *right, &[Type::Int]),
        (operators::NEGATE, [of]) => arithmetic(*of, *of, &NUMBERS),
        (name, types) => function(name, types),
    }
}

fn function(name: &str, types: &[Type]) -> Given {
    let Some((_, taken, given)) = GLOBALS.iter().find(|(known, ..)| *known == name) else {
        if MEMBERS.contains(&name) {
            return Err(format!("{name} is asked of a text, as x.{name}(\"a\")"));
        }
        return Err(no_function(name, GLOBALS.iter().map(|(known, ..)| *known).chain(["has"])));
    };
    match types {
        [of] if taken.iter().any(|taken| of.may_be(*taken)) => Ok(*given),
        [of] => Err(format!("{name} takes no {}", of.name())),
        _ => Err(format!("{name} takes one value")),
    }
}

pub(super) fn no_function<'k>(name: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    let shown = shortened(name);
    match nearest(name, known.clone()) {
        Some(near) => format!("there is no function \"{shown}\"; did you mean {near}?"),
        None => {
            format!("there is no function \"{shown}\"; use one of: {}", known.collect::<Vec<_>>().join(", "))
        }
    }
}

fn bools(operator: &str, types: &[Type]) -> Given {
    match types.iter().find(|of| !of.may_be(Type::Bool)) {
        Some(of) => Err(format!("{operator} takes what is true or false, not {}", of.noun())),
        None => Ok(Type::Bool),
    }
}

fn equality(left: Type, right: Type) -> Given {
    if alike(left, right) {
        return Ok(Type::Bool);
    }
    Err(format!("{} is never equal to {}", left.noun(), right.noun()))
}

fn order(left: Type, right: Type) -> Given {
    let ordered = |of| matches!(of, Type::Int | Type::Double | Type::Text | Type::Any);
    if alike(left, right) && ordered(left) && ordered(right) {
        return Ok(Type::Bool);
    }
    Err(format!("{} is neither more nor less than {}", left.noun(), right.noun()))
}

/// Whole numbers and fractions are compared by their values.
fn alike(left: Type, right: Type) -> bool {
    left.may_be(right) || (NUMBERS.contains(&left) && NUMBERS.contains(&right))
}

fn membership(left: Type, right: Type) -> Given {
    match right {
        Type::List | Type::Any => Ok(Type::Bool),
        Type::Map if left.may_be(Type::Text) => Ok(Type::Bool),
        Type::Map => Err(format!("names are strings, and {} is none", left.noun())),
        Type::Text => Err("in looks into lists; of a text ask x.contains(\"a\")".to_owned()),
        Type::Bool | Type::Int | Type::Double => {
            Err(format!("in looks into lists, not into {}", right.noun()))
        }
    }
}

fn index(of: Type, by: Type) -> Given {
    match of {
        Type::Map if by.may_be(Type::Text) => Ok(Type::Text),
        Type::List if by.may_be(Type::Int) => Ok(Type::Any),
        Type::Any => Ok(Type::Any),
        Type::Bool | Type::Int | Type::Double | Type::Text | Type::List | Type::Map => {
            Err(format!("{} has nothing by {}", of.noun(), by.noun()))
        }
    }
}

fn arithmetic(left: Type, right: Type, taken: &[Type]) -> Given {
    if NUMBERS.contains(&left) && NUMBERS.contains(&right) && left != right {
        return Err("whole numbers and fractions do not mix; write double(x), or 1.0 for 1".to_owned());
    }
    if left.may_be(right) && taken.iter().any(|taken| left.may_be(*taken) && right.may_be(*taken)) {
        return Ok(if left == Type::Any { right } else { left });
    }
    Err(format!("cannot be reckoned with {} and {}", left.noun(), right.noun()))
}
