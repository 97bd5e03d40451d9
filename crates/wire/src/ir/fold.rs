//! Events to a whole answer.

use super::{Choice, Event, Part, PartDelta, PartKind, PartStart, Place, Response, Usage};
use crate::{Fault, json::RawRef};

/// Collects the events of one answer.
#[derive(Debug, Default)]
pub struct Fold {
    response: Response,
    fault: Option<Fault>,
}

impl Fold {
    /// The most choices and parts that one answer may have; what lies beyond is left out.
    const ITEMS_MAX: usize = 4096;

    pub fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Start { id, model, created_s } => {
                self.response.id = id.clone().into_owned();
                self.response.model = model.clone().into_owned();
                self.response.created_s = *created_s;
            }
            Event::PartStart { choice, index, part, ext } => {
                let ext = ext.to_owned();
                let part = Part { kind: opened(part), cache: None, ext };
                if let Some(choice) = self.choice(*choice) {
                    let at = (*index as usize).min(choice.parts.len());
                    if at < Self::ITEMS_MAX {
                        choice.parts.insert(at, part);
                    }
                }
            }
            Event::PartDelta { choice, index, delta } => {
                let part = self.choice(*choice).and_then(|choice| choice.parts.get_mut(*index as usize));
                if let Some(part) = part {
                    extend(part, delta);
                }
            }
            Event::PartStop { .. } | Event::End => {}
            Event::Logprobs { choice, logprobs } => {
                if let Some(choice) = self.choice(*choice) {
                    choice.logprobs = Some(logprobs.to_owned());
                }
            }
            Event::ChoiceStop { choice, stop } => {
                if let Some(choice) = self.choice(*choice) {
                    choice.stop = Some(stop.clone());
                }
            }
            Event::Usage { usage, ext } => {
                self.response.usage.get_or_insert_with(Usage::default).merge(usage);
                self.response.usage_ext.merge(ext);
            }
            Event::Ext { place, ext } => match *place {
                Place::Response => self.response.ext.merge(ext),
                Place::Echo => self.response.echo.merge(ext),
                Place::Choice(choice) => {
                    if let Some(choice) = self.choice(choice) {
                        choice.ext.merge(ext);
                    }
                }
                Place::Message(choice) => {
                    if let Some(choice) = self.choice(choice) {
                        choice.message_ext.merge(ext);
                    }
                }
            },
            Event::Fault(fault) => self.fault = Some(fault.clone()),
        }
    }

    /// The answer, and the fault that ended it if one did.
    pub fn finish(self) -> (Response, Option<Fault>) {
        (self.response, self.fault)
    }

    pub fn response(&self) -> &Response {
        &self.response
    }

    fn choice(&mut self, index: u32) -> Option<&mut Choice> {
        let choices = &mut self.response.choices;
        let at = match choices.iter().position(|choice| choice.index == index) {
            Some(at) => at,
            None if choices.len() < Self::ITEMS_MAX => {
                choices.push(Choice { index, ..Choice::default() });
                choices.len() - 1
            }
            None => return None,
        };
        choices.get_mut(at)
    }
}

fn opened(part: &PartStart<'_>) -> PartKind {
    match part {
        PartStart::Text => PartKind::Text { text: String::new(), annotations: Vec::new() },
        PartStart::Refusal => PartKind::Refusal { text: String::new() },
        PartStart::Reasoning => PartKind::Reasoning { text: String::new(), signature: None },
        PartStart::RedactedReasoning { bytes } => {
            PartKind::RedactedReasoning { bytes: bytes.clone().into_owned() }
        }
        PartStart::ToolCall { id, name } => PartKind::ToolCall {
            id: id.clone().into_owned(),
            name: name.clone().into_owned(),
            arguments: String::new(),
        },
        PartStart::Opaque { name, value } => {
            PartKind::Opaque { name: name.clone().into_owned(), value: value.to_owned() }
        }
    }
}

/// A delta that does not fit the kind of its part is left out: the reader has reported it as garbage.
fn extend(part: &mut Part, delta: &PartDelta<'_>) {
    match (&mut part.kind, delta) {
        (
            PartKind::Text { text, .. } | PartKind::Refusal { text } | PartKind::Reasoning { text, .. },
            PartDelta::Text(more),
        ) => text.push_str(more),
        (PartKind::Text { annotations, .. }, PartDelta::Annotation(raw)) => annotations.push(raw.to_owned()),
        (PartKind::Reasoning { signature, .. }, PartDelta::Signature(seal)) => {
            *signature = Some(seal.clone().into_owned());
        }
        (PartKind::ToolCall { arguments, .. }, PartDelta::Arguments(more)) => arguments.push_str(more),
        (PartKind::Opaque { value, .. }, PartDelta::Opaque(later)) => *value = RawRef::to_owned(later),
        (_, PartDelta::Text(_) | PartDelta::Arguments(_) | PartDelta::Signature(_)) => {}
        (_, PartDelta::Annotation(_) | PartDelta::Opaque(_)) => {}
    }
}
