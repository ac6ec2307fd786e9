//! `download-url` and `query-url-metadata`: files that the node fetches itself.
//!
//! It only fetches from loopback over plain HTTP; every other source is refused as unreachable.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use serde_json::json;

use super::checksum::Checksum;
use super::{Storage, Volume, wget};
use crate::simulator::call::{Allow, Call, Route, later};
use crate::simulator::reply::{Fail, Outcome};
use crate::simulator::tasks::Worker;

const FETCHES: Allow = Allow::Either(
    &Allow::All("/", &["Sys.Audit", "Sys.Modify"]),
    &Allow::All("/nodes/{node}", &["Sys.AccessNetwork"]),
);

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "POST /nodes/{node}/storage/{storage}/download-url",
        allow: Allow::Both(
            &Allow::All("/storage/{storage}", &["Datastore.AllocateTemplate"]),
            &FETCHES,
        ),
        rules: "+storage; checksum? string requires=checksum-algorithm
            checksum-algorithm? string enum=md5|sha1|sha224|sha256|sha384|sha512 requires=checksum
            compression? string; content string pve-storage-content enum=iso|vztmpl|import
            filename string len=..255; url string pattern=https?://.*
            verify-certificates? boolean",
        handler: later!(download),
    },
    Route {
        call: "GET /nodes/{node}/query-url-metadata",
        allow: FETCHES,
        rules: "+node; url string pattern=https?://.*; verify-certificates? boolean",
        handler: later!(metadata),
    },
];

/// How much of a big file is kept.
const KEPT: usize = 1 << 20;

/// The file name as the node makes it: without its path, odd characters replaced.
pub(crate) fn normal_name(name: &str) -> String {
    let base = name.rsplit('/').next().unwrap_or_default();
    let kept = |c: char| {
        if c.is_ascii_alphanumeric() || "_.-".contains(c) {
            c
        } else {
            '_'
        }
    };
    base.chars().map(kept).collect()
}

/// Checks the ending that each content type demands.
pub(crate) fn check_ending(content: &str, name: &str) -> Result<(), Fail> {
    let endings: &[&str] = match content {
        "iso" => &[".iso", ".img"],
        "vztmpl" => &[".tar", ".tar.gz", ".tar.xz", ".tar.zst", ".tar.bz2"],
        _ => &[".ova", ".qcow2", ".raw", ".vmdk"],
    };
    if endings
        .iter()
        .any(|ending| name.len() > ending.len() && name.ends_with(ending))
    {
        return Ok(());
    }
    let text = if content == "import" {
        "invalid filename or wrong extension"
    } else {
        "wrong file extension"
    };
    Err(Fail::param("filename", text))
}

/// The content type as the volume has it.
pub(crate) fn content_type(name: &str) -> &'static str {
    match name {
        "iso" => "iso",
        "vztmpl" => "vztmpl",
        _ => "import",
    }
}

fn is_loopback(url: &str) -> bool {
    let host = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split(['/', '?', '#']).next());
    let host = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    matches!(host, Some("127.0.0.1" | "localhost" | "[::1]"))
}

fn client() -> Result<reqwest::Client, String> {
    let builder = reqwest::Client::builder().no_proxy();
    let follow = reqwest::redirect::Policy::custom(|attempt| {
        if is_loopback(attempt.url().as_str()) {
            attempt.follow()
        } else {
            attempt.stop()
        }
    });
    builder
        .redirect(follow)
        .build()
        .map_err(|error| error.to_string())
}

fn check_storage(storage: &Storage, content: &str) -> Result<(), Fail> {
    if !storage.is_file_based() {
        return Err(Fail::died(format!(
            "can't upload to storage type '{}', not a file based storage!",
            storage.kind
        )));
    }
    if !storage.has(content) {
        return Err(Fail::died(format!(
            "storage '{}' is not configured for content-type '{content}'",
            storage.id
        )));
    }
    Ok(())
}

