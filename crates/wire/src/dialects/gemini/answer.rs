//! Answers: bytes to events. A whole answer is one chunk (<https://ai.google.dev/api/generate-content>).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    fault::error_object,
    notes::{Members, as_event, note},
    part::{self, Kind, PartIn},
    partial::Partial,
    signature::{Bearer, borne},
    usage, words,
};
use crate::{
    Fault, Sink,
    ir::{Event, ExtRef, PartDelta, PartStart, Place},
    json::{self, Object, RawRef},
};

/// The most candidates that are told apart.
const CANDIDATES_MAX: usize = 64;

/// What is known of an answer while it comes.
#[derive(Default)]
pub(super) struct Answer {
    /// Texts of one kind that follow each other are one part.
    joins: bool,
    started: bool,
    id: String,
    /// Calls without an id of their own.
    made: usize,
    candidates: Vec<Candidate>,
    /// A picture was made.
    pictured: bool,
    /// The prompt was blocked, or the provider reported an error.
    ended: bool,
    failed: bool,
}

#[derive(Default)]
struct Candidate {
    index: u32,
    next: u32,
    texts: usize,
    calls: usize,
    /// The text that is open, and whether it is a thought.
    open: Option<(u32, bool)>,
    partial: Option<Partial>,
    finished: bool,
}

impl Answer {
    pub(super) fn new(joins: bool) -> Answer {
        Answer { joins, ..Answer::default() }
    }

    /// Whether everything that was begun has ended.
    pub(super) fn complete(&self) -> bool {
        let finished = !self.candidates.is_empty() && self.candidates.iter().all(|one| one.finished);
        !self.failed && (self.ended || finished)
    }

    /// Reads one chunk.
    pub(super) fn chunk(&mut self, data: &[u8], sink: &mut Sink<'_>) -> Result<(), Fault> {
        let mut members = Members::new(Object::parse(data)?);
        if let Some(error) = members.peek("error") {
            let value = serde_json::from_str(error.get()).unwrap_or_default();
            self.failed = true;
            sink(Event::Fault(error_object(&value, None)));
            return Ok(());
        }
        let id = members.string("responseId")?;
        let model = members.string("modelVersion")?;
        let candidates = members.list("candidates")?;
        let feedback = members.peek("promptFeedback");
        let usage = members.take("usageMetadata");
        if candidates.is_none() && feedback.is_none() && usage.is_none() {
            return Err(Fault::invalid("candidates", "is missing"));
        }
        if !self.started {
            self.started = true;
            self.id = id.as_deref().unwrap_or_default().to_owned();
            sink(Event::Start {
                id: id.unwrap_or_default(),
                model: model.unwrap_or_default(),
                created_s: None,
            });
        }
        for (at, raw) in candidates.unwrap_or_default().into_iter().enumerate() {
            self.candidate(raw, sink).map_err(|fault| fault.under(&format!("candidates[{at}]")))?;
        }
        let reason = feedback.and_then(|raw| Object::from_raw(raw).ok()?.string("blockReason").ok()?);
        if let Some(reason) = reason.filter(|_| self.candidates.is_empty()) {
            self.ended = true;
            sink(Event::ChoiceStop { choice: 0, stop: words::blocked(&reason) });
        }
        // Counts before the end may be larger than the last: that one is what is charged.
        if let Some(raw) = usage.filter(|_| self.complete() || !self.joins) {
            let (mut usage, ext) = usage::read(raw).map_err(|fault| fault.under("usageMetadata"))?;
            // Where nothing tells them apart, all that was made beside thoughts is pictures, which cost the most.
            if self.pictured && usage.output_image_tokens == 0 {
                usage.output_image_tokens = usage.output_tokens.saturating_sub(usage.reasoning_tokens);
            }
            sink(Event::Usage { usage, ext });
        }
        let ext = members.rest();
        if !ext.is_empty() {
            sink(Event::Ext { place: Place::Response, ext: as_event(ext) });
        }
        Ok(())
    }

