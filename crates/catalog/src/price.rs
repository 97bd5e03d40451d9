//! Prices by class of tokens.

use serde::{Deserialize, Serialize};

/// What tokens cost, in picodollars per token (micro-USD per million tokens).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    #[serde(flatten)]
    pub rates: Rates,
    /// Other rates for prompts above a size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<LongContext>,
    #[serde(flatten)]
    pub units: UnitRates,
    /// What a batch costs of this, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_permille: Option<u64>,
    /// The day from which it holds, as `2026-01-31`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// What is sold in other units than tokens, in picodollars for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRates {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<u64>,
    /// Of sound, in or out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minute: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub character: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<u64>,
    /// For each call, whatever it uses beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
}

/// One set of rates. A class without a rate of its own is sold at the rate of the class it belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<u64>,
    /// Input read from the prompt cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<u64>,
    /// Input written to the prompt cache with the usual lifetime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
    /// Input written to the prompt cache for an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// Reasoning, where it is not sold as output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
    /// Sound and pictures, where they are not sold as the rest of the input or the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_input: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_output: Option<u64>,
}

/// Rates that hold when the prompt has more than so many tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongContext {
    pub tokens: u64,
    #[serde(flatten)]
    pub rates: Rates,
}

impl Price {
    /// The rates for a prompt of this many tokens.
    pub fn at(&self, input_tokens: u64) -> Rates {
        let Some(above) = self.above.filter(|above| input_tokens > above.tokens) else {
            return self.rates;
        };
        Rates {
            input: above.rates.input.or(self.rates.input),
            cached: above.rates.cached.or(self.rates.cached),
            cache_write: above.rates.cache_write.or(self.rates.cache_write),
            cache_write_1h: above.rates.cache_write_1h.or(self.rates.cache_write_1h),
            output: above.rates.output.or(self.rates.output),
            reasoning: above.rates.reasoning.or(self.rates.reasoning),
            audio_input: above.rates.audio_input.or(self.rates.audio_input),
            audio_output: above.rates.audio_output.or(self.rates.audio_output),
            image_input: above.rates.image_input.or(self.rates.image_input),
            image_output: above.rates.image_output.or(self.rates.image_output),
        }
    }
}

/// Reads an amount in USD per million tokens with up to six decimals, exactly.
pub(crate) fn parse_rate(text: &str) -> Result<u64, String> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) {
        return Err(format!("\"{text}\" is no amount; write USD per million tokens, as 0.25"));
    }
    if decimals.trim_end_matches('0').len() > 6 {
        return Err(format!("\"{text}\" has more than six decimals"));
    }
    let micros = format!("{whole}{decimals:0<6.6}");
    micros.parse().map_err(|_| format!("\"{text}\" is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(parse_rate(text).ok(), expected, "{text}");
        check("1.25", Some(1_250_000));
        check("0.0375", Some(37_500));
        check("15", Some(15_000_000));
        check("0.000001", Some(1));
        check("0.1000000", Some(100_000));
        check("0.0000001", None);
        check("-1", None);
        check("1e3", None);
        check(".5", None);
    }

    #[test]
    fn long_prompts_have_their_own_rates() {
        let rates = Rates { input: Some(1), cached: Some(5), output: Some(2), ..Rates::default() };
        let long = Rates { input: Some(10), ..Rates::default() };
        let above = Some(LongContext { tokens: 100, rates: long });
        let price = Price { rates, above, ..Price::default() };
        assert_eq!(price.at(100), rates);
        assert_eq!(price.at(101), Rates { input: Some(10), ..rates });
    }
}
