//! Texts of the systemd units, drop-ins and settings that belong to Docker here.
//!
//! Does not install them.

use super::{Proxy, Prune};
use crate::guest::{Error, Result};

/// Drop-in of docker.service and containerd.service: they never start on a bare mount point.
///
/// The dependency alone is not enough: without a mount unit systemd takes the directory as it is.
pub(super) fn mount(path: &str) -> String {
    format!("[Unit]\nRequiresMountsFor={path}\nAssertPathIsMountPoint={path}\n")
}

/// The setting by which apt takes the proxy; none if there is nothing to set.
pub(super) fn apt_proxy(proxy: &Proxy) -> Option<String> {
    let line = |(kind, url): (&str, &Option<String>)| {
        Some(format!("Acquire::{kind}::Proxy \"{}\";\n", url.as_deref()?))
    };
    let lines = [("http", &proxy.http), ("https", &proxy.https)];
    let text: String = lines.into_iter().filter_map(line).collect();
    (!text.is_empty()).then_some(text)
}

/// Service and timer that remove unused images and build cache.
pub(super) fn prune(prune: &Prune) -> Result<[(&'static str, String); 2]> {
    let Prune {
        schedule,
        until,
        volumes,
    } = prune;
    let number =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit() || c == '.');
    if !until
        .split_inclusive(['h', 'm', 's'])
        .all(|part| number(&part[..part.len() - 1]) && !part.ends_with(char::is_numeric))
        || until.is_empty()
    {
        return Err(Error::Refused(format!(
            "{until:?} is not a duration such as 168h"
        )));
    }
    if schedule.is_empty() || schedule.chars().any(|c| c.is_control() || c == '%') {
        return Err(Error::Refused(format!(
            "{schedule:?} is not a calendar expression of systemd such as weekly"
        )));
    }
    // Docker has no filter by age for volumes. The label is that of anonymous ones, of which Docker before 23 has none:
    // there the command would else take named ones too.
    let volumes = match volumes {
        true => {
            "ExecStart=-docker volume prune --force --filter label=com.docker.volume.anonymous\n"
        }
        false => "",
    };
    let service = format!(
        "[Unit]\nDescription=Remove unused Docker images and build cache\nRequisite=docker.service\nAfter=docker.service\n\n\
         [Service]\nType=oneshot\n\
         ExecStart=docker image prune --all --force --filter until={until}\n\
         ExecStart=-docker builder prune --all --force --filter until={until}\n\
         {volumes}\
         Nice=19\nIOSchedulingClass=idle\nTimeoutStartSec=1h\n"
    );
    let timer = format!(
        "[Unit]\nDescription=Remove unused Docker images and build cache from time to time\n\n\
         [Timer]\nOnCalendar={schedule}\nRandomizedDelaySec=2h\nPersistent=true\n\n\
         [Install]\nWantedBy=timers.target\n"
    );
    Ok([
        ("pmoves-prune.service", service),
        ("pmoves-prune.timer", timer),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_go_only_where_that_is_asked_for() {
        let service = |volumes| {
            let prune = prune(&Prune {
                schedule: "weekly".into(),
                until: "168h".into(),
                volumes,
            });
            prune.unwrap()[0].1.clone()
        };
        assert!(!service(false).contains("volume"));
        let line = "\nExecStart=-docker volume prune --force --filter label=com.docker.volume.anonymous\nNice";
        assert!(service(true).contains(line), "{}", service(true));
    }

    #[test]
    fn odd_schedules_and_durations_are_refused() {
        let texts = |schedule: &str, until: &str| {
            prune(&Prune {
                schedule: schedule.into(),
                until: until.into(),
                volumes: false,
            })
        };
        for (schedule, until) in [
            ("weekly", "168h"),
            ("Mon *-*-* 03:00:00", "1h30m"),
            ("daily", "1.5h"),
        ] {
            assert!(
                texts(schedule, until).unwrap()[0]
                    .1
                    .contains(&format!("until={until}\n"))
            );
        }
        for (schedule, until) in [
            ("", "1h"),
            ("a\nb", "1h"),
            ("daily", ""),
            ("daily", "7"),
            ("daily", "h"),
            ("daily", "1h x"),
        ] {
            assert!(texts(schedule, until).is_err(), "{schedule:?} {until:?}");
        }
    }
}
