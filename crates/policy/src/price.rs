//! What an exchange costs.

use catalog::{Price, Rates};

use crate::{
    Money,
    record::{Tokens, Units},
};

/// The cost of this use at this price. `None` where something was used that has no price: a cost that leaves something
/// out would pass for the truth.
pub fn cost(price: &Price, tokens: &Tokens, units: &Units) -> Option<Money> {
    let rates = price.at(tokens.input);
    let sold_otherwise = sells_other(price, units);
    if !sold_otherwise && is_unsold(price, &rates, tokens, units) {
        return None;
    }
    let mut sum = tokens_cost(&rates, tokens, units, sold_otherwise)?;
    let minutes = price.units.minute;
    let others = [
        (units.images, price.units.image),
        (units.characters, price.units.character),
        (units.searches, price.units.search),
        (1, price.units.request),
    ];
    for (count, rate) in others {
        // Where there is no price for a unit, its tokens are what is sold.
        sum = sum.saturating_add(u128::from(count) * u128::from(rate.unwrap_or_default()));
    }
    if let Some(minute) = minutes {
        sum = sum.saturating_add((u128::from(units.audio_ms) * u128::from(minute)).div_ceil(60_000));
    }
    Some(Money(i64::try_from(sum).unwrap_or(i64::MAX)))
}

/// What the same costs in a batch.
pub fn batch_cost(price: &Price, tokens: &Tokens, units: &Units) -> Option<Money> {
    let Money(whole) = cost(price, tokens, units)?;
    let permille = i128::from(price.batch_permille.unwrap_or(1_000));
    let part = i128::from(whole).saturating_mul(permille).div_euclid(1_000);
    Some(Money(i64::try_from(part).unwrap_or(i64::MAX)))
}

/// Whether anything that was used is sold in another unit than tokens.
fn sells_other(price: &Price, units: &Units) -> bool {
    let used = [
        (units.images, price.units.image),
        (units.audio_ms, price.units.minute),
        (units.characters, price.units.character),
        (units.searches, price.units.search),
    ];
    used.into_iter().any(|(count, rate)| count > 0 && rate.is_some())
}

/// Whether all that is known of what was used is a count of something that has no price: it is sold by its tokens, and
/// nobody told those. Where tokens cost nothing, that is what it costs.
fn is_unsold(price: &Price, rates: &Rates, tokens: &Tokens, units: &Units) -> bool {
    let used =
        [units.images, units.audio_ms, units.characters, units.searches].iter().any(|count| *count > 0);
    let is_free = rates.input == Some(0) && rates.output.is_none_or(|rate| rate == 0);
    used && tokens.input == 0 && tokens.output == 0 && price.units.request.is_none() && !is_free
}

/// Tokens by class. Where the model sells something else, tokens without a price are told for information only.
fn tokens_cost(rates: &Rates, tokens: &Tokens, units: &Units, sold_otherwise: bool) -> Option<u128> {
    let cached = tokens.cache_read.saturating_add(tokens.cache_write).saturating_add(tokens.cache_write_1h);
    let input = Shares::of(
        tokens.input.saturating_sub(cached),
        [
            (units.audio_input_tokens, rates.audio_input),
            (units.image_input_tokens, rates.image_input),
            (0, None),
        ],
    );
    let output = Shares::of(
        tokens.output,
        [
            (units.audio_output_tokens, rates.audio_output),
            (units.image_output_tokens, rates.image_output),
            (tokens.reasoning, rates.reasoning),
        ],
    );
    // A class without a price of its own is sold at the input's or the output's.
    let cache_write = rates.cache_write.or(rates.input);
    let classes = [
        (input.rest, rates.input),
        (tokens.cache_read, rates.cached.or(rates.input)),
        (tokens.cache_write, cache_write),
        (tokens.cache_write_1h, rates.cache_write_1h.or(cache_write)),
        (output.rest, rates.output),
    ];
    let mut sum: u128 = input.cost + output.cost;
    for (count, rate) in classes {
        match rate {
            Some(rate) => sum += u128::from(count) * u128::from(rate),
            None if count == 0 || sold_otherwise => {}
            None => return None,
        }
    }
    Some(sum)
}

/// A total with the parts of it that have prices of their own.
struct Shares {
    rest: u64,
    cost: u128,
}

