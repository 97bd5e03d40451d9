//! What is asked of a model that makes vectors, and what it answers, in no form.

use super::vector::{Kind, Vector};
use crate::{
    Fault, Losses,
    ir::{Ext, Usage},
    json::Raw,
};

/// What a form does.
pub(in crate::forms) struct Embedding {
    /// The body, and what stands for `{method}` in the form's path.
    pub(in crate::forms) decode_request: fn(&[u8], &str) -> Result<Request, Fault>,
    pub(in crate::forms) encode_request: fn(&Request, &str, &mut Losses) -> Vec<u8>,
    /// What stands for `{method}` in the path of a request that is written.
    pub(in crate::forms) method: &'static str,
    pub(in crate::forms) decode_answer: fn(&[u8]) -> Result<Answer, Fault>,
    pub(in crate::forms) encode_answer: fn(&Answer, &Request, &mut Vec<u8>) -> Result<(), Fault>,
}

/// A request for vectors.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::forms) struct Request {
    pub(in crate::forms) inputs: Vec<Input>,
    /// One input that did not stand in a list: some forms answer it with one vector.
    pub(in crate::forms) single: bool,
    /// How many numbers a vector has.
    pub(in crate::forms) dimensions: Option<u64>,
    /// In which kinds of numbers to answer; none is the form's own.
    pub(in crate::forms) kinds: Vec<Kind>,
    pub(in crate::forms) purpose: Option<Purpose>,
    /// Whether to cut inputs that are too long, or to refuse them.
    pub(in crate::forms) truncate: Option<bool>,
    pub(in crate::forms) user: Option<String>,
    /// Members that only the request's own form has.
    pub(in crate::forms) ext: Ext,
}

/// One thing to make a vector of.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::forms) enum Input {
    Text(String),
    /// A list of token numbers.
    Tokens(Raw),
    /// A picture, as a data URL.
    Image(String),
    /// Anything else, as it stood.
    Opaque(Raw),
}

/// What a vector is for: some models make other vectors of queries than of documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::forms) enum Purpose {
    Query,
    Document,
    Classification,
    Clustering,
    Similarity,
    /// Another, by the name that the request's own form has for it.
    Other(String),
}

/// An answer with vectors, in the order of the inputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::forms) struct Answer {
    pub(in crate::forms) id: Option<String>,
    pub(in crate::forms) model: Option<String>,
    /// For each kind of numbers that was asked for.
    pub(in crate::forms) vectors: Vec<(Kind, Vec<Vector>)>,
    /// Whether the form does not say which numbers a list holds: they are of the kind that was asked for.
    pub(in crate::forms) kind_untold: bool,
    pub(in crate::forms) usage: Option<Usage>,
}

impl Request {
    /// The one kind in which forms that know no other answer, where the caller asked for one they have.
    pub(super) fn report_kinds(&self, known: &[Kind], losses: &mut Losses) {
        if self.kinds.iter().any(|kind| !known.contains(kind)) {
            losses.vital("encoding_format", "the target has no such numbers");
        }
    }

    pub(super) fn report_truncate(&self, losses: &mut Losses) {
        if self.truncate.is_some() {
            losses.approximated("truncate", "the target does as it finds right with what is too long");
        }
    }

    pub(super) fn report_user(&self, losses: &mut Losses) {
        if self.user.is_some() {
            losses.dropped("user", "the target takes no user");
        }
    }
}

impl Answer {
    /// The vectors of one kind, made of another where they are the same numbers.
    pub(super) fn of(&self, kind: Kind) -> Result<Vec<Vector>, Fault> {
        if let Some((_, vectors)) = self.vectors.iter().find(|(known, _)| *known == kind) {
            return vectors.iter().map(|vector| vector.turned(kind)).collect();
        }
        let other = self.vectors.iter().find(|(known, _)| known.is_float() && kind.is_float());
        let Some((_, vectors)) = other else {
            if let ([(Kind::Float, vectors)], true) = (self.vectors.as_slice(), self.kind_untold) {
                return vectors.iter().map(|vector| vector.turned(kind)).collect();
            }
            return Err(Fault::invalid("", "the provider answered in other numbers").into_garbage());
        };
        vectors.iter().map(|vector| vector.turned(kind)).collect()
    }
}
