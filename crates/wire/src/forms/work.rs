//! A request of one form, read once, and its answer: as either side has it.

use bytes::Bytes;

use super::{
    embed,
    form::{Form, Kind},
    forwarded::{self, EndedWork},
    prompt::Prompt,
    rename::rename,
    rerank,
};
use crate::{Fault, Losses, ir::Usage};

/// A request that another form can carry.
pub struct Work(Asked);

enum Asked {
    Embed(embed::Request),
    Rerank(rerank::Request),
    Prompt(Box<Prompt>),
}

/// An answer as its caller's form has it.
pub struct Answered {
    pub body: Vec<u8>,
    pub usage: Option<Usage>,
}

impl Work {
    /// The prompt, where a model is asked to go on from one.
    pub fn prompt(&self) -> Option<&Prompt> {
        match &self.0 {
            Asked::Prompt(prompt) => Some(prompt),
            Asked::Embed(_) | Asked::Rerank(_) => None,
        }
    }
}

impl Form {
    /// Reads a request, where its operation has more than one form or can become a chat.
    pub fn read(self, body: &[u8], method: &str) -> Result<Option<Work>, Fault> {
        Ok(match &self.formed().kind {
            Kind::Embed(embedding) => Some(Work(Asked::Embed((embedding.decode_request)(body, method)?))),
            Kind::Rerank(reranking) => Some(Work(Asked::Rerank((reranking.decode_request)(body)?))),
            Kind::Prompt(prompting) | Kind::Pictures(_, prompting) => {
                Some(Work(Asked::Prompt(Box::new(prompting.read(body)?))))
            }
            Kind::Forwarded(_) | Kind::Resource(_) => None,
        })
    }

    /// Writes a request in this form, with what stands for `{method}` in its path. `None` where the form has no place
    /// for such a request.
    pub fn write(self, work: &Work, model: &str, losses: &mut Losses) -> Option<(Vec<u8>, &'static str)> {
        match (&self.formed().kind, &work.0) {
            (Kind::Embed(embedding), Asked::Embed(request)) => {
                Some(((embedding.encode_request)(request, model, losses), embedding.method))
            }
            (Kind::Rerank(reranking), Asked::Rerank(request)) => {
                Some(((reranking.encode_request)(request, model, losses), ""))
            }
            _ => None,
        }
    }

    /// The body of a request whose address names the model, where it repeats that name.
    pub fn renamed(self, body: &Bytes, model: &str) -> Bytes {
        if self.names_model_in_path() { rename(body, model) } else { body.clone() }
    }

    /// Turns an answer of a provider's form into one of this form. `id` is for answers that bring none.
    pub fn turn(self, from: Form, work: &Work, answer: &[u8], id: &str) -> Result<Answered, Fault> {
        let mut body = Vec::with_capacity(answer.len());
        let usage = match (&self.formed().kind, &from.formed().kind, &work.0) {
            (Kind::Embed(own), Kind::Embed(theirs), Asked::Embed(request)) => {
                let mut answer = (theirs.decode_answer)(answer).map_err(Fault::into_garbage)?;
                answer.id.get_or_insert_with(|| id.to_owned());
                (own.encode_answer)(&answer, request, &mut body)?;
                answer.usage
            }
            (Kind::Rerank(own), Kind::Rerank(theirs), Asked::Rerank(request)) => {
                let mut answer = (theirs.decode_answer)(answer).map_err(Fault::into_garbage)?;
                answer.id.get_or_insert_with(|| id.to_owned());
                (own.encode_answer)(&answer, request, &mut body);
                answer.usage
            }
            _ => return Err(Fault::invalid("", "the two forms are of different operations").into_garbage()),
        };
        Ok(Answered { body, usage })
    }

    /// The work of which an answer, or an event of one, tells that it was done after its request was answered and has ended.
    pub fn ended_works(answer: &[u8]) -> Vec<EndedWork> {
        let mut found = Vec::new();
        if memchr::memmem::find(answer, b"\"usage\"").is_some()
            && let Ok(answer) = serde_json::from_slice(answer)
        {
            forwarded::ended(&answer, &mut found);
        }
        found
    }
}
