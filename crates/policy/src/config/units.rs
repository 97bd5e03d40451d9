//! Values with units, as people write them.

use std::{borrow::Cow, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

use crate::limit::{parse_count, parse_usd};

/// A duration such as `250ms`, `8s`, `5m`, `2h` or `1d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub(crate) Duration);

/// A number of bytes such as `64KiB`, `32MiB` or `1GB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Size(pub(super) usize);

/// A share such as `20%`, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Share(pub(crate) u32);

/// How much worse something may be, such as `+2%` or `-5%`, in thousandths; nothing for `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Margin(pub(super) Option<u32>);

impl Span {
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl TryFrom<String> for Margin {
    type Error = String;

    fn try_from(text: String) -> Result<Margin, String> {
        parse_margin(&text).map(Margin)
    }
}

impl TryFrom<String> for Share {
    type Error = String;

    fn try_from(text: String) -> Result<Share, String> {
        parse_share(&text).map(Share)
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Span, String> {
        parse_span(&text).map(Span)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}ms", self.0.as_millis()))
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.0 / 10, self.0 % 10) {
            (whole, 0) => serializer.collect_str(&format_args!("{whole}%")),
            (whole, tenth) => serializer.collect_str(&format_args!("{whole}.{tenth}%")),
        }
    }
}

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Size, String> {
        parse_size(&text).map(Size)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "format": "tollgate-duration", "pattern": "^[0-9]+(ms|s|m|h|d)$",
            "examples": ["250ms", "8s", "5m"],
        })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "format": "tollgate-size", "pattern": "^[0-9]+(B|KB|MB|GB|KiB|MiB|GiB)$",
            "examples": ["64KiB", "32MiB"],
        })
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "format": "tollgate-share", "pattern": "^[0-9]+(\\.[0-9])?%$",
            "examples": ["20%", "0.5%"],
        })
    }
}

impl JsonSchema for Margin {
    fn schema_name() -> Cow<'static, str> {
        "Margin".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "format": "tollgate-margin", "pattern": "^([+-]?[0-9]+(\\.[0-9])?%|off)$",
            "examples": ["+2%", "-5%", "off"],
        })
    }
}

/// Checks a text against one of the formats of this page.
pub(super) fn check_format(format: &str, text: &str) -> Result<(), String> {
    match format {
        "tollgate-duration" => parse_span(text).map(|_| ()),
        "tollgate-size" => parse_size(text).map(|_| ()),
        "tollgate-share" => parse_share(text).map(|_| ()),
        "tollgate-margin" => parse_margin(text).map(|_| ()),
        "tollgate-count" => parse_count(text).map(|_| ()),
        "tollgate-usd" => parse_usd(text).map(|_| ()),
        _ => Ok(()),
    }
}

/// A duration such as `250ms` or `8s`; `None` where the text is none.
pub fn span(text: &str) -> Option<Duration> {
    parse_span(text).ok()
}

fn parse_share(text: &str) -> Result<u32, String> {
    let remedy = || format!("\"{text}\" is no share; write a number from 0 to 100 with %, as 20%");
    let number = text.trim().strip_suffix('%').ok_or_else(remedy)?;
    let percent: f64 = number.trim().parse().map_err(|_| remedy())?;
    if !(0.0..=100.0).contains(&percent) {
        return Err(remedy());
    }
    Ok((percent * 10.0).round() as u32)
}

fn parse_margin(text: &str) -> Result<Option<u32>, String> {
    if text.trim() == "off" {
        return Ok(None);
    }
    let number = text.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    let number = number.map(f64::abs).filter(|number| *number <= 1_000.0);
    let percent = number.ok_or_else(|| {
        format!("\"{text}\" is no margin; write how much worse it may be with %, as +2%, or off")
    })?;
    Ok(Some((percent * 10.0).round() as u32))
}

fn parse_span(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let remedy = || format!("\"{text}\" is no duration; write a number with ms, s, m, h or d, as 8s");
    let number: u64 = number.parse().map_err(|_| remedy())?;
    let millis = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let millis = millis.and_then(|millis| number.checked_mul(millis)).ok_or_else(remedy)?;
    Ok(Duration::from_millis(millis))
}

fn parse_size(text: &str) -> Result<usize, String> {
    let (number, unit) = split(text);
    let remedy = || format!("\"{text}\" is no size; write a number with B, KiB, MiB or GiB, as 32MiB");
    let number: usize = number.parse().map_err(|_| remedy())?;
    let bytes = match unit {
        "B" => Some(1),
        "KB" => Some(1_000),
        "MB" => Some(1_000_000),
        "GB" => Some(1_000_000_000),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    bytes.and_then(|bytes| number.checked_mul(bytes)).ok_or_else(remedy)
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    (number, unit.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_have_units() {
        let span = |text: &str| parse_span(text).ok().map(|span| span.as_millis());
        assert_eq!(span("250ms"), Some(250));
        assert_eq!(span("5m"), Some(300_000));
        assert_eq!(span("8"), None);
        assert_eq!(span("-8s"), None);
        assert_eq!(span("99999999999999999999s"), None);
        let size = |text: &str| parse_size(text).ok();
        assert_eq!(size("32MiB"), Some(32 << 20));
        assert_eq!(size("1 GB"), Some(1_000_000_000));
        assert_eq!(size("10"), None);
        let share = |text: &str| parse_share(text).ok();
        assert_eq!(share("20%"), Some(200));
        assert_eq!(share("0.5%"), Some(5));
        assert_eq!((share("20"), share("101%"), share("-1%")), (None, None, None));
    }
}
