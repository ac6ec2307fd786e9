//! Pages for the registry: what practitioners read, made from the schemas that core gets.
//!
//! Pure: examples come in as texts and pages go out as texts. Has no sentence about any attribute;
//! those stand at the models.

mod function;

use std::{collections::BTreeMap, fmt::Write as _};

pub use function::function;

use super::{Attribute, Model, Provider, Schema, Type, Value, schema::Rule};

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
    for one in provider.resources() {
        let examples = format!("resources/{}", one.name());
        let identity = one.identity();
        pages.push(resource(
            name,
            one.name(),
            one.schema(),
            &example(format!("{examples}/resource.tf")),
            &example(format!("{examples}/import.sh")),
            identity.map(|_| example(format!("{examples}/import-by-identity.tf"))),
        ));
    }
    for one in provider.data_sources() {
        let example = example(format!("data-sources/{}/data-source.tf", one.name()));
        pages.push(page(name, &DATA_SOURCE, one.name(), one.schema(), &example));
    }
    for one in provider.ephemeral_resources() {
        let example = example(format!(
            "ephemeral-resources/{}/ephemeral-resource.tf",
            one.name()
        ));
        pages.push(page(name, &EPHEMERAL, one.name(), one.schema(), &example));
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
fn resource(
    provider: &str,
    title: &str,
    schema: &Schema,
    example: &str,
    import: &str,
    identity: Option<String>,
) -> Page {
    let mut page = page(provider, &RESOURCE, title, schema, example);
    page.text += "\n";
    page.text += &block("Import", "shell", import);
    if let Some(identity) = identity {
        page.text += "OpenTofu and Terraform 1.12 and newer also import by identity:\n\n";
        page.text += &code("terraform", &identity);
    }
    page.text = ended(&page.text);
    page
}

/// A sort of things that have a schema: what it is called, and where its pages are.
struct Sort(&'static str, &'static str);

const RESOURCE: Sort = Sort("Resource", "resources");
const DATA_SOURCE: Sort = Sort("Data Source", "data-sources");
const EPHEMERAL: Sort = Sort("Ephemeral Resource", "ephemeral-resources");

/// The page of one thing; `title` is the name of its type.
fn page(provider: &str, sort: &Sort, title: &str, schema: &Schema, example: &str) -> Page {
    let Sort(kind, directory) = sort;
    let name = title.strip_prefix(provider).unwrap_or(title);
    let name = name.trim_start_matches('_');
    let mut text = head(&format!("{title} {kind} - {provider}"), &schema.doc);
    let _ = write!(text, "# {title} ({kind})\n\n{}\n\n", schema.doc);
    text += &block("Example Usage", "terraform", example);
    text += &attributes(schema);
    Page {
        path: format!("docs/{directory}/{name}.md"),
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
    format!("## {heading}\n\n{}", code(language, text))
}

fn code(language: &str, text: &str) -> String {
    format!("```{language}\n{}\n```\n\n", text.trim_end())
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

#[cfg(test)]
mod tests;
