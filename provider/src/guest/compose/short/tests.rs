use super::*;

#[track_caller]
fn check(text: &str, want: &str) {
    let got = port(text).map_or_else(|words| words, |port| port.to_string());
    assert_eq!(got, want, "{text}");
}

#[test]
fn ports_are_normalised() {
    for (text, want) in [
        ("80", "80/tcp"),
        ("8080:80", "8080:80/tcp"),
        ("53:53/UDP", "53:53/udp"),
        ("127.0.0.1:8080:80", "127.0.0.1:8080:80/tcp"),
        ("127.0.0.1::80", "127.0.0.1::80/tcp"),
        ("[::1]:8080:80", "[::1]:8080:80/tcp"),
        ("::1:8080:80", "[::1]:8080:80/tcp"),
        ("3000-3005:3000-3005", "3000-3005:3000-3005/tcp"),
        ("8000-9000:80", "8000-9000:80/tcp"),
        (":80", "80/tcp"),
        ("80/xyz", "`xyz` is no protocol; tcp, udp and sctp are"),
        ("99999:80", "`99999` is no port from 1 to 65535"),
        ("80:", "`` is no port from 1 to 65535"),
        ("300.1.1.1:80:80", "`300.1.1.1` is no IP address"),
        (
            "8080-8081:80-82",
            "the ranges of host and container differ in size",
        ),
        ("90-80:90-80", "the range 90-80 runs backwards"),
    ] {
        check(text, want);
    }
}

#[test]
fn ports_clash_when_host_address_port_and_protocol_meet() {
    for (a, b, want) in [
        ("80:80", "80:8080", true),
        ("80:80", "80:80/udp", false),
        ("80:80", "127.0.0.1:80:80", true),
        ("0.0.0.0:80:80", "127.0.0.1:80:80", true),
        ("127.0.0.1:80:80", "127.0.0.2:80:80", false),
        ("[::]:80:80", "127.0.0.1:80:80", false),
        ("80-90:80-90", "85:1", true),
        ("80-90:80", "85:1", false),
        ("80", "80", false),
    ] {
        let clash = |a: &str, b: &str| port(a).expect("a port").clashes(&port(b).expect("a port"));
        assert_eq!((clash(a, b), clash(b, a)), (want, want), "{a} {b}");
    }
}

#[test]
fn mounts_are_volumes_or_paths() {
    let read = |text: &str| {
        mount(text).map(|mount| {
            let kind = if mount.drive {
                "drive"
            } else if mount.bind {
                "bind"
            } else {
                "volume"
            };
            format!(
                "{kind} {} {}",
                mount.source.as_deref().unwrap_or("-"),
                mount.target
            )
        })
    };
    for (text, want) in [
        ("/data", "volume - /data"),
        ("data:/data", "volume data /data"),
        ("data:/data:ro,z", "volume data /data"),
        ("./a:/b", "bind ./a /b"),
        ("../a:/b", "bind ../a /b"),
        ("/a:/b:ro", "bind /a /b"),
        ("~/a:/b", "bind ~/a /b"),
        ("v:/x", "drive - v:/x"),
        ("a:b:c:d", "drive a:b c:d"),
        ("é:/x", "volume é /x"),
    ] {
        assert_eq!(read(text), Ok(want.to_owned()), "{text}");
    }
    for text in ["", ":/a", "a b:", "ab:cd:ef:gh:ij"] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn durations_and_sizes_follow_go_and_docker() {
    for text in [
        "1s", "1m30s", "1.5h", "100ms", "-1s", "0", "1d", "2w1d", "10µs",
    ] {
        assert!(is_duration(text), "{text}");
    }
    for text in ["", "1", "s", "1x", "1m 30s", "1..5s", ".s", "+"] {
        assert!(!is_duration(text), "{text}");
    }
    for text in ["512", "512m", "512MB", "1.5g", "64 MiB", "10k", "-1", "1b"] {
        assert!(is_bytes(text), "{text}");
    }
    for text in ["", "m", "1x", "1 2", "-2", "1..5g", "1mm"] {
        assert!(!is_bytes(text), "{text}");
    }
}

#[test]
fn words_are_checked_by_rule() {
    assert!(["a", "a.b_c-d", "-x"].iter().all(|text| is_name(text)));
    assert!(!["", "a b", "é", "a/b"].iter().any(|text| is_name(text)));
    assert!(["ab", "a_1"].iter().all(|text| is_container_name(text)));
    assert!(
        !["a", "-ab", "a b"]
            .iter()
            .any(|text| is_container_name(text))
    );
    assert!(
        ["always", "daily", "every_3d", "every_1h30m"]
            .iter()
            .all(|text| is_pull_policy(text))
    );
    assert!(
        !["", "x", "every_", "every_d"]
            .iter()
            .any(|text| is_pull_policy(text))
    );
    assert!(
        ["no", "always", "on-failure:3"]
            .iter()
            .all(|text| is_restart(text))
    );
    assert!(
        !["sometimes", "on-failure:x"]
            .iter()
            .any(|text| is_restart(text))
    );
}
