//! What a call is expected to use before it goes out: by its own request, and by what calls like it used.

use std::sync::Arc;

use catalog::Price;
use memchr::memmem;
use policy::{
    Money,
    ledger::estimate::{PRIOR_OUTPUT, Pair, Used},
    limit::{Expected, Limit, Meter},
    price,
    record::{Tokens, Units},
    route::Target,
    vitals::number,
};
use serde::Deserialize;
use wire::{Counting, Envelope, Form, Operation, count::estimate_request};

use crate::{call::Open, core::Core};

/// Tokens of an answer for which neither its caller nor its model sets a limit.
const OUTPUT_TOKENS_MAX: u64 = 1 << 20;
/// Tokens of a square picture in high quality
/// (<https://platform.openai.com/docs/guides/image-generation#cost-and-latency>).
const PICTURE_TOKENS: u64 = 4_160;
/// How long a character is spoken, and a token of sound lasts, in milliseconds.
const CHARACTER_MS: u64 = 70;
const SOUND_TOKEN_MS: u64 = 50;
/// How long speech lasts that comes to one token of text, in milliseconds.
const WORD_MS: u64 = 250;
/// What a millisecond of speech takes in a file: 64 kbit/s.
const SOUND_BYTES_PER_MS: u64 = 8;
/// Sound of which nothing is known.
const SOUND_MS: u64 = 60_000;
/// Picodollars of the unit in which costs are learned.
const MICRODOLLAR: i64 = 1_000_000;

/// What one call may use.
pub(crate) struct Forecast {
    pub(crate) expected: Expected,
    pub(crate) most: Most,
    pub(crate) learns: Option<Learns>,
}

/// The most that a request asks for by itself, whatever calls like it used.
#[derive(Clone, Copy, Default)]
pub(crate) struct Most {
    pub(crate) input_tokens: u64,
    /// Nothing where nobody knows.
    pub(crate) cost: Option<Money>,
}

/// What is learned of a call when it has ended.
#[derive(Clone, Copy)]
pub(crate) struct Learns {
    pair: Pair,
    /// What its request alone made expect: tokens of its prompt, or picodollars where it is not sold by its texts.
    estimated: u64,
}

impl Forecast {
    /// Of a call whose limits do not ask what it uses, or that uses nothing.
    pub(crate) fn nothing() -> Forecast {
        let cost = Some(Money::ZERO);
        let expected = Expected { cost, ..Expected::default() };
        Forecast { expected, most: Most { input_tokens: 0, cost }, learns: None }
    }

    /// Of a call that goes to either of two targets: as much may be used at one, and only so much is sure as at the other.
    pub(crate) fn either(self, other: Forecast) -> Forecast {
        let (one, two) = (self.expected, other.expected);
        let expected = Expected {
            input_tokens: one.input_tokens.max(two.input_tokens),
            output_tokens: one.output_tokens.max(two.output_tokens),
            cost: one.cost.max(two.cost),
            cost_sure: one.cost_sure.min(two.cost_sure),
        };
        Forecast { expected, ..self }
    }
}

/// A call's request, as far as it tells what will be used.
pub(crate) struct Request<'o> {
    core: &'o Core,
    open: &'o Open,
    pair: Pair,
    /// Its tokens, as they are estimated.
    input_tokens: u64,
    /// How many answers or pictures it asks for.
    copies: u64,
    output_tokens_max: Option<u64>,
}