    fn candidate(&mut self, raw: &RawValue, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let mut object = Members::from_raw(raw)?;
        let number = object.unsigned("index")?;
        let index = number.and_then(|number| u32::try_from(number).ok()).unwrap_or_default();
        if let Some(number) = number {
            object.note("index", &number.to_string());
        }
        let at = match self.candidates.iter().position(|known| known.index == index) {
            Some(at) => at,
            None if self.candidates.len() < CANDIDATES_MAX => {
                self.candidates.push(Candidate { index, ..Candidate::default() });
                self.candidates.len() - 1
            }
            None => return Ok(()),
        };
        let content = object.object("content")?;
        let told = content.is_some();
        let mut message = crate::ir::Ext::default();
        let mut parts = None;
        if let Some(mut content) = content {
            parts = content.list("parts").map_err(|fault| fault.under("content"))?;
            if let Some(role) = content.string("role")? {
                content.note("role", &role);
            }
            message = content.rest();
        }
        if !self.joins {
            match (told, parts.is_some()) {
                (false, _) => note(&mut message, "content", "none"),
                (true, false) => note(&mut message, "parts", "none"),
                (true, true) => {}
            }
        }
        if !message.is_empty() {
            sink(Event::Ext { place: Place::Message(index), ext: as_event(message) });
        }
        let logprobs = object.take("logprobsResult");
        let reason = object.take("finishReason");
        let ext = object.rest();
        if !ext.is_empty() {
            sink(Event::Ext { place: Place::Choice(index), ext: as_event(ext) });
        }
        for (number, raw) in parts.unwrap_or_default().into_iter().enumerate() {
            let part = part::read(raw).and_then(|part| self.part(at, part, raw, sink));
            part.map_err(|fault| fault.under(&format!("content.parts[{number}]")))?;
        }
        if let Some(raw) = logprobs {
            sink(Event::Logprobs { choice: index, logprobs: RawRef::Borrowed(raw) });
        }
        if let Some(raw) = reason {
            let word = json::string(raw).unwrap_or(Cow::Borrowed(raw.get()));
            self.finish(at, &word, sink);
        } else if !self.joins {
            self.finish(at, "", sink);
        }
        Ok(())
    }

    fn finish(&mut self, at: usize, word: &str, sink: &mut Sink<'_>) {
        let Some(candidate) = self.candidates.get_mut(at) else { return };
        candidate.close(sink);
        candidate.finished = true;
        if !word.is_empty() {
            let stop = words::stop(word, candidate.calls > 0);
            sink(Event::ChoiceStop { choice: candidate.index, stop });
        }
    }

    fn part(
        &mut self,
        at: usize,
        part: PartIn<'_>,
        raw: &RawValue,
        sink: &mut Sink<'_>,
    ) -> Result<(), Fault> {
        let joins = self.joins;
        let Some(candidate) = self.candidates.get_mut(at) else { return Ok(()) };
        let PartIn { kind, signature, mut ext } = part;
        match kind {
            Kind::Thought(text) => candidate.thought(text, signature, as_event(ext), joins, sink),
            Kind::Text(text) => {
                let alone = text.is_empty() && ext.is_empty();
                if alone && joins && signature.is_none() {
                    return Ok(());
                }
                if let Some(signature) = signature {
                    let bearer = if alone { Bearer::Nothing } else { Bearer::Text(candidate.texts) };
                    candidate.sealed(&borne(bearer, &signature), sink);
                    if alone {
                        return Ok(());
                    }
                }
                candidate.text(text, as_event(ext), joins, sink);
            }
            Kind::Call { name, args, partial, continues, .. }
                if candidate.partial.is_some() && name.is_empty() =>
            {
                candidate.more(args, &partial, continues, sink)?;
            }
            Kind::Call { id, name, args, partial, continues } => {
                candidate.close(sink);
                if let Some(signature) = signature {
                    candidate.sealed(&borne(Bearer::Call(candidate.calls), &signature), sink);
                }
                let id = if id.is_empty() {
                    self.made += 1;
                    Cow::Owned(words::made_id(&self.id, self.made))
                } else {
                    id
                };
                let comes = continues || !partial.is_empty();
                if args.is_none() && !comes {
                    note(&mut ext, "args", "none");
                }
                let Some(candidate) = self.candidates.get_mut(at) else { return Ok(()) };
                candidate.calls += 1;
                let index = candidate.start(PartStart::ToolCall { id, name }, as_event(ext), sink);
                candidate.partial = comes.then(|| Partial::new(index));
                if comes {
                    return candidate.more(args, &partial, continues, sink);
                }
                let arguments = Cow::Borrowed(args.map_or("{}", RawValue::get));
                candidate.whole(index, PartDelta::Arguments(arguments), sink);
            }
            Kind::Opaque(name) => candidate.opaque(name, raw, sink),
            Kind::Result { .. } => candidate.opaque("functionResponse".to_owned(), raw, sink),
            Kind::Inline { media_type, .. } => {
                self.pictured |= media_type.as_deref().is_some_and(words::is_picture);
                candidate.opaque("inlineData".to_owned(), raw, sink);
            }
            Kind::File { .. } => candidate.opaque("fileData".to_owned(), raw, sink),
        }
        Ok(())
    }
}

