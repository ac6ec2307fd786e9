//! Compose's short forms: durations, sizes, ports, mounts and the rules of names.
//!
//! Each works on one interpolated text; nothing here knows where it stands.

use std::fmt;
use std::net::IpAddr;

/// A published or exposed port, or a range of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) host_ip: Option<IpAddr>,
    /// First and last port of the host; none is a port of the Engine's choice.
    pub(super) published: Option<(u16, u16)>,
    pub(super) target: (u16, u16),
    pub(super) protocol: String,
}

impl Port {
    /// The one host port, unless it is taken from a range.
    pub(super) fn fixed(&self) -> Option<(u16, u16)> {
        let (first, last) = self.published?;
        let targets = self.target.1 - self.target.0;
        (last - first == targets).then_some((first, last))
    }

    /// Whether both cannot be published on one host.
    pub(super) fn clashes(&self, other: &Self) -> bool {
        let (Some(a), Some(b)) = (self.fixed(), other.fixed()) else {
            return false;
        };
        let same_ip = match (self.host_ip, other.host_ip) {
            (Some(a), Some(b)) if a.is_ipv4() == b.is_ipv4() => {
                a == b || a.is_unspecified() || b.is_unspecified()
            }
            (Some(_), Some(_)) => false,
            _ => true,
        };
        same_ip && self.protocol == other.protocol && a.0 <= b.1 && b.0 <= a.1
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |(first, last): (u16, u16)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        };
        match self.host_ip {
            Some(IpAddr::V4(ip)) => write!(f, "{ip}:")?,
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:")?,
            None => {}
        }
        match self.published {
            Some(published) => write!(f, "{}:", range(published))?,
            None if self.host_ip.is_some() => f.write_str(":")?,
            None => {}
        }
        write!(f, "{}/{}", range(self.target), self.protocol)
    }
}

/// Reads `[[IP:]HOST:]CONTAINER[/PROTOCOL]`.
///
/// # Errors
/// Words that follow a quoted port.
pub(super) fn port(text: &str) -> Result<Port, String> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!(
            "`{protocol}` is no protocol; tcp, udp and sctp are"
        ));
    }
    let (before, target) = ports.rsplit_once(':').unwrap_or(("", ports));
    let (ip, published) = match before.rsplit_once(':') {
        Some((ip, published)) => (ip, published),
        None => ("", before),
    };
    let bare = ip
        .strip_prefix('[')
        .and_then(|ip| ip.strip_suffix(']'))
        .unwrap_or(ip);
    let host_ip = match bare {
        "" => None,
        ip => Some(ip.parse().map_err(|_| format!("`{ip}` is no IP address"))?),
    };
    let target = range(target)?;
    let published = if published.is_empty() {
        None
    } else {
        Some(range(published)?)
    };
    sized(Port {
        host_ip,
        published,
        target,
        protocol,
    })
}

/// Refuses ranges of different size; one container port may take any of a range.
pub(super) fn sized(port: Port) -> Result<Port, String> {
    let size = |(first, last): (u16, u16)| last - first;
    match port.published {
        Some(published) if size(port.target) > 0 && size(published) != size(port.target) => {
            Err("the ranges of host and container differ in size".into())
        }
        _ => Ok(port),
    }
}

pub(super) fn range(text: &str) -> Result<(u16, u16), String> {
    let one = |text: &str| {
        text.parse::<u16>()
            .map_err(|_| format!("`{text}` is no port from 1 to 65535"))
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (one(first)?, one(last)?);
    if last < first {
        return Err(format!("the range {first}-{last} runs backwards"));
    }
    Ok((first, last))
}

/// What a short mount names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) source: Option<String>,
    pub(super) target: String,
    /// The source is a path of the host, not a volume's name.
    pub(super) bind: bool,
    /// A one-letter volume's name, which Compose takes for a Windows drive.
    pub(super) drive: bool,
}

/// Reads `[SOURCE:]TARGET[:OPTIONS]`.
///
/// # Errors
/// Words that follow a quoted mount.
pub(super) fn mount(text: &str) -> Result<Mount, String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut drive = false;
    for c in text.chars() {
        let letter = part.len() == 1 && part.starts_with(|c: char| c.is_ascii_alphabetic());
        match c {
            ':' if text.len() > 2 && letter => {
                drive |= parts.is_empty();
                part.push(c);
            }
            ':' => parts.push(std::mem::take(&mut part)),
            c => part.push(c),
        }
    }
    parts.push(part);
    if parts.iter().any(String::is_empty) {
        return Err("a part between colons is empty".into());
    }
    let mut parts = parts.into_iter();
    let first = parts.next().unwrap_or_default();
    let (source, target) = match parts.next() {
        Some(target) => (Some(first), target),
        None => (None, first),
    };
    if parts.len() > 1 {
        return Err("it has too many colons".into());
    }
    let bind = source.as_deref().is_some_and(is_path);
    Ok(Mount {
        source,
        target,
        bind,
        drive,
    })
}

fn is_path(source: &str) -> bool {
    source.starts_with(['.', '/', '~', '\\']) || source.as_bytes().get(1) == Some(&b':')
}

pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

pub(super) fn is_container_name(text: &str) -> bool {
    text.len() > 1 && is_name(text) && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

pub(super) fn is_pull_policy(text: &str) -> bool {
    let known = [
        "always",
        "never",
        "build",
        "if_not_present",
        "missing",
        "refresh",
        "daily",
        "weekly",
    ];
    known.contains(&text)
        || text.strip_prefix("every_").is_some_and(|every| {
            every.starts_with(|c: char| c.is_ascii_digit()) && is_duration(every)
        })
}

pub(super) fn is_restart(text: &str) -> bool {
    matches!(text, "no" | "always" | "unless-stopped" | "on-failure" | "")
        || text
            .strip_prefix("on-failure:")
            .is_some_and(|times| times.parse::<u32>().is_ok())
}

/// An entry of `extra_hosts`.
pub(super) fn is_host(text: &str) -> bool {
    text.contains([':', '='])
}

/// YAML 1.1's words for true and false, which Compose takes where it wants a bool.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "y" | "yes" | "on" => Some(true),
        "false" | "n" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Go's durations, and days and weeks: `1h30m`, `1.5s`, `2d`.
pub(super) fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    let mut any = false;
    while !rest.is_empty() {
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let number = &rest[..rest.len() - unit.len()];
        let known = ["ns", "us", "µs", "μs", "ms", "s", "m", "h", "d", "w"];
        let taken = known
            .iter()
            .filter(|known| unit.starts_with(**known))
            .map(|known| known.len())
            .max();
        let (Some(taken), true) = (taken, is_decimal(number)) else {
            return false;
        };
        rest = &unit[taken..];
        any = true;
    }
    any
}

/// Sizes as Docker writes them: `512`, `1.5g`, `64 MiB`.
pub(super) fn is_bytes(text: &str) -> bool {
    if text == "-1" {
        return true;
    }
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = &text[..text.len() - unit.len()];
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let prefix = unit
        .strip_suffix("ib")
        .or_else(|| unit.strip_suffix('b'))
        .unwrap_or(&unit);
    is_decimal(number) && matches!(prefix, "" | "k" | "m" | "g" | "t" | "p")
}

fn is_decimal(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit()) && text.matches('.').count() < 2
}

#[cfg(test)]
mod tests;
