//! The seeds of the fuzz targets, and what fuzzing found with their help.
//!
//! Invents nothing: `./x fuzz` does.

use std::{fs, path::Path};

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the fuzz targets reach it as a library")]
mod properties;

#[track_caller]
fn check(target: &str, property: fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let seeds: Vec<_> = fs::read_dir(seeds)
        .expect("each target has seeds")
        .collect();
    assert!(!seeds.is_empty());
    for seed in seeds {
        let path = seed.expect("a listed file").path();
        eprintln!("{}", path.display());
        property(&fs::read(path).expect("seeds can be read"));
    }
}

#[test]
fn values_survive_the_wire() {
    check("msgpack", properties::msgpack);
}

#[test]
fn states_are_upgraded_once() {
    check("state", properties::state);
}

#[test]
fn properties_are_printed_as_they_are_read() {
    check("property_string", properties::property_string);
}

#[test]
fn task_ids_are_printed_as_they_are_read() {
    check("upid", properties::upid);
}

#[test]
fn compose_texts_mean_one_thing() {
    check("compose", properties::compose);
}

#[test]
fn variables_are_written_as_they_are_read() {
    check("dotenv", properties::dotenv);
}
