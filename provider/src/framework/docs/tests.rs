//! Golden pages of made-up schemas.

use expect_test::{Expect, expect};

use super::{
    super::{Function, Parameter},
    *,
};

fn disk() -> Schema {
    Schema::new("A disk.")
        .attribute("size", Attribute::of::<i64>("Size in GiB.").range(1, 1024))
        .attribute(
            "mount",
            Attribute::of::<Option<String>>("Where it is mounted.")
                .default("/data")
                .keep(),
        )
}

fn row(name: &'static str, attribute: Attribute) -> String {
    let schema = Schema::new("").attribute(name, attribute);
    let (_, rows) = groups(&schema).remove(0);
    list(&rows, "", &mut Vec::new())
}

#[track_caller]
fn check(text: &str, expected: &Expect) {
    expected.assert_eq(text);
}

#[test]
fn a_resource_shows_its_rows_by_who_sets_them_and_its_nested_schemas_below() {
    let schema = Schema::new("A thing.\n\nMore of it.")
        .attribute("id", Attribute::of::<Option<String>>("Its id.").computed())
        .attribute("name", Attribute::of::<String>("Its name.").replace())
        .attribute(
            "disk",
            Attribute {
                ty: Type::Slots(Box::new(disk())),
                ..Attribute::of::<Option<String>>("Disks.").slots("scsi", 31)
            },
        );
    check(
        &resource(
            "demo",
            "demo_thing",
            &schema,
            "resource \"demo_thing\" \"a\" {}\n",
            "tofu import demo_thing.a 1\n",
            Some("import {}\n".to_owned()),
        )
        .text,
        &expect![[r#"
            ---
            page_title: "demo_thing Resource - demo"
            subcategory: ""
            description: |-
              A thing.
            ---

            # demo_thing (Resource)

            A thing.

            More of it.

            ## Example Usage

            ```terraform
            resource "demo_thing" "a" {}
            ```

            ## Schema

            ### Required

            - `name` (String) Its name. Changing this replaces the resource.

            ### Optional

            - `disk` (Attributes Map) Disks. Keys: `scsi0` to `scsi30`. (see [below for nested schema](#nestedatt--disk))

            ### Read-Only

            - `id` (String) Its id.

            <a id="nestedatt--disk"></a>
            ### Nested Schema for `disk`

            Required:

            - `size` (Number) Size in GiB. From 1 to 1024.

            Optional:

            - `mount` (String) Where it is mounted. Default `/data`. Kept as made: a later change is not applied and warns.

            ## Import

            ```shell
            tofu import demo_thing.a 1
            ```

            OpenTofu and Terraform 1.12 and newer also import by identity:

            ```terraform
            import {}
            ```
        "#]],
    );
}

#[test]
fn rules_of_an_attribute_become_sentences() {
    let text = || Attribute::of::<Option<String>>("Word.");
    check(
        &[
            row("a", text().default("x").one_of(&["x", "y"]).enforced()),
            row("b", text().write_only()),
            row("c", text().sticky()),
            row("d", Attribute::of::<Option<bool>>("Truth.").default(true)),
            row(
                "e",
                Attribute::of::<Option<i64>>("A number, 1 to 9.").range(1, 9),
            ),
            row(
                "f",
                Attribute::of::<Option<String>>("`x` or `y`.").one_of(&["x", "y"]),
            ),
        ]
        .concat(),
        &expect![[r"
            - `a` (String) Word. One of `x` and `y`. Default `x`. Left open, it is the default at any time, not only on create.
            - `b` (String, Sensitive, Write-only) Word. Write-only: needs OpenTofu or Terraform 1.11 or newer.
            - `c` (String) Word. Leaving it out later changes nothing.
            - `d` (Boolean) Truth. Default `true`.
            - `e` (Number) A number, 1 to 9.
            - `f` (String) `x` or `y`.
        "]],
    );
}

#[test]
fn a_function_shows_its_signature_and_arguments() {
    let parameter = |name, allow_null| Parameter {
        name,
        description: "What\nit is.",
        ty: Type::Map(Box::new(Type::String)),
        allow_null,
    };
    let made = Function {
        name: "merge",
        summary: "Merges",
        description: "Merges maps.",
        parameters: vec![parameter("first", false)],
        variadic: Some(parameter("more", true)),
        returns: Type::Record([("count".to_owned(), Type::Number)].into()),
        call: |_| Ok(Value::Null),
    };
    check(
        &function("demo", &made, "").text,
        &expect![[r#"
        ---
        page_title: "merge Function - demo"
        subcategory: ""
        description: |-
          Merges
        ---

        # merge (Function)

        Merges maps.

        ## Example Usage

        ```terraform

        ```

        ## Signature

        ```text
        merge(first map of string, more map of string...) object(count number)
        ```

        ## Arguments

        1. `first` (Map of String) What it is.
        2. `more` (Variadic, Map of String, Nullable) What it is.
    "#]],
    );
}

#[test]
fn each_sort_of_things_has_a_directory() {
    let path = |sort| page("demo", sort, "demo_thing", &Schema::new("A thing."), "").path;
    assert_eq!(path(&RESOURCE), "docs/resources/thing.md");
    assert_eq!(path(&DATA_SOURCE), "docs/data-sources/thing.md");
    assert_eq!(path(&EPHEMERAL), "docs/ephemeral-resources/thing.md");
}
