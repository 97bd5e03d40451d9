//! Requests to go on from a prompt, and what becomes of them where a provider does not take their form.
//!
//! The prompt is what a user says, in a chat of the dialect that the form belongs to: whatever the two have in common
//! keeps its name and its meaning. What no chat can say is a loss, whoever is asked. The answer is told in the form.

use super::{
    form::{Formed, Kind, Upload},
    operation::Operation,
    pictures_answer::PictureReader,
};
use crate::{
    Dialect, Encoding, Fault, Loss, Losses, Mode, Reader, Sampling, StreamUsage, Wanted, Writer,
    dialects::{ollama, openai_chat},
    fit, ir,
    paths::renamed,
};

/// How a form of prompts is read and written.
pub(crate) struct Prompting {
    pub(crate) decode_request: fn(&[u8]) -> Result<SpokenPrompt, Fault>,
    /// Reads answers that go on as they are.
    pub(crate) watcher: fn(Mode) -> Box<dyn Reader>,
    /// Takes what the answer begins with.
    pub(crate) writer: fn(Wanted, String) -> Box<dyn Writer>,
}

/// A prompt, spoken by the user of a chat.
pub(crate) struct SpokenPrompt {
    pub(crate) chat: ir::Request,
    /// Where pictures are asked for: the same chat in Gemini's words, whose providers are asked so.
    pub(crate) pictures: Option<Box<ir::Request>>,
    /// What no chat can say.
    pub(crate) losses: Losses,
    /// Where the chat's members stood in the caller's body: `(chat, body)`, the first that fits.
    pub(crate) paths: Vec<(String, &'static str)>,
    /// What the answer begins with.
    pub(crate) echo: String,
    /// The answer, where no model is asked for one: its caller's name of the model and the seconds since 1970 to JSON.
    pub(crate) unasked: Option<fn(&str, i64) -> Vec<u8>>,
}

/// A request to go on from a prompt.
pub struct Prompt {
    prompting: &'static Prompting,
    spoken: SpokenPrompt,
}

const OPENAI: Formed = Formed {
    name: "openai_completions",
    operation: Operation::Completions,
    dialect: Dialect::OpenaiChat,
    path: "/completions",
    routes: &[
        ("/v1/completions", ""),
        ("/openai/deployments/{model}/completions", ""),
        ("/openai/v1/completions", ""),
    ],
    upload: Upload::Json,
    kind: Kind::Prompt(&openai_chat::PROMPTING),
};

/// <https://platform.openai.com/docs/api-reference/completions>
pub(super) static COMPLETIONS: Formed = OPENAI;

/// <https://docs.ollama.com/api/generate>
pub(super) static GENERATE: Formed = Formed {
    name: "ollama_generate",
    dialect: Dialect::Ollama,
    path: "/generate",
    routes: &[("/api/generate", "")],
    kind: Kind::Prompt(&ollama::PROMPTING),
    ..OPENAI
};

impl Prompting {
    pub(super) fn read(&'static self, body: &[u8]) -> Result<Prompt, Fault> {
        Ok(Prompt { prompting: self, spoken: (self.decode_request)(body)? })
    }
}

impl Prompt {
    /// Writes it as a chat for a target that speaks this dialect; what it cannot carry is added to `losses`.
    pub fn encode(&self, dialect: Dialect, encoding: &Encoding<'_>, losses: &mut Losses) -> Vec<u8> {
        let SpokenPrompt { chat, losses: unsaid, paths, .. } = &self.spoken;
        let chat = self.pictured(dialect, losses).unwrap_or(chat);
        unsaid.iter().cloned().for_each(|loss| losses.push(loss));
        let mut crossed = Losses::default();
        let body = if dialect == chat.dialect {
            let heeding = heeding(chat, encoding, &mut crossed);
            let fitted = fit::fitted(&heeding, dialect, encoding.quirks, &mut crossed);
            dialect.encode_request(&fitted.request, encoding, &mut crossed)
        } else {
            dialect.encode_request(chat, encoding, &mut crossed)
        };
        let paths: Vec<(&str, &str)> = paths.iter().map(|(from, to)| (from.as_str(), *to)).collect();
        for loss in crossed.iter() {
            losses.push(Loss { path: renamed(&loss.path, &paths, &[]), ..loss.clone() });
        }
        body
    }

    /// The chat that asks this dialect for pictures, where they are asked for and it has its own words for that.
    fn pictured(&self, dialect: Dialect, losses: &mut Losses) -> Option<&ir::Request> {
        let gemini = self.spoken.pictures.as_deref()?;
        if dialect == gemini.dialect {
            if self.spoken.chat.user.is_some() {
                losses.dropped("user", "the target has no such field");
            }
            return Some(gemini);
        }
        if dialect != self.spoken.chat.dialect {
            losses.vital("model", "its provider makes no pictures in a chat: name a model that does");
        }
        None
    }

    /// A reader of an answer to it, given one of the provider's dialect.
    pub fn reader(&self, theirs: Box<dyn Reader>) -> Box<dyn Reader> {
        match self.spoken.pictures {
            Some(_) => Box::new(PictureReader::new(theirs)),
            None => theirs,
        }
    }

    /// Writes an answer to it in its own form.
    pub fn writer(&self, wanted: Wanted) -> Box<dyn Writer> {
        (self.prompting.writer)(wanted, self.spoken.echo.clone())
    }

    /// The answer, where no model need be asked for one; `now_s` is in seconds since 1970.
    pub fn unasked(&self, now_s: i64) -> Option<Vec<u8>> {
        self.spoken.unasked.map(|answer| answer(&self.spoken.chat.model, now_s))
    }
}

/// The chat as its own API takes it. A chat in its caller's own words goes on as it is; these are not its caller's
/// words, so the target's departures are heeded.
fn heeding(chat: &ir::Request, encoding: &Encoding<'_>, losses: &mut Losses) -> ir::Request {
    let mut chat = chat.clone();
    if chat.dialect != Dialect::OpenaiChat {
        return chat;
    }
    let asks = chat.stream == Some(true) && encoding.quirks.stream_usage == StreamUsage::Ask;
    chat.include_usage = asks.then_some(true);
    if encoding.quirks.sampling == Sampling::None {
        let numbers = [
            ("temperature", &mut chat.temperature, 1.0),
            ("top_p", &mut chat.top_p, 1.0),
            ("frequency_penalty", &mut chat.frequency_penalty, 0.0),
            ("presence_penalty", &mut chat.presence_penalty, 0.0),
        ];
        for (name, value, usual) in numbers {
            if value.take().is_some_and(|value| value != usual) {
                losses.dropped(name, "the model refuses it");
            }
        }
    }
    chat
}
