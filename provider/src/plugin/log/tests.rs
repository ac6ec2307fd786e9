use std::sync::{Arc, Mutex};

use super::*;

fn logged(level: Level, work: impl FnOnce()) -> Vec<Json> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let write = {
        let lines = Arc::clone(&lines);
        Box::new(move |line: &[u8]| {
            assert!(line.len() < 64 * 1024);
            assert_eq!(line.split_inclusive(|byte| *byte == b'\n').count(), 1);
            lines
                .lock()
                .unwrap()
                .push(serde_json::from_slice(line).unwrap());
        })
    };
    let subscriber = tracing_subscriber::registry().with(Hclog { level, write });
    tracing::subscriber::with_default(subscriber, work);
    lines.lock().unwrap().clone()
}

#[test]
fn a_line_is_what_core_parses() {
    let lines = logged(Level::DEBUG, || {
        let _span = tracing::info_span!("request", rpc = "Plan", r#type = "x").entered();
        tracing::warn!(calls = 3_u64, ok = false, "took\nlong {}", "indeed");
    });
    let [line] = lines.try_into().unwrap();
    let Json::Object(mut line) = line else {
        panic!()
    };
    let time = line.remove("@timestamp").unwrap();
    assert_eq!(
        time.as_str().unwrap().len(),
        "2006-01-02T15:04:05.000000Z".len()
    );
    expect_test::expect![[r#"{"@level":"warn","@message":"took\nlong indeed","@module":"provider.plugin.log.tests","calls":3,"ok":false,"rpc":"Plan","type":"x"}"#]]
    .assert_eq(&Json::Object(line).to_string());
}

#[test]
fn what_core_drops_is_not_formatted() {
    struct Loud;
    impl Debug for Loud {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("formatted")
        }
    }
    let lines = logged(Level::INFO, || {
        tracing::debug!(value = ?Loud, "x");
        tracing::info!(target: "h2::codec", "frame");
        tracing::warn!(target: "h2::codec", "trouble");
    });
    assert_eq!(lines.len(), 1);
}

#[test]
fn long_texts_are_cut() {
    let lines = logged(Level::INFO, || {
        tracing::info!(backtrace = "ä".repeat(50_000), "short");
    });
    assert_eq!(lines[0]["@message"], "short");
    assert_eq!(lines[0]["backtrace"].as_str().unwrap().len(), LONGEST_TEXT);
}

#[test]
fn the_level_is_the_most_specific_one_that_is_set() {
    for (settings, wanted) in [
        (&[][..], None),
        (&[("TF_LOG", "warn")][..], Some(Level::WARN)),
        (&[("TF_LOG", "JSON")][..], Some(Level::TRACE)),
        (&[("TF_LOG", "TRACE"), ("TF_LOG_PROVIDER", "off")][..], None),
        (
            &[
                ("TF_LOG_PROVIDER", "ERROR"),
                ("TF_LOG_PROVIDER_PMOVES", "debug"),
            ][..],
            Some(Level::DEBUG),
        ),
    ] {
        let setting = |name: &str| {
            let found = settings.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(level("pmoves", setting), wanted, "{settings:?}");
    }
}

#[test]
fn timestamps_have_six_digits() {
    let at = OffsetDateTime::from_unix_timestamp_nanos(1_700_000_000_000_042_999).unwrap();
    assert_eq!(timestamp(at), "2023-11-14T22:13:20.000042Z");
}
