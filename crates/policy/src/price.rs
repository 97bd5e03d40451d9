//! What an exchange costs.

use catalog::Price;

use crate::{Money, record::Tokens};

/// The cost of these tokens at this price. `None` where a class of tokens was used that has no price:
/// a cost that leaves something out would pass for the truth.
pub fn cost(price: &Price, tokens: &Tokens) -> Option<Money> {
    let rates = price.at(tokens.input);
    let cached = tokens.cache_read + tokens.cache_write + tokens.cache_write_1h;
    let plain_input = tokens.input.saturating_sub(cached);
    let plain_output = match rates.reasoning {
        Some(_) => tokens.output.saturating_sub(tokens.reasoning),
        None => tokens.output,
    };
    // A class without a price of its own is sold at the input's or the output's.
    let cache_write = rates.cache_write.or(rates.input);
    let classes = [
        (plain_input, rates.input),
        (tokens.cache_read, rates.cached.or(rates.input)),
        (tokens.cache_write, cache_write),
        (tokens.cache_write_1h, rates.cache_write_1h.or(cache_write)),
        (plain_output, rates.output),
        (tokens.output - plain_output, rates.reasoning),
    ];
    let mut sum: i64 = 0;
    for (count, rate) in classes {
        if count > 0 {
            let amount = i64::try_from(u128::from(count) * u128::from(rate?)).unwrap_or(i64::MAX);
            sum = sum.saturating_add(amount);
        }
    }
    Some(Money(sum))
}
