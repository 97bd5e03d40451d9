//! What attributes are: the facts that everything else goes by (<https://www.rfc-editor.org/rfc/rfc7643#section-2>).

/// One attribute of a resource, or one part of such an attribute.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) about: &'static str,
    /// Whether it has any number of values.
    pub(super) many: bool,
    pub(super) required: bool,
    /// Whether the case of letters says something.
    pub(super) exact: bool,
    pub(super) mutability: Mutability,
    pub(super) returned: Returned,
    /// Whether no two resources of one organization have the same.
    pub(super) unique: bool,
    /// Values that are usual.
    pub(super) canonical: &'static [&'static str],
    /// The parts of a complex one.
    pub(super) parts: &'static [Attribute],
}

/// What its values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Boolean,
    Moment,
    /// Bytes in base64.
    Binary,
    Reference,
    Complex,
}

/// Who may set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutability {
    ReadWrite,
    ReadOnly,
    /// Set once, and never again.
    Immutable,
    /// Taken, and never shown.
    WriteOnly,
}

/// When it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Returned {
    Always,
    Default,
    Never,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Text => "string",
            Kind::Boolean => "boolean",
            Kind::Moment => "dateTime",
            Kind::Binary => "binary",
            Kind::Reference => "reference",
            Kind::Complex => "complex",
        }
    }
}

impl Mutability {
    pub(super) fn name(self) -> &'static str {
        match self {
            Mutability::ReadWrite => "readWrite",
            Mutability::ReadOnly => "readOnly",
            Mutability::Immutable => "immutable",
            Mutability::WriteOnly => "writeOnly",
        }
    }
}

impl Returned {
    pub(super) fn name(self) -> &'static str {
        match self {
            Returned::Always => "always",
            Returned::Default => "default",
            Returned::Never => "never",
        }
    }
}

impl Attribute {
    pub(super) const fn text(name: &'static str, about: &'static str) -> Attribute {
        Attribute {
            name,
            kind: Kind::Text,
            about,
            many: false,
            required: false,
            exact: false,
            mutability: Mutability::ReadWrite,
            returned: Returned::Default,
            unique: false,
            canonical: &[],
            parts: &[],
        }
    }

    pub(super) const fn complex(
        name: &'static str,
        about: &'static str,
        parts: &'static [Attribute],
    ) -> Attribute {
        Attribute { kind: Kind::Complex, parts, ..Attribute::text(name, about) }
    }

    /// A complex one with any number of values.
    pub(super) const fn list(
        name: &'static str,
        about: &'static str,
        parts: &'static [Attribute],
    ) -> Attribute {
        Attribute { many: true, ..Attribute::complex(name, about, parts) }
    }

    pub(super) const fn of(self, kind: Kind) -> Attribute {
        Attribute { kind, ..self }
    }

    pub(super) const fn exact(self) -> Attribute {
        Attribute { exact: true, ..self }
    }

    pub(super) const fn required(self) -> Attribute {
        Attribute { required: true, ..self }
    }

    pub(super) const fn set_by(self, mutability: Mutability) -> Attribute {
        Attribute { mutability, ..self }
    }

    pub(super) const fn usually(self, canonical: &'static [&'static str]) -> Attribute {
        Attribute { canonical, ..self }
    }

    /// The one of this name, whatever the case of its letters.
    pub(super) fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a Attribute> {
        attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }
}
