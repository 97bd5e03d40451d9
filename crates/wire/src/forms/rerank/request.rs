//! What is asked of a model that ranks, and what it answers, in no form.

use serde_json::value::RawValue;

use crate::{
    Fault, Losses,
    ir::{Ext, Usage},
    json::{self, Object, ObjectWriter, Raw, write_array, write_string},
};

/// What a form does.
pub(in crate::forms) struct Reranking {
    pub(in crate::forms) decode_request: fn(&[u8]) -> Result<Request, Fault>,
    pub(in crate::forms) encode_request: fn(&Request, &str, &mut Losses) -> Vec<u8>,
    pub(in crate::forms) decode_answer: fn(&[u8]) -> Result<Answer, Fault>,
    pub(in crate::forms) encode_answer: fn(&Answer, &Request, &mut Vec<u8>),
}

/// A request to rank documents.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::forms) struct Request {
    pub(in crate::forms) query: String,
    pub(in crate::forms) documents: Vec<Document>,
    /// The most results.
    pub(in crate::forms) top: Option<u64>,
    /// Whether results bring their documents along.
    pub(in crate::forms) return_documents: Option<bool>,
    /// The most tokens of a document that are read.
    pub(in crate::forms) document_tokens_max: Option<u64>,
    /// Whether to cut what is too long, or to refuse it.
    pub(in crate::forms) truncate: Option<bool>,
    /// Members that only the request's own form has.
    pub(in crate::forms) ext: Ext,
}

/// A document: a text, or an object as it stood.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::forms) enum Document {
    Text(String),
    Object(Raw),
}

/// Results, the best first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::forms) struct Answer {
    pub(in crate::forms) id: Option<String>,
    pub(in crate::forms) model: Option<String>,
    pub(in crate::forms) results: Vec<Scored>,
    pub(in crate::forms) usage: Option<Usage>,
}

/// A document's place in the request, and its score as the provider spelt it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::forms) struct Scored {
    pub(in crate::forms) index: u64,
    pub(in crate::forms) score: Raw,
}

impl Request {
    /// Takes the members that all forms share; the caller takes its own and then the rest.
    pub(super) fn shared(object: &mut Object<'_>) -> Result<Request, Fault> {
        object.take("model");
        let query = object.string("query")?.ok_or_else(|| Fault::invalid("query", "is missing"))?;
        let documents = object.array("documents")?;
        let documents = documents.ok_or_else(|| Fault::invalid("documents", "is missing"))?;
        let documents = documents
            .into_iter()
            .enumerate()
            .map(|(at, raw)| document(raw).map_err(|fault| fault.under(&format!("documents[{at}]"))));
        Ok(Request {
            query: query.into_owned(),
            documents: documents.collect::<Result<_, Fault>>()?,
            return_documents: object.boolean("return_documents")?,
            ..Request::default()
        })
    }

    /// Writes the members that all forms share. Objects become texts where the target takes only those.
    pub(super) fn write_shared(&self, object: &mut ObjectWriter<'_>, model: &str, losses: &mut Losses) {
        object.string("model", model);
        object.string("query", &self.query);
        write_array(object.key("documents"), &self.documents, |out, document| match document {
            Document::Text(text) => write_string(out, text),
            Document::Object(raw) => {
                losses.approximated("documents", "the target takes texts: an object is sent as one");
                write_string(out, raw.text());
            }
        });
        losses.ext("", &self.ext);
    }

    /// Tells of a limit on documents' length that the target does not have.
    pub(super) fn report_document_limit(&self, losses: &mut Losses) {
        if self.document_tokens_max.is_some() {
            losses.dropped("max_tokens_per_doc", "the target has no such limit");
        }
    }

    pub(super) fn report_truncate(&self, losses: &mut Losses) {
        if self.truncate.is_some() {
            losses.approximated("truncation", "the target cuts what is too long");
        }
    }

    /// A result's document, as the request had it.
    pub(super) fn document(&self, scored: &Scored) -> Option<&Document> {
        self.documents.get(usize::try_from(scored.index).ok()?)
    }
}

impl Scored {
    /// Results of any form.
    pub(super) fn list(items: Vec<&RawValue>) -> Result<Vec<Scored>, Fault> {
        let scored = items.into_iter().map(|item| {
            let mut item = Object::from_raw(item)?;
            let index = item.unsigned("index")?.ok_or_else(|| Fault::invalid("index", "is missing"))?;
            let score = item.take_some("relevance_score");
            let score = score.ok_or_else(|| Fault::invalid("relevance_score", "is missing"))?;
            Ok(Scored { index, score: Raw::new(score) })
        });
        scored.collect()
    }
}

fn document(raw: &RawValue) -> Result<Document, Fault> {
    match raw.get().as_bytes().first() {
        Some(b'"') => json::string(raw).map(|text| Document::Text(text.into_owned())),
        Some(b'{') => {
            // `{"text": …}` and nothing else says no more than the text.
            let mut object = Object::from_raw(raw)?;
            let text = object.string("text").ok().flatten();
            Ok(match text.filter(|_| object.is_empty()) {
                Some(text) => Document::Text(text.into_owned()),
                None => Document::Object(Raw::new(raw)),
            })
        }
        Some(_) | None => Err(Fault::invalid("", "must be a text or an object")),
    }
}