impl<'o> Request<'o> {
    /// Nothing where nobody asks what it will use.
    pub(crate) fn of(core: &'o Core, open: &'o Open, limits: &[Arc<Limit>]) -> Option<Request<'o>> {
        let used = [Meter::Tokens, Meter::InputTokens, Meter::OutputTokens, Meter::Money];
        let counted = limits.iter().any(|limit| used.contains(&limit.meter));
        let capped = open.principal.cost_max().next().is_some();
        let counting = open.counting();
        if counting == Counting::Free || !(counted || capped) {
            return None;
        }
        let pair = Pair {
            key: open.principal.id.as_u128(),
            model: u128::from(number(&[open.operation.name().as_bytes(), open.model_asked.as_bytes()])),
        };
        let is_text = counting == Counting::Text;
        let input_tokens = if is_text || is_json(&open.prompt) { estimate_request(&open.prompt) } else { 0 };
        // Of texts, only the most that a request may be asks for more than what is usual.
        let copies = if capped || !is_text { copies(&open.prompt) } else { 1 };
        Some(Request { core, open, pair, input_tokens, copies, output_tokens_max: output_tokens_max(open) })
    }

    /// What the call may use at a target.
    pub(crate) fn at(&self, target: Option<&Target>) -> Forecast {
        match self.open.counting() {
            Counting::Text => self.text(target),
            Counting::Unknown | Counting::Free => self.other(target),
        }
    }

    /// Of a call that is counted by its texts.
    fn text(&self, target: Option<&Target>) -> Forecast {
        let Request { core, open, pair, input_tokens: estimated, .. } = *self;
        let facts = target.and_then(Target::facts);
        let price = facts.and_then(|facts| facts.price.as_ref());
        let own_max = facts.and_then(|facts| facts.output_tokens).unwrap_or(OUTPUT_TOKENS_MAX);
        let asked_max = self.output_tokens_max.map(|most| most.min(own_max));
        let (input_tokens, mut output_tokens) = {
            let learned = &mut core.learning.borrow_mut().tokens;
            (learned.input(pair, estimated), learned.output(pair, asked_max.unwrap_or(own_max)))
        };
        let each = asked_max.unwrap_or(PRIOR_OUTPUT.min(own_max));
        let mut output_most = each.saturating_mul(self.copies);
        if !matches!(open.counted_as, Operation::Chat | Operation::Completions) {
            (output_tokens, output_most) = (0, 0);
        }
        let cost = |input: u64, output: u64| {
            let price = price?;
            let searches = u64::from(open.counted_as == Operation::Rerank && price.units.search.is_some());
            let tokens = Tokens { input, output, ..Tokens::default() };
            price::cost(price, &tokens, &Units { searches, ..Units::default() })
        };
        let expected = Expected {
            input_tokens,
            output_tokens,
            cost: cost(input_tokens, output_tokens),
            cost_sure: cost(input_tokens, 0).unwrap_or(Money::ZERO),
        };
        let most = Most { input_tokens: estimated, cost: cost(estimated, output_most) };
        Forecast { expected, most, learns: Some(Learns { pair, estimated }) }
    }

    /// Of a call that is sold by something else, or of which nobody knows by what.
    fn other(&self, target: Option<&Target>) -> Forecast {
        let Request { core, open, pair, input_tokens, .. } = *self;
        let Some(price) = target.and_then(Target::facts).and_then(|facts| facts.price.as_ref()) else {
            let (expected, learns) = (Expected::default(), Learns { pair, estimated: 0 });
            return Forecast { expected, most: Most { input_tokens, cost: None }, learns: Some(learns) };
        };
        let own = self.cost(price);
        let estimated = own.map_or(0, |cost| cost.picodollars().unsigned_abs());
        let learned = &mut core.learning.borrow_mut().costs;
        let cost = match own {
            Some(_) => Money(signed(learned.input(pair, estimated))),
            None => Money(signed(learned.output(pair, u64::MAX)).saturating_mul(MICRODOLLAR)),
        };
        // How many pictures or characters there will be is what the request says itself.
        let is_guess = open.counted_as == Operation::Transcription;
        let is_sure = sold_by_unit(open.counted_as, price) && !is_guess;
        let cost_sure = own.filter(|_| is_sure).unwrap_or(Money::ZERO);
        let expected = Expected { cost: Some(cost.max(cost_sure)), cost_sure, ..Expected::default() };
        let most = Most { input_tokens, cost: own.or(Some(Money::ZERO)) };
        Forecast { expected, most, learns: Some(Learns { pair, estimated }) }
    }

    /// What such a call costs as far as its request tells; nothing where its price is for something else.
    fn cost(&self, price: &Price) -> Option<Money> {
        let (open, input_tokens) = (self.open, self.input_tokens);
        let bytes = open.body_bytes.max(u64::try_from(open.prompt.len()).unwrap_or(u64::MAX));
        let none = Units::default();
        let (output, units) = match open.counted_as {
            Operation::Images => {
                let tokens = self.copies.saturating_mul(PICTURE_TOKENS);
                (tokens, Units { images: self.copies, image_output_tokens: tokens, ..none })
            }
            Operation::Speech => {
                let asked = Form::OpenaiSpeech.asked_usage(&open.prompt);
                let characters = asked.map_or(bytes, |asked| asked.characters);
                let audio_ms = characters.saturating_mul(CHARACTER_MS);
                let tokens = audio_ms.div_ceil(SOUND_TOKEN_MS);
                (tokens, Units { characters, audio_ms, audio_output_tokens: tokens, ..none })
            }
            Operation::Transcription => {
                let audio_ms = bytes.div_ceil(SOUND_BYTES_PER_MS);
                let audio_input_tokens = audio_ms.div_ceil(SOUND_TOKEN_MS);
                (audio_ms.div_ceil(WORD_MS), Units { audio_ms, audio_input_tokens, ..none })
            }
            Operation::Chat
            | Operation::Completions
            | Operation::Embeddings
            | Operation::Rerank
            | Operation::Moderations
            | Operation::CountTokens
            | Operation::Files
            | Operation::Batches
            | Operation::StoredResponses
            | Operation::PassThrough => {
                let images = self.copies;
                (PRIOR_OUTPUT, Units { images, audio_ms: SOUND_MS, characters: bytes, searches: 1, ..none })
            }
        };
        if sold_by_unit(open.counted_as, price) {
            return price::cost(price, &Tokens::default(), &units);
        }
        let rates = price.at(input_tokens);
        let input = input_tokens.saturating_add(units.audio_input_tokens);
        let makes = rates.output.or(rates.image_output).or(rates.audio_output).is_some();
        let tokens = Tokens {
            input: if rates.input.is_some() { input } else { 0 },
            output: if makes { output } else { 0 },
            ..Tokens::default()
        };
        price::cost(price, &tokens, &units)
    }
}

