//! Pages for the registry: what practitioners read, made from the schemas that core gets.
//!
//! Pure: examples come in as texts and pages go out as texts. Has no sentence about any attribute;
//! those stand at the models.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Attribute, Function, Model, Parameter, Provider, Schema, Type, Value, schema::Rule};

/// One page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Where it belongs below the root of the repository.
    pub path: String,
    /// Its text, as Markdown.
    pub text: String,
}

/// All pages of a provider, or the examples that are missing. `example` yields the text of a file
/// below `examples/`.
pub fn pages<P: Provider>(
    provider: &P,
    example: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Page>, Vec<String>> {
    let name = P::ADDRESS.rsplit('/').next().unwrap_or_default();
    let mut missing = Vec::new();
    let mut example = |path: String| {
        example(&path).unwrap_or_else(|| {
            missing.push(path);
            String::new()
        })
    };
    let mut pages = vec![index(
        name,
        &P::Config::schema(),
        &example("provider/provider.tf".to_owned()),
    )];
    for kind in provider.resources() {
        let full = kind.name();
        pages.push(resource(
            name,
            full,
            kind.schema(),
            &example(format!("resources/{full}/resource.tf")),
            &example(format!("resources/{full}/import.sh")),
        ));
    }
    for function in provider.functions() {
        let text = example(format!("functions/{}/function.tf", function.name));
        pages.push(self::function(name, &function, &text));
    }
    if missing.is_empty() {
        Ok(pages)
    } else {
        Err(missing)
    }
}

/// The page of the provider block.
pub fn index(provider: &str, schema: &Schema, example: &str) -> Page {
    let mut text = head(&format!("{provider} Provider"), &schema.doc);
    let _ = write!(text, "# {provider} Provider\n\n{}\n\n", schema.doc);
    text += &block("Example Usage", "terraform", example);
    text += &attributes(schema);
    Page {
        path: "docs/index.md".to_owned(),
        text: ended(&text),
    }
}

/// The page of a resource; `title` is the name of its type.
pub fn resource(provider: &str, title: &str, schema: &Schema, example: &str, import: &str) -> Page {
    let name = title.strip_prefix(provider).unwrap_or(title);
    let name = name.trim_start_matches('_');
    let mut text = head(&format!("{title} Resource - {provider}"), &schema.doc);
    let _ = write!(text, "# {title} (Resource)\n\n{}\n\n", schema.doc);
    text += &block("Example Usage", "terraform", example);
    text += &attributes(schema);
    text += &block("Import", "shell", import);
    Page {
        path: format!("docs/resources/{name}.md"),
        text: ended(&text),
    }
}

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

fn head(title: &str, doc: &str) -> String {
    let first = doc.split("\n\n").next().unwrap_or_default();
    format!(
        "---\npage_title: \"{title}\"\nsubcategory: \"\"\ndescription: |-\n  {}\n---\n\n",
        one_line(first)
    )
}

fn block(heading: &str, language: &str, text: &str) -> String {
    format!(
        "## {heading}\n\n```{language}\n{}\n```\n\n",
        text.trim_end()
    )
}

fn ended(text: &str) -> String {
    text.trim_end().to_owned() + "\n"
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn attributes(schema: &Schema) -> String {
    let mut nested = Vec::new();
    let mut text = "## Schema\n\n".to_owned();
    for (heading, rows) in groups(schema) {
        let _ = write!(text, "### {heading}\n\n{}\n", list(&rows, "", &mut nested));
    }
    // Sections follow in the order in which they are mentioned, each before those that it mentions.
    nested.reverse();
    while let Some((path, body)) = nested.pop() {
        let _ = write!(
            text,
            "<a id=\"nestedatt--{}\"></a>\n### Nested Schema for `{path}`\n\n",
            anchor(&path)
        );
        let mut deeper = Vec::new();
        match body {
            Body::Schema(schema) => {
                for (heading, rows) in groups(schema) {
                    let _ = write!(text, "{heading}:\n\n{}\n", list(&rows, &path, &mut deeper));
                }
            }
            Body::Record(rows) => {
                for (name, ty) in rows {
                    let _ = writeln!(text, "- `{name}` ({})", label(ty));
                }
                text.push('\n');
            }
        }
        nested.extend(deeper.into_iter().rev());
    }
    text
}

/// What a nested section shows.
enum Body<'a> {
    Schema(&'a Schema),
    Record(&'a BTreeMap<String, Type>),
}

type Row<'a> = (&'a str, &'a Attribute);

fn groups(schema: &Schema) -> Vec<(&'static str, Vec<Row<'_>>)> {
    let group = |of: fn(&Attribute) -> bool| {
        let rows = schema.attributes.iter();
        rows.map(|(name, row)| (*name, row))
            .filter(|(_, row)| of(row))
            .collect::<Vec<_>>()
    };
    [
        ("Required", group(|row| row.required)),
        ("Optional", group(|row| row.optional)),
        ("Read-Only", group(|row| !row.required && !row.optional)),
    ]
    .into_iter()
    .filter(|(_, rows)| !rows.is_empty())
    .collect()
}

fn list<'a>(rows: &[Row<'a>], parent: &str, nested: &mut Vec<(String, Body<'a>)>) -> String {
    let mut text = String::new();
    for (name, row) in rows {
        let _ = write!(text, "- `{name}` ({}) {}", kind(row), sentences(row));
        if let Some(body) = body(&row.ty) {
            let path = match parent {
                "" => (*name).to_owned(),
                parent => format!("{parent}.{name}"),
            };
            let _ = write!(
                text,
                " (see [below for nested schema](#nestedatt--{}))",
                anchor(&path)
            );
            nested.push((path, body));
        }
        text.push('\n');
    }
    text
}

fn anchor(path: &str) -> String {
    path.replace('.', "--")
}

fn body(ty: &Type) -> Option<Body<'_>> {
    match ty {
        Type::Object(schema) | Type::Slots(schema) => Some(Body::Schema(schema)),
        Type::Record(rows) => Some(Body::Record(rows)),
        Type::List(inner) | Type::Set(inner) | Type::Map(inner) => body(inner),
        Type::String | Type::Number | Type::Bool | Type::Tuple(_) | Type::Dynamic => None,
    }
}

fn kind(row: &Attribute) -> String {
    let mut kind = label(&row.ty);
    if row.sensitive {
        kind += ", Sensitive";
    }
    if row.write_only {
        kind += ", Write-only";
    }
    kind
}

fn label(ty: &Type) -> String {
    match ty {
        Type::String => "String".to_owned(),
        Type::Number => "Number".to_owned(),
        Type::Bool => "Boolean".to_owned(),
        Type::Dynamic => "Dynamic".to_owned(),
        Type::Tuple(_) => "Tuple".to_owned(),
        Type::List(inner) if ty.nested().is_some() => format!("{} List", label(inner)),
        Type::Set(inner) if ty.nested().is_some() => format!("{} Set", label(inner)),
        Type::List(inner) => format!("List of {}", label(inner)),
        Type::Set(inner) => format!("Set of {}", label(inner)),
        Type::Map(inner) => format!("Map of {}", label(inner)),
        Type::Record(_) => "Object".to_owned(),
        Type::Object(_) => "Attributes".to_owned(),
        Type::Slots(_) => "Attributes Map".to_owned(),
    }
}

/// The description of a row and what its rules add to it, unless it tells that already.
fn sentences(row: &Attribute) -> String {
    let doc = one_line(&row.doc);
    let mut text = doc.clone();
    let mut add = |sentence: &str| {
        text.push(' ');
        text += sentence;
    };
    if let (Some((prefix, count)), Type::Slots(_)) = (row.slots, &row.ty) {
        let keys = format!("`{prefix}0` to `{prefix}{}`", count - 1);
        if !doc.contains(&keys) {
            add(&format!("Keys: {keys}."));
        }
    }
    for rule in &row.checks {
        match rule {
            Rule::Range(low, high) if !doc.contains(&format!("{low} to {high}")) => {
                add(&format!("From {low} to {high}."));
            }
            Rule::OneOf(words) if !words.iter().all(|word| doc.contains(&format!("`{word}`"))) => {
                add(&one_of(words));
            }
            Rule::Range(..) | Rule::OneOf(_) | Rule::Check(_) => {}
        }
    }
    if let Some(why) = row.deprecated {
        add(&format!("**Deprecated**: {why}"));
    }
    if let Some(default) = &row.default {
        add(&format!("Default `{}`.", value(default)));
    }
    if row.enforced {
        add("Left open, it is the default at any time, not only on create.");
    }
    if row.write_only {
        add("Write-only: needs OpenTofu or Terraform 1.11 or newer.");
    }
    if row.replace {
        add("Changing this replaces the resource.");
    }
    if row.keep {
        add("Kept as made: a later change is not applied and warns.");
    }
    if row.sticky && !row.required {
        add("Leaving it out later changes nothing.");
    }
    text
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => format!("Only {last}."),
        Some((last, first)) => format!("One of {} and {last}.", first.join(", ")),
        None => String::new(),
    }
}

fn value(default: &Value) -> String {
    super::model::to_json(default)
        .to_string()
        .trim_matches('"')
        .to_owned()
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

#[cfg(test)]
mod tests;
