use std::collections::BTreeMap;

use super::*;

const TOKEN: &str = "pmoves@pve!tf=11111111-2222-3333-4444-555555555555";

#[track_caller]
fn check(config: Config, variables: &[(&str, &str)]) -> Result<Settings> {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    settings(config, |name| {
        variables.get(name).map(|text| (*text).to_owned())
    })
}

#[test]
fn attributes_win_over_variables() {
    let config = Config {
        endpoint: Some("https://a:8006".into()),
        username: Some("root@pam".into()),
        password: Some(Secret::new("p".into())),
        ..Config::default()
    };
    let made = check(
        config,
        &[
            ("PROXMOX_VE_ENDPOINT", "https://b:8006"),
            ("PROXMOX_VE_API_TOKEN", TOKEN),
        ],
    )
    .unwrap();
    assert_eq!(made.endpoint, "https://a:8006");
    assert!(matches!(made.credential, Credential::Password { .. }));
}

#[test]
fn variables_alone_are_enough() {
    let made = check(
        Config::default(),
        &[
            ("PROXMOX_VE_ENDPOINT", "https://b:8006"),
            ("PROXMOX_API_TOKEN", TOKEN),
            ("PROXMOX_VE_INSECURE", "true"),
        ],
    )
    .unwrap();
    assert!(matches!(made.credential, Credential::Token(_)));
    assert!(matches!(made.trust, Trust::Insecure));
}

#[test]
fn what_is_missing_is_named_with_its_variable() {
    let failure = check(Config::default(), &[]).err().unwrap();
    assert_eq!(
        (
            failure.at.as_deref(),
            failure.detail.contains("PROXMOX_VE_ENDPOINT")
        ),
        (Some("endpoint"), true)
    );
    let failure = check(
        Config::default(),
        &[("PROXMOX_VE_ENDPOINT", "https://b:8006")],
    )
    .err()
    .unwrap();
    assert_eq!(failure.at.as_deref(), Some("api_token"));
}

#[test]
fn a_bad_token_is_refused_without_showing_it() {
    let why = api_token(&"sentinel".into()).unwrap_err();
    assert!(!why.contains("sentinel"));
    assert!(api_token(&TOKEN.into()).is_ok());
}

#[test]
fn fingerprints_are_read_in_any_case() {
    let text = ["aB"; 32].join(":");
    assert_eq!(digest(&text), Some([0xab; 32]));
    assert_eq!(digest("AB:CD"), None);
}