async fn download(call: Call) -> Outcome {
    let params = &call.params;
    let content = content_type(params.text("content"));
    let name = normal_name(params.text("filename"));
    let storage = call.world.state().storage(params.text("storage"))?.clone();
    check_storage(&storage, content)?;
    check_ending(content, &name)?;
    if params.text_opt("compression").is_some() && content != "iso" {
        return Err(Fail::died(format!(
            "decompression not supported for {content}"
        )));
    }
    let job = Job {
        node: call.node().to_owned(),
        url: params.text("url").to_owned(),
        id: format!("{}:{content}/{name}", storage.id),
        file: storage.file(&format!("{content}/{name}")),
        content,
        checksum: params
            .text_opt("checksum-algorithm")
            .map(|algorithm| (algorithm.to_owned(), params.text("checksum").to_lowercase())),
    };
    Ok(call.start_task("download", &name, |worker| job.run(worker)))
}

struct Job {
    node: String,
    url: String,
    id: String,
    file: String,
    content: &'static str,
    checksum: Option<(String, String)>,
}

impl Job {
    async fn run(self, worker: Worker) -> Result<(), String> {
        worker.log(format!("downloading {} to {}", self.url, self.file));
        worker.takes(Duration::from_secs(1)).await?;
        let existing = worker.world.state().volume(&self.node, &self.id).cloned();
        if let Some(existing) = existing {
            let Some((algorithm, wanted)) = &self.checksum else {
                return Err(format!(
                    "refusing to override existing file '{}'",
                    self.file
                ));
            };
            let known = existing
                .sum(algorithm)
                .ok_or("the simulator does not compute md5")?;
            let looking = "calculating checksum of existing file...";
            if known != *wanted {
                worker.log(looking);
                return Err(format!(
                    "checksum mismatch: got '{known}' != expect '{wanted}', aborting"
                ));
            }
            worker.log(format!(
                "{looking}OK, got correct file already, no need to download"
            ));
            return Ok(());
        }
        let fetched = self.fetch(&worker).await?;
        self.verify(&worker, &fetched)?;
        worker.log(format!(
            "download of '{}' to '{}' finished",
            self.url, self.file
        ));
        let name = self.id.rsplit('/').next().unwrap_or_default();
        let volume = Volume {
            sums: fetched.sums,
            ..Volume::file(self.content, name, fetched.length, fetched.beginning)
        };
        worker
            .world
            .state()
            .put_volume(&self.node, &self.id, volume);
        Ok(())
    }

    /// Gets the file from its source.
    async fn fetch(&self, worker: &Worker) -> Result<Fetched, String> {
        let host = self.url.split('/').nth(2).unwrap_or_default();
        worker.log(format!("--{}--  {}", wget::now(), self.url));
        // The last line before a failure is told by the error and not by the log.
        let connecting = format!("Connecting to {host}...");
        if !is_loopback(&self.url) {
            return Err(format!(
                "download failed: {connecting} failed: Network is unreachable."
            ));
        }
        let begun = std::time::Instant::now();
        let refused = |_| format!("download failed: {connecting} failed: Connection refused.");
        let mut answer = client()?.get(&self.url).send().await.map_err(refused)?;
        worker.log(format!("{connecting} connected."));
        let (status, reason) = (answer.status(), reason(&answer));
        worker.log(format!(
            "HTTP request sent, awaiting response... {} {reason}",
            status.as_u16()
        ));
        if !status.is_success() {
            worker.log(format!(
                "{} ERROR {}: {reason}.",
                wget::now(),
                status.as_u16()
            ));
            return Err("download failed: exit code 8".to_owned());
        }
        let kind = answer.headers().get("content-type");
        let kind = kind.and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        let mut sums: Vec<(&str, Checksum)> = ["sha1", "sha224", "sha256", "sha384", "sha512"]
            .into_iter()
            .filter(|name| {
                matches!(*name, "sha256" | "sha512")
                    || self.checksum.as_ref().is_some_and(|(a, _)| a == name)
            })
            .filter_map(|name| Some((name, Checksum::new(name)?)))
            .collect();
        let (mut kept, mut length) = (Vec::new(), 0_u64);
        while let Some(part) = answer
            .chunk()
            .await
            .map_err(|_| "download failed: exit code 4".to_owned())?
        {
            length += part.len() as u64;
            kept.extend_from_slice(&part[..part.len().min(KEPT.saturating_sub(kept.len()))]);
            for (_, sum) in &mut sums {
                sum.update(&part);
            }
        }
        let pid = worker.upid.split(':').nth(2).unwrap_or_default();
        let pid = u32::from_str_radix(pid, 16).unwrap_or_default();
        let temporary = format!("{}.tmp_dwnl.{pid}", self.file);
        worker.log(wget::length(length, kind.as_deref()));
        worker.log(format!("Saving to: '{temporary}'"));
        worker.log_all(wget::progress(length, begun.elapsed()));
        worker.log(wget::saved(&temporary, length, begun.elapsed()));
        Ok(Fetched {
            beginning: kept.into(),
            sums: sums
                .into_iter()
                .map(|(name, sum)| (name.to_owned(), sum.finish()))
                .collect(),
            length,
        })
    }

