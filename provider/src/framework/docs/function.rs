//! Pages of functions.

use std::fmt::Write as _;

use super::{
    super::{Function, Parameter, Type},
    Page, block, ended, head, label, one_line,
};

/// The page of a function.
pub fn function(provider: &str, function: &Function, example: &str) -> Page {
    let Function {
        name, description, ..
    } = function;
    let mut text = head(&format!("{name} Function - {provider}"), function.summary);
    let _ = write!(text, "# {name} (Function)\n\n{description}\n\n");
    text += &block("Example Usage", "terraform", example);
    text += &block("Signature", "text", &signature(function));
    if !function.parameters.is_empty() {
        text += "## Arguments\n\n";
    }
    for (number, parameter) in function.parameters.iter().enumerate() {
        text += &argument(number + 1, parameter, "");
    }
    if let Some(parameter) = &function.variadic {
        text += &argument(function.parameters.len() + 1, parameter, "Variadic, ");
    }
    Page {
        path: format!("docs/functions/{name}.md"),
        text: ended(&text),
    }
}

fn signature(function: &Function) -> String {
    let typed = |parameter: &Parameter| format!("{} {}", parameter.name, written(&parameter.ty));
    let mut parameters: Vec<String> = function.parameters.iter().map(typed).collect();
    parameters.extend(
        function
            .variadic
            .as_ref()
            .map(|last| format!("{}...", typed(last))),
    );
    format!(
        "{}({}) {}",
        function.name,
        parameters.join(", "),
        written(&function.returns)
    )
}

fn argument(number: usize, parameter: &Parameter, more: &str) -> String {
    let nullable = if parameter.allow_null {
        ", Nullable"
    } else {
        ""
    };
    format!(
        "{number}. `{}` ({more}{}{nullable}) {}\n",
        parameter.name,
        label(&parameter.ty),
        one_line(parameter.description)
    )
}

/// A type as a signature shows it.
fn written(ty: &Type) -> String {
    match ty {
        Type::String => "string".to_owned(),
        Type::Number => "number".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::List(inner) => format!("list of {}", written(inner)),
        Type::Set(inner) => format!("set of {}", written(inner)),
        Type::Map(inner) => format!("map of {}", written(inner)),
        Type::Record(rows) => {
            let rows: Vec<String> = rows
                .iter()
                .map(|(name, ty)| format!("{name} {}", written(ty)))
                .collect();
            format!("object({})", rows.join(", "))
        }
        Type::Tuple(_) => "tuple".to_owned(),
        Type::Dynamic => "dynamic".to_owned(),
        Type::Object(_) | Type::Slots(_) => "object".to_owned(),
    }
}
