//! The names that guests can look up: the lab's registry, and the mirrors that their apt asks.
//!
//! Opens no sockets; the forwarders behind the names are made elsewhere.

use std::fmt::Write as _;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use super::registry;
use super::rootfs::Rootfs;

/// Names that guests can look up, each with an address of the bridge.
pub(crate) struct Names {
    registry: &'static str,
    /// Address in the lab, name and port in the world.
    pub(crate) egress: Vec<(Ipv4Addr, String, u16)>,
}

impl Names {
    pub(crate) fn of(rootfs: &Rootfs) -> Result<Self, String> {
        let mut egress: Vec<(Ipv4Addr, String, u16)> = Vec::new();
        for mirror in rootfs.mirrors() {
            let url = reqwest::Url::parse(mirror)
                .map_err(|error| format!("apt's mirror {mirror}: {error}"))?;
            let name = url.host_str().unwrap_or_default().to_owned();
            let port = url.port_or_known_default().unwrap_or(80);
            if !egress
                .iter()
                .any(|(_, known, at)| *known == name && *at == port)
            {
                let last = u8::try_from(egress.len() + 2).expect("there are two mirrors at most");
                egress.push((Ipv4Addr::new(198, 51, 100, last), name, port));
            }
        }
        Ok(Self {
            registry: registry::HOST,
            egress,
        })
    }

    /// For the lab's own name server, and for the guests that have none: `/etc/hosts`, and what cloud-init makes it of.
    pub(crate) fn write(&self, run: &Path, rootfs: &Rootfs) -> io::Result<()> {
        let mut names = format!("{} {}\n", registry::ADDRESS, self.registry);
        for (address, name, _) in &self.egress {
            writeln!(names, "{address} {name}").expect("a String takes all that is written to it");
        }
        std::fs::write(run.join("names"), &names)?;
        let etc = run.join("layer/etc");
        std::fs::create_dir_all(etc.join("cloud/templates"))?;
        std::fs::write(
            etc.join("hosts"),
            format!("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n{names}"),
        )?;
        let template = "etc/cloud/templates/hosts.debian.tmpl";
        let text = std::fs::read_to_string(rootfs.file(template))? + &names;
        std::fs::write(run.join("layer").join(template), text)
    }
}