impl Candidate {
    fn start(&mut self, part: PartStart<'_>, ext: ExtRef<'_>, sink: &mut Sink<'_>) -> u32 {
        let index = self.next;
        self.next += 1;
        sink(Event::PartStart { choice: self.index, index, part, ext });
        index
    }

    fn delta(&self, index: u32, delta: PartDelta<'_>, sink: &mut Sink<'_>) {
        sink(Event::PartDelta { choice: self.index, index, delta });
    }

    fn stop(&self, index: u32, sink: &mut Sink<'_>) {
        sink(Event::PartStop { choice: self.index, index });
    }

    /// The only delta of a part, and its end.
    fn whole(&self, index: u32, delta: PartDelta<'_>, sink: &mut Sink<'_>) {
        self.delta(index, delta, sink);
        self.stop(index, sink);
    }

    /// Ends what is open.
    fn close(&mut self, sink: &mut Sink<'_>) {
        if let Some((index, _)) = self.open.take() {
            self.stop(index, sink);
        }
        if let Some(partial) = self.partial.take() {
            self.whole(partial.index, PartDelta::Arguments(Cow::Owned(partial.text())), sink);
        }
    }

    fn sealed(&mut self, bytes: &str, sink: &mut Sink<'_>) {
        self.close(sink);
        let part = PartStart::RedactedReasoning { bytes: Cow::Borrowed(bytes) };
        let index = self.start(part, ExtRef::default(), sink);
        self.stop(index, sink);
    }

    fn thought(
        &mut self,
        text: Cow<'_, str>,
        signature: Option<Cow<'_, str>>,
        ext: ExtRef<'_>,
        joins: bool,
        sink: &mut Sink<'_>,
    ) {
        let index = match self.open {
            Some((index, true)) if joins && ext.is_empty() => index,
            _ => {
                self.close(sink);
                self.start(PartStart::Reasoning, ext, sink)
            }
        };
        self.open = Some((index, true));
        if !text.is_empty() {
            self.delta(index, PartDelta::Text(text), sink);
        }
        if let Some(signature) = signature {
            self.delta(index, PartDelta::Signature(signature), sink);
            self.close(sink);
        }
        if !joins {
            self.close(sink);
        }
    }

    fn text(&mut self, text: Cow<'_, str>, ext: ExtRef<'_>, joins: bool, sink: &mut Sink<'_>) {
        let index = match self.open {
            Some((index, false)) if joins && ext.is_empty() => index,
            _ => {
                self.close(sink);
                self.texts += 1;
                self.start(PartStart::Text, ext, sink)
            }
        };
        self.open = Some((index, false));
        if !text.is_empty() {
            self.delta(index, PartDelta::Text(text), sink);
        }
        if !joins {
            self.close(sink);
        }
    }

    fn opaque(&mut self, name: String, raw: &RawValue, sink: &mut Sink<'_>) {
        self.close(sink);
        let part = PartStart::Opaque { name: Cow::Owned(name), value: RawRef::Borrowed(raw) };
        let index = self.start(part, ExtRef::default(), sink);
        self.stop(index, sink);
    }

    /// More of a call whose arguments come in pieces.
    fn more(
        &mut self,
        args: Option<&RawValue>,
        pieces: &[&RawValue],
        continues: bool,
        sink: &mut Sink<'_>,
    ) -> Result<(), Fault> {
        if let Some(partial) = &mut self.partial {
            partial.take(args, pieces)?;
        }
        if !continues {
            self.close(sink);
        }
        Ok(())
    }
}
