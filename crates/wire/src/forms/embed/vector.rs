//! Vectors, with the spelling of their numbers kept.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::value::RawValue;

use crate::{Fault, json::Raw};

/// A kind of numbers, and how they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::forms) enum Kind {
    Float,
    /// Floats of four bytes, the low byte first, as base64.
    Base64,
    Int8,
    Uint8,
    Binary,
    Ubinary,
}

/// One vector: an array of numbers, or a string of base64.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::forms) struct Vector(pub(in crate::forms) Raw);

impl Kind {
    const ALL: [Kind; 6] = [Kind::Float, Kind::Base64, Kind::Int8, Kind::Uint8, Kind::Binary, Kind::Ubinary];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Float => "float",
            Kind::Base64 => "base64",
            Kind::Int8 => "int8",
            Kind::Uint8 => "uint8",
            Kind::Binary => "binary",
            Kind::Ubinary => "ubinary",
        }
    }

    pub(super) fn named(name: &str) -> Result<Kind, Fault> {
        Kind::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| Fault::invalid("", "must be float, base64, int8, uint8, binary or ubinary"))
    }

    pub(super) fn is_float(self) -> bool {
        matches!(self, Kind::Float | Kind::Base64)
    }
}

impl Vector {
    /// Takes a vector as it stands in an answer.
    pub(super) fn new(raw: &RawValue) -> Vector {
        Vector(Raw::new(raw))
    }

    /// The kind that its form shows.
    pub(super) fn kind(&self) -> Kind {
        if self.0.text().starts_with('"') { Kind::Base64 } else { Kind::Float }
    }

    /// The same numbers, written as their kind is: floats may come in either writing, whatever they are called.
    pub(super) fn turned(&self, kind: Kind) -> Result<Vector, Fault> {
        let is_list = self.0.text().starts_with('[');
        match (self.kind(), kind) {
            (Kind::Base64, Kind::Float) => self.listed(),
            (Kind::Base64, Kind::Base64) => Ok(self.clone()),
            (_, Kind::Base64) if is_list => self.packed(),
            _ if is_list => Ok(self.clone()),
            _ => Err(Fault::invalid("", "the vector is no list of numbers").into_garbage()),
        }
    }

    fn packed(&self) -> Result<Vector, Fault> {
        let numbers: Vec<f32> =
            serde_json::from_str(self.0.text()).map_err(|error| Fault::invalid("", error.to_string()))?;
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        Ok(Vector(Raw::string(&STANDARD.encode(bytes))))
    }

    fn listed(&self) -> Result<Vector, Fault> {
        let garbage = || Fault::invalid("", "the vector is no base64 of floats");
        let text = crate::json::string(self.0.value())?;
        let bytes = STANDARD.decode(&*text).map_err(|_| garbage())?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        let numbers: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        if !rest.is_empty() || numbers.iter().any(|number| !number.is_finite()) {
            return Err(garbage());
        }
        let listed = serde_json::to_string(&numbers).map_err(|_| garbage())?;
        Raw::parse(&listed).map(Vector).ok_or_else(garbage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_the_same_in_either_writing() {
        let listed = Vector(Raw::parse("[0.5,-1.25,3.0]").unwrap());
        let packed = listed.turned(Kind::Base64).unwrap();
        assert_eq!(packed.0.text(), "\"AAAAPwAAoL8AAEBA\"");
        assert_eq!(packed.turned(Kind::Float).unwrap(), listed);
        let number = Vector(Raw::parse("1").unwrap());
        assert!(number.turned(Kind::Float).is_err() && number.turned(Kind::Base64).is_err());
        assert!(packed.turned(Kind::Int8).is_err(), "they are floats");
        let broken = Vector(Raw::string("AAAAPwA="));
        assert!(broken.turned(Kind::Float).is_err());
    }
}
