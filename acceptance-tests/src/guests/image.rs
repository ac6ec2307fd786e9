//! Container images made by hand: a busybox, its applets, and a page to serve or a clock to watch.
//!
//! Pure: the same busybox yields the same digests. Does not push them.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use serde_json::{Value, json};

/// An image as a registry takes it.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) name: &'static str,
    pub(crate) tag: &'static str,
    /// The configuration, then the layers.
    pub(crate) blobs: Vec<Vec<u8>>,
    pub(crate) manifest: Vec<u8>,
}

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

const APPLETS: [&str; 14] = [
    "cat", "date", "echo", "env", "false", "hostname", "httpd", "ls", "nc", "sh", "sleep", "touch",
    "true", "wget",
];

/// A web server in two versions that tell themselves apart by their page, and a worker that prints the time.
pub(crate) fn demo(busybox: &[u8]) -> [Image; 3] {
    let base = base(busybox);
    // A shell as process 1 that ends on the first SIGTERM, so that nobody waits ten seconds for a `docker stop`.
    let web = "trap 'exit 0' TERM INT; httpd -f -p 8080 -h /www & wait";
    let worker = "trap 'exit 0' TERM INT; while :; do date; sleep 5 & wait $!; done";
    [
        Image::new(
            "demo/web",
            "1",
            vec![base.clone(), page("demo web 1\n")],
            web,
        ),
        Image::new(
            "demo/web",
            "2",
            vec![base.clone(), page("demo web 2\n")],
            web,
        ),
        Image::new("demo/worker", "1", vec![base], worker),
    ]
}

impl Image {
    fn new(name: &'static str, tag: &'static str, layers: Vec<Vec<u8>>, command: &str) -> Self {
        let digests: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
        let exposed = if name == "demo/web" {
            json!({"8080/tcp": {}})
        } else {
            json!({})
        };
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["sh", "-c", command], "ExposedPorts": exposed},
            "rootfs": {"type": "layers", "diff_ids": digests},
            "history": digests.iter().map(|_| json!({"created_by": "pmoves acceptance tests"})).collect::<Vec<_>>(),
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": layers.iter().map(|layer| descriptor("application/vnd.oci.image.layer.v1.tar", layer)).collect::<Vec<_>>(),
        });
        let blobs = [config].into_iter().chain(layers).collect();
        Self {
            name,
            tag,
            blobs,
            manifest: manifest.to_string().into_bytes(),
        }
    }
}

/// The content address of a blob: `sha256:…`.
pub(crate) fn digest(blob: &[u8]) -> String {
    digest::digest(&digest::SHA256, blob).as_ref().iter().fold(
        "sha256:".to_owned(),
        |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes all that is written to it");
            text
        },
    )
}

fn descriptor(media_type: &str, blob: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(blob), "size": blob.len()})
}

/// The name that container images give to the architecture of this machine.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn base(busybox: &[u8]) -> Vec<u8> {
    let mut tar = Tar::default();
    tar.directory("bin", 0o755);
    tar.file("bin/busybox", 0o755, busybox);
    for applet in APPLETS {
        tar.link(&format!("bin/{applet}"), "busybox");
    }
    tar.directory("etc", 0o755);
    tar.file(
        "etc/passwd",
        0o644,
        b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    );
    tar.file("etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n");
    tar.directory("tmp", 0o1777);
    tar.finish()
}

fn page(text: &str) -> Vec<u8> {
    let mut tar = Tar::default();
    tar.directory("www", 0o755);
    tar.file("www/index.html", 0o644, text.as_bytes());
    tar.finish()
}

/// A tar archive in the making (POSIX.1-1988 ustar), with all times and owners zero.
#[derive(Default)]
struct Tar(Vec<u8>);

const BLOCK: usize = 512;

impl Tar {
    fn directory(&mut self, path: &str, mode: u32) {
        self.header(&format!("{path}/"), mode, 0, b'5', "");
    }

    fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.header(path, mode, content.len(), b'0', "");
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
    }

    fn link(&mut self, path: &str, target: &str) {
        self.header(path, 0o777, 0, b'2', target);
    }

    fn header(&mut self, path: &str, mode: u32, size: usize, kind: u8, target: &str) {
        let mut header = [0; BLOCK];
        let mut put =
            |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        put(0, path);
        put(100, &format!("{mode:07o}"));
        put(108, "0000000");
        put(116, "0000000");
        put(124, &format!("{size:011o}"));
        put(136, "00000000000");
        // The sum counts its own field as blanks.
        put(148, "        ");
        put(157, target);
        put(257, "ustar\u{0}00");
        header[156] = kind;
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend(header);
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.extend([0; 2 * BLOCK]);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::{demo, digest};

    #[test]
    fn the_same_busybox_makes_the_same_images() {
        let images = demo(b"busybox");
        let text: Vec<String> = images
            .iter()
            .map(|image| {
                format!(
                    "{}:{} {} blobs {}\n",
                    image.name,
                    image.tag,
                    image.blobs.len(),
                    digest(&image.manifest)
                )
            })
            .collect();
        expect![[r"
            demo/web:1 3 blobs sha256:8625f404a2bb82e467565133b5c6ba8679a8d85ba9421ef9e1184e83fdb37aca
            demo/web:2 3 blobs sha256:371ba7713caf82deb0bbdc7f59574275b02e6109606e4cedeb834b05eb5ea7ee
            demo/worker:1 2 blobs sha256:d5cd332cfe8eea55d83b01622ce2f570b620a6d3e7d3e1f7e92613ff96394852
        "]]
        .assert_eq(&text.concat());
    }
}