    fn verify(&self, worker: &Worker, fetched: &Fetched) -> Result<(), String> {
        let Some((algorithm, wanted)) = &self.checksum else {
            return Ok(());
        };
        let got = fetched
            .sums
            .get(algorithm)
            .ok_or("the simulator does not compute md5")?;
        if got != wanted {
            worker.log("calculating checksum...");
            return Err(format!(
                "checksum mismatch: got '{got}' != expect '{wanted}'"
            ));
        }
        worker.log("calculating checksum...OK, checksum verified");
        Ok(())
    }
}

/// A file that was fetched.
struct Fetched {
    beginning: Bytes,
    sums: BTreeMap<String, String>,
    length: u64,
}

/// The reason phrase of an answer.
fn reason(answer: &reqwest::Response) -> String {
    let given = answer.extensions().get::<hyper::ext::ReasonPhrase>();
    given.map_or_else(
        || {
            answer
                .status()
                .canonical_reason()
                .unwrap_or_default()
                .to_owned()
        },
        |given| String::from_utf8_lossy(given.as_bytes()).into_owned(),
    )
}

async fn metadata(call: Call) -> Outcome {
    let url = call.params.text("url");
    let unreachable = || Fail::died("invalid server response: '500 Can't connect'");
    if !is_loopback(url) {
        return Err(unreachable());
    }
    let answer = client()
        .map_err(Fail::died)?
        .head(url)
        .send()
        .await
        .map_err(|_| unreachable())?;
    if !answer.status().is_success() {
        let text = format!("{} {}", answer.status().as_u16(), reason(&answer));
        return Err(Fail::died(format!("invalid server response: '{text}'")));
    }
    let header = |name: &str| {
        answer
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let mut data = json!({"filename": normal_name(answer.url().path())});
    if let Some(size) = header("content-length").and_then(|text| text.parse::<u64>().ok()) {
        data["size"] = json!(size);
    }
    if let Some(kind) = header("content-type") {
        data["mimetype"] = json!(kind.split(';').next().unwrap_or_default());
    }
    Ok(data.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised() {
        assert_eq!(normal_name("../dl 9.iso"), "dl_9.iso");
        assert_eq!(normal_name("a/b/c.qcow2"), "c.qcow2");
    }

    #[test]
    fn endings_belong_to_content_types() {
        let check =
            |content, name, good| assert_eq!(check_ending(content, name).is_ok(), good, "{name}");
        check("iso", "x.img", true);
        check("import", "x.img", false);
        check("import", "x.qcow2", true);
        check("vztmpl", "x.tar.zst", true);
        check("iso", ".iso", false);
    }

    #[test]
    fn only_loopback_is_fetched_from() {
        assert!(is_loopback("http://127.0.0.1:80/x"));
        assert!(!is_loopback("https://127.0.0.1/x"));
        assert!(!is_loopback("http://127.0.0.1.example.com/x"));
        assert!(!is_loopback("http://cloud.example.com/127.0.0.1"));
    }
}
