//! The file is read and written as by the API.

use super::*;

fn cards() -> Vec<String> {
    vec!["eno1".to_owned(), "eno2".to_owned()]
}

fn add(text: &str, name: &str, keys: &[(&str, &str)]) -> String {
    let mut all = read(text, &cards());
    let keys = keys
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    all.insert(name.to_owned(), keys.collect());
    write(&all)
}

#[test]
fn what_is_written_reads_the_same() {
    let text = installed(&cards(), &["vmbr0".to_owned()], 0);
    let all = read(&text, &cards());
    assert_eq!(all["vmbr0"]["cidr"], "192.0.2.10/24");
    assert_eq!(all["vmbr0"]["priority"], "5");
    assert_eq!(write(&all), format!("{HEADER}{text}"));
}

#[test]
fn interfaces_stand_by_type_and_then_as_they_came() {
    let mut text = installed(&cards(), &["vmbr0".to_owned()], 0);
    for (name, kind) in [
        ("eno2.7", "vlan"),
        ("vmbr3", "bridge"),
        ("vmbr3.100", "vlan"),
        ("bond0", "bond"),
        ("bridge", "bridge"),
        ("tap100i0", "bridge"),
    ] {
        text = add(&text, name, &[("type", kind)]);
    }
    let all = read(&text, &cards());
    let mut names: Vec<_> = all.iter().collect();
    names.sort_by_key(|(_, iface)| iface["priority"].parse::<u32>().unwrap_or(0));
    let names: Vec<&str> = names.into_iter().map(|(name, _)| name.as_str()).collect();
    let expected = "lo eno1 eno2 eno2.7 bond0 vmbr0 vmbr3 bridge vmbr3.100 tap100i0";
    assert_eq!(names.join(" "), expected);
}

#[test]
fn vlan_awareness_is_on_whatever_it_is_set_to() {
    let text = installed(&cards(), &[], 0);
    let text = add(
        &text,
        "br1",
        &[("type", "bridge"), ("bridge_vlan_aware", "0")],
    );
    assert!(
        text.contains("\tbridge-vlan-aware yes\n\tbridge-vids 2-4094\n"),
        "{text}"
    );
}
