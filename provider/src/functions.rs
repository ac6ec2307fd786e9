//! The functions that configurations may call. Pure, and known without any provider block.

use std::collections::BTreeMap;

use crate::{
    framework::{Function, FunctionError, Parameter, Type, Value},
    guest::compose::{self, Source, dotenv},
};

/// All of them.
pub fn all() -> Vec<Function> {
    vec![
        Function {
            name: "parse_host_id",
            summary: "Takes the id of a guest apart",
            description: "Takes an id such as `qemu/101` apart into `kind` and `vm_id`.",
            parameters: vec![parameter("id", "Id of a guest.", Type::String)],
            variadic: None,
            returns: Type::Record(
                [
                    ("kind".to_owned(), Type::String),
                    ("vm_id".to_owned(), Type::Number),
                ]
                .into(),
            ),
            call: parse_host_id,
        },
        Function {
            name: "host_id",
            summary: "Makes the id of a guest",
            description: "Makes an id such as `qemu/101` from a kind, `qemu` or `lxc`, and a VMID.",
            parameters: vec![
                parameter(
                    "kind",
                    "`qemu` for a VM, `lxc` for a container.",
                    Type::String,
                ),
                parameter("vm_id", "The VMID.", Type::Number),
            ],
            variadic: None,
            returns: Type::String,
            call: host_id,
        },
        Function {
            name: "render_env",
            summary: "Fills an env template",
            description: "Fills the empty keys of an `.env.template` with values and keeps its comments and order. Keys without a value are an error that lists them all.",
            parameters: vec![
                parameter("template", "Text of the template.", Type::String),
                parameter(
                    "values",
                    "Values by key.",
                    Type::Map(Box::new(Type::String)),
                ),
            ],
            variadic: None,
            returns: Type::String,
            call: render_env,
        },
        Function {
            name: "compose_services",
            summary: "Lists the services of a Compose text",
            description: "Lists the names of the services in a Compose text, sorted, whatever their profiles.",
            parameters: vec![parameter(
                "compose",
                "Text of the Compose file.",
                Type::String,
            )],
            variadic: None,
            returns: Type::List(Box::new(Type::String)),
            call: compose_services,
        },
    ]
}

fn parameter(name: &'static str, description: &'static str, ty: Type) -> Parameter {
    Parameter {
        name,
        description,
        ty,
        allow_null: false,
    }
}

fn parse_host_id(arguments: &[Value]) -> Result<Value, FunctionError> {
    let text = arguments[0].as_str().unwrap_or_default();
    let parsed = text
        .split_once('/')
        .filter(|(kind, _)| matches!(*kind, "qemu" | "lxc"))
        .and_then(|(kind, number)| Some((kind, number.parse::<i64>().ok()?)))
        .filter(|(kind, vmid)| *vmid >= 100 && format!("{kind}/{vmid}") == text);
    let Some((kind, vmid)) = parsed else {
        return Err(FunctionError::at(
            0,
            format!("{text:?} is no guest id such as qemu/101 or lxc/102"),
        ));
    };
    Ok(Value::Map(
        [
            ("kind".to_owned(), kind.into()),
            ("vm_id".to_owned(), vmid.into()),
        ]
        .into(),
    ))
}

fn host_id(arguments: &[Value]) -> Result<Value, FunctionError> {
    let kind = arguments[0].as_str().unwrap_or_default();
    if !matches!(kind, "qemu" | "lxc") {
        return Err(FunctionError::at(
            0,
            format!("{kind:?} is neither \"qemu\" nor \"lxc\""),
        ));
    }
    match arguments[1].as_i64() {
        Some(vmid @ 100..=999_999_999) => Ok(format!("{kind}/{vmid}").into()),
        _ => Err(FunctionError::at(
            1,
            "a VMID is a whole number from 100 to 999999999",
        )),
    }
}

fn render_env(arguments: &[Value]) -> Result<Value, FunctionError> {
    let template = arguments[0].as_str().unwrap_or_default();
    let values: BTreeMap<String, String> = arguments[1]
        .as_map()
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect();
    dotenv::render_env(template, &values)
        .map(Value::from)
        .map_err(|missing| FunctionError::at(1, format!("no value for {}", missing.join(", "))))
}

fn compose_services(arguments: &[Value]) -> Result<Value, FunctionError> {
    let text = arguments[0].as_str().unwrap_or_default();
    let source = Source {
        name: "compose",
        text,
    };
    match compose::service_names(source) {
        Ok(names) => Ok(Value::List(names.into_iter().map(Value::from).collect())),
        Err(faults) => {
            let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Err(FunctionError::at(0, lines.join("; ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_ids_are_taken_apart_and_made() {
        let parsed = parse_host_id(&["qemu/101".into()]).unwrap();
        assert_eq!(
            (parsed.get("kind").as_str(), parsed.get("vm_id").as_i64()),
            (Some("qemu"), Some(101))
        );
        assert_eq!(
            host_id(&["lxc".into(), 102.into()]).unwrap(),
            "lxc/102".into()
        );
        assert_eq!(
            parse_host_id(&["pve1/101".into()]).unwrap_err().argument,
            Some(0)
        );
        assert_eq!(
            host_id(&["vm".into(), 102.into()]).unwrap_err().argument,
            Some(0)
        );
    }

    #[test]
    fn a_template_lists_all_keys_without_a_value() {
        let values = Value::Map([("A".to_owned(), "1".into())].into());
        assert_eq!(
            render_env(&["# x\nA=\n".into(), values.clone()]).unwrap(),
            "# x\nA=1\n".into()
        );
        let error = render_env(&["A=\nB=\nC=\n".into(), values]).unwrap_err();
        assert!(error.text.contains("B, C"), "{}", error.text);
    }
}