impl Shares {
    fn of(total: u64, parts: [(u64, Option<u64>); 3]) -> Shares {
        let mut shares = Shares { rest: total, cost: 0 };
        for (count, rate) in parts {
            let Some(rate) = rate else { continue };
            let count = count.min(shares.rest);
            shares.rest -= count;
            shares.cost += u128::from(count) * u128::from(rate);
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use catalog::UnitRates;

    use super::*;

    fn price(rates: Rates, units: UnitRates) -> Price {
        Price { rates, units, ..Price::default() }
    }

    #[test]
    fn every_class_has_its_rate() {
        let rates = Rates {
            input: Some(10),
            cached: Some(1),
            output: Some(20),
            reasoning: Some(30),
            audio_input: Some(100),
            ..Rates::default()
        };
        let price = price(rates, UnitRates::default());
        let tokens = Tokens { input: 100, cache_read: 40, output: 50, reasoning: 5, ..Tokens::default() };
        let units = Units { audio_input_tokens: 10, ..Units::default() };
        let expected = 50 * 10 + 40 + 10 * 100 + 45 * 20 + 5 * 30;
        assert_eq!(cost(&price, &tokens, &units), Some(Money(expected)));
    }

    #[test]
    fn what_has_no_price_is_unpriced() {
        let price = price(Rates { input: Some(1), ..Rates::default() }, UnitRates::default());
        let tokens = Tokens { input: 5, output: 1, ..Tokens::default() };
        assert_eq!(cost(&price, &tokens, &Units::default()), None);
        let tokens = Tokens { input: 5, ..Tokens::default() };
        assert_eq!(cost(&price, &tokens, &Units::default()), Some(Money(5)));
    }

    #[test]
    fn other_units_are_sold_as_what_they_are() {
        let check = |rates: UnitRates, units: Units, expected: i64| {
            let tokens = Tokens { input: 7, output: 9, ..Tokens::default() };
            let found = cost(&price(Rates::default(), rates), &tokens, &units);
            assert_eq!(found, Some(Money(expected)), "{rates:?}");
        };
        let none = (UnitRates::default(), Units::default());
        check(UnitRates { image: Some(40), ..none.0 }, Units { images: 3, ..none.1 }, 120);
        check(UnitRates { character: Some(15), ..none.0 }, Units { characters: 4, ..none.1 }, 60);
        check(UnitRates { search: Some(2), ..none.0 }, Units { searches: 2, ..none.1 }, 4);
        // Parts of a minute are paid for in milliseconds, and never for less than they cost.
        check(UnitRates { minute: Some(60_001), ..none.0 }, Units { audio_ms: 1, ..none.1 }, 2);
    }

    #[test]
    fn what_is_sold_by_tokens_needs_their_count() {
        let rates = Rates { input: Some(600), output: Some(12_000), ..Rates::default() };
        let by_tokens = price(rates, UnitRates::default());
        let tokens = Tokens { input: 2, output: 3, ..Tokens::default() };
        let used = [
            Units { characters: 9, ..Units::default() },
            Units { images: 1, ..Units::default() },
            Units { audio_ms: 5, ..Units::default() },
            Units { searches: 1, ..Units::default() },
        ];
        for units in used {
            assert_eq!(cost(&by_tokens, &Tokens::default(), &units), None, "{units:?}");
            assert_eq!(cost(&by_tokens, &tokens, &units), Some(Money(37_200)), "{units:?}");
            let free = Rates { input: Some(0), output: Some(0), ..Rates::default() };
            let free = price(free, UnitRates::default());
            assert_eq!(cost(&free, &Tokens::default(), &units), Some(Money(0)), "{units:?}");
            let by_request = price(rates, UnitRates { request: Some(5), ..UnitRates::default() });
            assert_eq!(cost(&by_request, &Tokens::default(), &units), Some(Money(5)), "{units:?}");
        }
    }

    #[test]
    fn pictures_have_their_own_rate() {
        let rates =
            Rates { input: Some(300), output: Some(2_500), image_output: Some(30_000), ..Rates::default() };
        let tokens = Tokens { input: 300, output: 1_400, reasoning: 100, ..Tokens::default() };
        let units = Units { image_input_tokens: 258, image_output_tokens: 1_290, ..Units::default() };
        let expected = 300 * 300 + 110 * 2_500 + 1_290 * 30_000;
        assert_eq!(cost(&price(rates, UnitRates::default()), &tokens, &units), Some(Money(expected)));
    }

    #[test]
    fn a_batch_is_cheaper() {
        let rates = Rates { input: Some(10), output: Some(20), ..Rates::default() };
        let price = Price { rates, batch_permille: Some(500), ..Price::default() };
        let tokens = Tokens { input: 1, output: 1, ..Tokens::default() };
        assert_eq!(batch_cost(&price, &tokens, &Units::default()), Some(Money(15)));
    }
}