/// Whether what an operation makes is sold by its number or its length, and not by its tokens.
fn sold_by_unit(operation: Operation, price: &Price) -> bool {
    match operation {
        Operation::Images => price.units.image.is_some(),
        Operation::Speech => price.units.character.or(price.units.minute).is_some(),
        Operation::Transcription => price.units.minute.is_some(),
        Operation::Chat
        | Operation::Completions
        | Operation::Embeddings
        | Operation::Rerank
        | Operation::Moderations
        | Operation::CountTokens
        | Operation::Files
        | Operation::Batches
        | Operation::StoredResponses
        | Operation::PassThrough => false,
    }
}

/// Has calls like this one learn from it. Where nobody knows what it cost, there is nothing to learn.
pub(crate) fn learn(core: &Core, open: &Open, learns: Learns, tokens: &Tokens, cost: Option<Money>) {
    let mut learning = core.learning.borrow_mut();
    let Learns { pair, estimated: input_estimated } = learns;
    if open.counting() == Counting::Text {
        let Tokens { input, output, .. } = *tokens;
        // What broke off says nothing of how long answers are.
        if output > 0 || matches!(open.counted_as, Operation::Embeddings | Operation::Rerank) {
            learning.tokens.learn(pair, Used { input_estimated, input, output });
        }
    } else if let Some(cost) = cost {
        let input = cost.picodollars().unsigned_abs();
        let output = input / MICRODOLLAR.unsigned_abs();
        learning.costs.learn(pair, Used { input_estimated, input, output });
    }
}

/// What a request that is passed through is counted as.
pub(crate) fn counted_as(is_chat: bool, form: Option<Form>) -> Operation {
    match form.map(Form::operation) {
        _ if is_chat => Operation::Chat,
        // Only where the gateway knows the whole request is it sure that nothing is sold.
        Some(operation) if operation.counting() != Counting::Free => operation,
        Some(_) | None => Operation::PassThrough,
    }
}

/// The most tokens to generate, where the caller says so. What is passed through was not read for it yet.
fn output_tokens_max(open: &Open) -> Option<u64> {
    if open.operation != Operation::PassThrough {
        return open.output_tokens_max;
    }
    Envelope::addressed(&open.prompt, "passed".to_owned(), false).ok()?.output_tokens_max
}

/// How many answers, or pictures, a request asks for.
fn copies(body: &[u8]) -> u64 {
    #[derive(Deserialize)]
    struct Asked {
        n: Option<u64>,
        #[serde(rename = "generationConfig")]
        generation: Option<Generation>,
    }
    #[derive(Deserialize)]
    struct Generation {
        #[serde(rename = "candidateCount")]
        candidates: Option<u64>,
    }
    let asked = if is_json(body) {
        let asked = serde_json::from_slice::<Asked>(body).ok();
        asked.and_then(|asked| asked.n.or(asked.generation.and_then(|generation| generation.candidates)))
    } else {
        field(body, b"name=\"n\"")
    };
    asked.unwrap_or(1).max(1)
}

/// A number in a form with files.
fn field(body: &[u8], name: &[u8]) -> Option<u64> {
    let head = body.get(memmem::find(body, name)?..)?;
    let value = head.get(memmem::find(head, b"\r\n\r\n")? + 4..)?;
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    str::from_utf8(value.get(..digits)?).ok()?.parse().ok()
}

fn is_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_say_how_many_they_want() {
        let check = |body: &str, expected: u64| assert_eq!(copies(body.as_bytes()), expected, "{body}");
        check(r#"{"prompt":"a","n":10}"#, 10);
        check(r#" {"n":null}"#, 1);
        check(r#"{"n":"many"}"#, 1);
        check(r#"{"n":0}"#, 1);
        check(r#"{"contents":[],"generationConfig":{"candidateCount":4}}"#, 4);
        check("--b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n7\r\n--b--", 7);
        check("--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n7\r\n--b--", 1);
    }

    #[test]
    fn what_is_passed_through_is_counted_as_what_it_is() {
        assert_eq!(counted_as(true, None), Operation::Chat);
        assert_eq!(counted_as(false, Some(Form::OpenaiImages)), Operation::Images);
        assert_eq!(counted_as(false, Some(Form::OpenaiBatches)), Operation::PassThrough);
        assert_eq!(counted_as(false, None), Operation::PassThrough);
    }
}
