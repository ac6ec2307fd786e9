//! Schemas and functions as protobuf, and types as core's JSON.

use prost::bytes::Bytes;
use proto::tfplugin6 as pb;

use super::super::{
    Attribute, Schema, Type,
    function::{Function, Parameter},
    schema::Nesting,
};

impl From<&Schema> for pb::Schema {
    fn from(schema: &Schema) -> Self {
        Self {
            version: 0,
            block: Some(pb::schema::Block {
                attributes: attributes(schema),
                description: schema.doc.clone(),
                description_kind: pb::StringKind::Markdown.into(),
                ..Default::default()
            }),
        }
    }
}

impl From<&Function> for pb::Function {
    fn from(function: &Function) -> Self {
        Self {
            parameters: function.parameters.iter().map(Into::into).collect(),
            variadic_parameter: function.variadic.as_ref().map(Into::into),
            r#return: Some(pb::function::Return {
                r#type: type_bytes(&function.returns),
            }),
            summary: function.summary.to_owned(),
            description: function.description.to_owned(),
            description_kind: pb::StringKind::Markdown.into(),
            deprecation_message: String::new(),
        }
    }
}

impl From<&Parameter> for pb::function::Parameter {
    fn from(parameter: &Parameter) -> Self {
        Self {
            name: parameter.name.to_owned(),
            r#type: type_bytes(&parameter.ty),
            allow_null_value: parameter.allow_null,
            allow_unknown_values: false,
            description: parameter.description.to_owned(),
            description_kind: pb::StringKind::Markdown.into(),
        }
    }
}

/// The wire form of a type.
pub fn type_bytes(ty: &Type) -> Bytes {
    ty.to_json().to_string().into()
}

fn attributes(schema: &Schema) -> Vec<pb::schema::Attribute> {
    let rows = schema.attributes.iter();
    rows.map(|(name, row)| attribute(name, row)).collect()
}

fn attribute(name: &str, row: &Attribute) -> pb::schema::Attribute {
    let nested_type = nested(row);
    pb::schema::Attribute {
        name: name.to_owned(),
        r#type: match nested_type {
            None => type_bytes(&row.ty),
            Some(_) => Bytes::new(),
        },
        nested_type,
        description: row.doc.clone(),
        description_kind: pb::StringKind::Markdown.into(),
        required: row.required,
        optional: row.optional,
        // A row may say that it keeps what is there; core calls that computed only where it is
        // neither required nor never stored.
        computed: row.computed && !row.required && !row.write_only,
        sensitive: row.sensitive,
        write_only: row.write_only,
        deprecated: row.deprecated.is_some(),
        deprecation_message: row.deprecated.unwrap_or_default().to_owned(),
    }
}

/// The attributes of a nested object. Core crashes when it generates configuration for a nested type
/// that is only computed, so that one is sent as a plain type.
fn nested(row: &Attribute) -> Option<pb::schema::Object> {
    use pb::schema::object::NestingMode;
    let (nesting, schema) = row.ty.nested().filter(|_| row.required || row.optional)?;
    let nesting = match nesting {
        Nesting::Single => NestingMode::Single,
        Nesting::List => NestingMode::List,
        Nesting::Set => NestingMode::Set,
        Nesting::Map => NestingMode::Map,
    };
    Some(pb::schema::Object {
        attributes: attributes(schema),
        nesting: nesting.into(),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Schema {
        let row = |ty| Attribute {
            ty,
            optional: true,
            doc: "A row.".to_owned(),
            ..<Attribute as Default>::default()
        };
        let slot = Schema::new("").attribute("bridge", row(Type::String));
        let object = || Type::Object(Box::new(slot.clone()));
        Schema::new("A thing.")
            .attribute("required", Attribute::of::<String>("").sticky())
            .attribute("secret", row(Type::String).write_only().open())
            .attribute("one", row(object()))
            .attribute("many", row(Type::List(Box::new(object()))))
            .attribute("free", row(Type::Dynamic).deprecated("Use `one`."))
            .attribute("some", row(Type::Set(Box::new(object()))))
            .attribute("slots", row(Type::Slots(Box::new(slot.clone()))))
            .attribute("seen", row(Type::Slots(Box::new(slot.clone()))).computed())
    }

    #[test]
    fn attributes_are_described_as_core_accepts_them() {
        let block = pb::Schema::from(&sample()).block.unwrap();
        let lines: Vec<String> = block
            .attributes
            .iter()
            .map(|row| {
                let flags = [
                    (row.required, " required"),
                    (row.optional, " optional"),
                    (row.computed, " computed"),
                    (row.sensitive, " sensitive"),
                    (row.write_only, " write_only"),
                    (row.deprecated, " deprecated"),
                ];
                let flags: String = flags
                    .iter()
                    .filter_map(|(set, word)| set.then_some(*word))
                    .collect();
                let nested = row.nested_type.as_ref().map(|nested| {
                    let inner: Vec<&str> = nested
                        .attributes
                        .iter()
                        .map(|row| row.name.as_str())
                        .collect();
                    format!(" {:?} of {inner:?}", nested.nesting())
                });
                let plain = String::from_utf8_lossy(&row.r#type);
                format!(
                    "{}:{flags}{} {plain}{}\n",
                    row.name,
                    nested.unwrap_or_default(),
                    row.deprecation_message,
                )
            })
            .collect();
        expect_test::expect![[r#"
            free: optional deprecated "dynamic"Use `one`.
            many: optional List of ["bridge"] 
            one: optional Single of ["bridge"] 
            required: required "string"
            secret: optional sensitive write_only "string"
            seen: computed ["map",["object",{"bridge":"string"}]]
            slots: optional Map of ["bridge"] 
            some: optional Set of ["bridge"] 
        "#]]
        .assert_eq(&lines.concat());
    }
}
