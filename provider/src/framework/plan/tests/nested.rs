//! Lists, sets and maps of objects: what each object is compared with.

use super::*;

/// One attribute `x` that holds objects of a name, a port and an id.
fn holding(ty: fn(Schema) -> Type) -> Schema {
    let item = Schema::new("An item.")
        .attribute("name", Attribute::of::<String>("Name."))
        .attribute("port", Attribute::of::<Option<i64>>("Port.").default(80))
        .attribute("id", Attribute::of::<Option<String>>("Id.").decided());
    let row = Attribute {
        ty: ty(item),
        ..Attribute::of::<Option<String>>("Items.")
    };
    Schema::new("A thing.").attribute("x", row)
}

fn list(item: Schema) -> Type {
    Type::List(Box::new(Type::Object(Box::new(item))))
}

fn set(item: Schema) -> Type {
    Type::Set(Box::new(Type::Object(Box::new(item))))
}

fn map(item: Schema) -> Type {
    Type::Slots(Box::new(item))
}

#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "cases are written with json!"
)]
fn check(ty: fn(Schema) -> Type, config: Json, prior: Json, planned: Json) {
    let schema = holding(ty);
    let value = |x: &Json| marked(&schema, &json!({ "x": x }));
    let (config, prior, private) = (value(&config), value(&prior), Private::default());
    let plan = plan(&schema, &config, &prior, &private);
    assert_eq!(shown(&plan.value), json!({ "x": planned }));
    assert_eq!(plan.diagnostics, Diagnostics::default());
}

fn item(name: &str, port: i64, id: &str) -> Json {
    json!({ "name": name, "port": port, "id": id })
}

#[test]
fn objects_of_a_list_are_compared_by_place() {
    check(
        list,
        json!([{ "name": "b" }, { "name": "c" }, { "name": "d", "port": "?" }]),
        json!([item("a", 1, "i"), item("b", 2, "j")]),
        json!([item("b", 1, "i"), item("c", 2, "j"), { "name": "d", "port": "?", "id": "?" }]),
    );
    check(
        list,
        json!(["?", { "name": "b" }]),
        json!([item("a", 1, "i"), item("b", 2, "j"), item("c", 3, "k")]),
        json!(["?", item("b", 2, "j")]),
    );
}

#[test]
fn objects_of_a_set_are_compared_by_content() {
    let prior = || json!([item("a", 1, "i"), item("b", 2, "j")]);
    check(
        set,
        json!([{ "name": "a", "port": 9 }, { "name": "b" }]),
        prior(),
        json!([{ "name": "a", "port": 9, "id": "?" }, item("b", 2, "j")]),
    );
    // What is left open in one can only be found once all are known.
    check(
        set,
        json!([{ "name": "?" }, { "name": "b" }]),
        prior(),
        json!([{ "name": "?", "port": "?", "id": "?" }, { "name": "b", "port": "?", "id": "?" }]),
    );
    check(
        set,
        json!(["?", item("a", 1, "i")]),
        prior(),
        json!(["?", item("a", 1, "i")]),
    );
}

#[test]
fn objects_of_a_set_that_would_become_one_are_left_as_configured() {
    let config = json!([
        { "name": "a", "id": "i" }, { "name": "a", "port": 80, "id": "i" }
    ]);
    check(set, config.clone(), json!([]), config);
}

#[test]
fn a_map_that_is_owned_whole_has_the_keys_of_the_configuration() {
    check(
        map,
        json!({ "one": { "name": "a" } }),
        json!({ "one": item("a", 1, "i"), "two": item("b", 2, "j") }),
        json!({ "one": item("a", 1, "i") }),
    );
}
