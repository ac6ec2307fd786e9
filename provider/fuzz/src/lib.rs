//! What holds of every text and byte that the provider reads from outside, as functions that panic
//! where it does not.
//!
//! The fuzz targets call them with what libFuzzer invents, an ordinary test with the seeds.

use std::collections::BTreeMap;

use provider::{
    framework::{
        Attribute, Schema, Type, Value,
        codec::{self, Shape, msgpack as wire},
        model,
    },
    guest::compose::{self as text, Inputs, Source, dotenv as env},
    pve::{PropertyString, Upid, format_size, parse_size},
};

/// No value is nested deeper, whatever is sent.
const DEEPEST: usize = 130;

/// A value that was read is written and read again as itself, and has a bounded depth.
pub fn msgpack(bytes: &[u8]) {
    let (schema, any) = (schema(), Type::Dynamic);
    let Some((first, bytes)) = bytes.split_first() else {
        return;
    };
    let shape = || match first % 2 {
        0 => Shape::from(&schema),
        _ => Shape::from(&any),
    };
    let Ok(value) = wire::decode(bytes, shape()) else {
        return;
    };
    assert!(depth(&value) <= DEEPEST);
    let (written, wrong) = wire::encode(&value, shape());
    assert_eq!(wrong, []);
    assert_eq!(wire::decode(&written, shape()), Ok(value));
}

/// A stored state is upgraded once: a second time changes nothing, and core can be told of it.
pub fn state(bytes: &[u8]) {
    let schema = schema();
    let Ok(json) = codec::decode_json(bytes) else {
        return;
    };
    let upgraded = |json| {
        let mut state = model::object(json, &schema);
        schema.fill_settings(&mut state);
        state
    };
    let state = upgraded(&json);
    assert_eq!(upgraded(&model::to_json(&state)), state);
    let (written, wrong) = wire::encode(&state, (&schema).into());
    assert_eq!(wrong, []);
    assert_eq!(wire::decode(&written, (&schema).into()), Ok(state));
}

/// A property that was read is printed and read again as itself; sizes are too.
pub fn property_string(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for default_key in [None, Some("model")] {
        if let Ok(property) = PropertyString::parse(text, default_key) {
            let printed = property.to_string();
            let again = PropertyString::parse(&printed, default_key);
            assert_eq!(again, Ok(property), "{printed:?}");
        }
    }
    if let Some(size) = parse_size(text) {
        assert_eq!(parse_size(&format_size(size)), Some(size));
    }
}

/// A task id is printed as it was read.
pub fn upid(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(upid) = text.parse::<Upid>()
    {
        assert_eq!(upid.to_string(), text);
        assert!(!upid.node.contains(':') && !upid.user.is_empty());
    }
}

/// A Compose text means one thing, and nothing changes between it and itself; what is refused is
/// refused with a reason.
pub fn compose(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let source = Source {
        name: "compose.yaml",
        text,
    };
    let inputs = Inputs {
        project: "p",
        sources: vec![source],
        env: [("A".to_owned(), "1".to_owned())].into(),
        ..Inputs::default()
    };
    let read = text::parse(&inputs);
    assert_eq!(text::parse(&inputs), read);
    match read {
        Ok(project) => {
            let changes = text::changed(&project, &project);
            assert!(changes.same.iter().eq(project.services.keys()));
            assert_eq!(text::volumes_redefined(&project, &project), [""; 0]);
            let names = text::service_names(source).expect("the text was read");
            assert!(project.services.keys().all(|name| names.contains(name)));
        }
        Err(faults) => assert!(!faults.is_empty() && faults.is_sorted()),
    }
}

/// Variables that were read are written and read again as themselves; a value that is put into a
/// template is read from it. A zero byte ends the template and begins the value.
pub fn dotenv(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (template, value) = text.split_once('\0').unwrap_or((text, "x"));
    let none = BTreeMap::new();
    let read = |text: &str| env::parse(".env", text, &none);
    let Ok(values) = read(template) else {
        return;
    };
    if values.keys().all(|name| env::is_name(name)) {
        assert_eq!(read(&env::write(&values)), Ok(values));
    }
    let given = BTreeMap::from([("A".to_owned(), value.to_owned())]);
    if !value.contains('\0')
        && let Ok(filled) = env::render_env(template, &given)
        && let Ok(values) = read(&filled)
    {
        assert_eq!(values["A"], value, "{filled:?}");
    }
}

/// One attribute of each kind.
fn schema() -> Schema {
    let row = |ty| Attribute {
        ty,
        optional: true,
        ..<Attribute as Default>::default()
    };
    let object = || {
        let schema = Schema::new("")
            .attribute("flag", row(Type::Bool))
            .attribute("size", row(Type::Number).default(1).setting());
        Box::new(schema)
    };
    let one = || Box::new(Type::Object(object()));
    let pair = Type::Tuple(vec![Type::String, Type::Dynamic]);
    let record = [("a".to_owned(), pair), ("b".to_owned(), Type::Number)];
    Schema::new("")
        .attribute("any", row(Type::Dynamic))
        .attribute("list", row(Type::List(one())))
        .attribute("map", row(Type::Map(Box::new(Type::String))))
        .attribute("name", row(Type::String))
        .attribute("one", row(*one()))
        .attribute("record", row(Type::Record(record.into())))
        .attribute("secret_wo", row(Type::String).write_only())
        .attribute("set", row(Type::Set(one())))
        .attribute("slots", row(Type::Slots(object())))
        .attribute("words", row(Type::Set(Box::new(Type::String))))
}

fn depth(value: &Value) -> usize {
    let inside = match value {
        Value::List(items) => items.iter().map(depth).max(),
        Value::Map(entries) => entries.values().map(depth).max(),
        Value::Dynamic(dynamic) => Some(depth(&dynamic.value)),
        _ => None,
    };
    1 + inside.unwrap_or_default()
}
