//! The QEMU guest agent: is it there, run a command, write a file, addresses.
//!
//! Does not know what runs in the guest. PVE passes each byte as one character, U+0000 to U+00FF, and so does this.

use std::{net::IpAddr, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use ipnet::IpNet;
use serde::Deserialize;

use super::{Call, Error, Params, Pve, Result, error::Cause, lenient};

/// Most bytes that a command gets on its standard input (`PVE/API2/Qemu/Agent.pm`).
const MAX_INPUT: usize = 65536;
/// Most bytes of a file: PVE takes 61440 characters of base64.
const MAX_FILE: usize = 46080;

/// How a command in the guest ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// The agent kept only the first 16 MiB of one of them.
    pub truncated: bool,
}

/// A network interface inside the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// As the guest calls it, such as `eth0`.
    pub name: String,
    /// MAC address, lower case as most guests print it.
    pub mac: Option<String>,
    /// Addresses with their prefix lengths, link-local ones too.
    pub addresses: Vec<IpNet>,
}

#[derive(Deserialize)]
struct Started {
    #[serde(deserialize_with = "lenient::must")]
    pid: i64,
}

#[derive(Deserialize)]
struct ExecStatus {
    #[serde(deserialize_with = "lenient::flag")]
    exited: bool,
    #[serde(default, deserialize_with = "lenient::opt")]
    exitcode: Option<i32>,
    #[serde(default, deserialize_with = "lenient::opt")]
    signal: Option<i32>,
    #[serde(default, rename = "out-data")]
    out: String,
    #[serde(default, rename = "err-data")]
    err: String,
    #[serde(default, rename = "out-truncated", deserialize_with = "lenient::flag")]
    out_truncated: bool,
    #[serde(default, rename = "err-truncated", deserialize_with = "lenient::flag")]
    err_truncated: bool,
}

#[derive(Deserialize)]
struct Wrapped<T> {
    result: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct InterfaceRow {
    name: String,
    #[serde(default)]
    hardware_address: Option<String>,
    #[serde(default)]
    ip_addresses: Vec<AddressRow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct AddressRow {
    ip_address: String,
    #[serde(deserialize_with = "lenient::must")]
    prefix: u8,
}

impl Pve {
    /// Whether the agent answers now.
    ///
    /// # Errors
    /// [`Error::AgentSilent`] if not within PVE's 3 s; [`Error::AgentNotConfigured`]; [`Error::Rejected`] if the VM is
    /// not running.
    pub async fn agent_ping(&self, node: &str, vmid: u32) -> Result<()> {
        self.send(&Call::post(path(node, vmid, "ping"), Params::new()).agent_slot())
            .await
            .map(drop)
    }

    /// Runs a program with arguments, no shell, and waits for its end.
    ///
    /// `stdin` may have any bytes, 65536 at most. Cancelling leaves the program running.
    ///
    /// # Errors
    /// As [`Pve::agent_ping`]; [`Error::OutcomeUnknown`] if the agent forgets the program, as after its restart.
    pub async fn agent_exec(
        &self,
        node: &str,
        vmid: u32,
        command: &[&str],
        stdin: &[u8],
    ) -> Result<ExecOutput> {
        let params = Params::new().array("command", command);
        let params = params.secret("input-data", (!stdin.is_empty()).then(|| to_latin1(stdin)));
        let call = Call::post(path(node, vmid, "exec"), params).agent_slot();
        if stdin.len() > MAX_INPUT {
            return Err(Error::unexpected(
                call.name(),
                format!("{} bytes of input; PVE passes {MAX_INPUT}", stdin.len()),
            ));
        }
        let Started { pid } = self.get(&call).await?;
        let status = Call::get(
            path(node, vmid, "exec-status"),
            Params::new().with("pid", Some(pid)),
        )
        .agent_slot();
        let what = format!(
            "the command `{}` in VM {vmid}",
            command.first().unwrap_or(&"")
        );
        let ended: ExecStatus = self
            .poll(
                &what,
                Duration::from_millis(100),
                Duration::from_secs(2),
                || async {
                    match self.get::<ExecStatus>(&status).await {
                        Ok(status) => Ok(status.exited.then_some(status)),
                        // A busy guest, or an agent that restarts.
                        Err(Error::AgentSilent) => Ok(None),
                        // The agent tells the end once; whoever asks again has lost it.
                        Err(Error::Rejected { message, .. })
                            if message.starts_with("Agent error") =>
                        {
                            Err(Error::OutcomeUnknown {
                                call: call.name(),
                                source: Cause::from(Box::from(message)),
                            })
                        }
                        Err(error) => Err(error),
                    }
                },
            )
            .await?;
        Ok(ExecOutput {
            code: ended.exitcode,
            signal: ended.signal,
            stdout: from_latin1(&ended.out),
            stderr: from_latin1(&ended.err),
            truncated: ended.out_truncated || ended.err_truncated,
        })
    }

    /// Writes a file of at most 46080 bytes, replacing one that is there; owner and mode are the agent's.
    pub async fn agent_file_write(
        &self,
        node: &str,
        vmid: u32,
        file: &str,
        bytes: &[u8],
    ) -> Result<()> {
        let params = Params::new()
            .with("file", Some(file))
            .secret("content", Some(BASE64_STANDARD.encode(bytes)))
            .flag("encode", Some(false));
        let call = Call::post(path(node, vmid, "file-write"), params).agent_slot();
        if bytes.len() > MAX_FILE {
            return Err(Error::unexpected(
                call.name(),
                format!("{} bytes; PVE writes {MAX_FILE}", bytes.len()),
            ));
        }
        self.send(&call).await.map(drop)
    }

    /// The guest's interfaces with their addresses.
    pub async fn agent_interfaces(&self, node: &str, vmid: u32) -> Result<Vec<Interface>> {
        let call =
            Call::get(path(node, vmid, "network-get-interfaces"), Params::new()).agent_slot();
        let Wrapped { result } = self.get::<Wrapped<Vec<InterfaceRow>>>(&call).await?;
        Ok(result.into_iter().map(interface).collect())
    }
}

fn path(node: &str, vmid: u32, command: &str) -> String {
    format!("/nodes/{node}/qemu/{vmid}/agent/{command}")
}

fn interface(row: InterfaceRow) -> Interface {
    let address = |row: AddressRow| {
        let text = row.ip_address.split('%').next()?;
        IpNet::new(text.parse::<IpAddr>().ok()?, row.prefix).ok()
    };
    Interface {
        name: row.name,
        mac: row.hardware_address,
        addresses: row.ip_addresses.into_iter().filter_map(address).collect(),
    }
}

fn to_latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Text beyond U+00FF was decoded by someone already, and is taken as it is.
fn from_latin1(text: &str) -> Vec<u8> {
    let bytes: Result<_, _> = text.chars().map(u8::try_from).collect();
    bytes.unwrap_or_else(|_| text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_latin1() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(from_latin1(&to_latin1(&bytes)), bytes);
        assert_eq!(from_latin1("gr\u{c3}\u{bc}n"), "grün".as_bytes());
        assert_eq!(from_latin1("✓"), "✓".as_bytes());
    }
}
