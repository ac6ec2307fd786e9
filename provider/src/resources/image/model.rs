//! The attributes of `pmoves_image`.

use serde::{Deserialize, Serialize};

use super::checks::{checksum, file_name, url};
use crate::{framework::Model, resources::timeouts::Timeouts};

/// A cloud image or a container template on a storage of Proxmox VE: downloaded by the node itself from a URL, taken from
/// the list of templates that Proxmox VE offers, or uploaded from the machine that runs the plan.
///
/// A download is safe to repeat if it has a checksum: a file that is already there and matches is taken as it is. Images
/// for `import` must not be compressed, since Proxmox VE does not unpack them; CD images that end in `.gz`, `.bz2`, `.zst`
/// or `.lzo` are unpacked by the node. A download that is interrupted with Ctrl-C is stopped on the node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Model)]
pub struct Image {
    /// The volume id, such as `local:import/debian-13-1f2e3d4c5b6a.qcow2`.
    #[attr(computed)]
    pub id: Option<String>,
    /// Node that downloads the image.
    #[attr(replace)]
    pub node_name: String,
    /// File storage that takes the image; its content must include `content_type`.
    #[attr(replace, param = "storage")]
    pub datastore_id: String,
    /// What the volume is for: `import` for disk images that VMs start from, `vztmpl` for container templates, `iso` for CD images. Left open, `vztmpl` with `template` and `import` otherwise.
    #[attr(decided, replace, one_of(&["import", "vztmpl", "iso"]), param = "content")]
    pub content_type: Option<String>,
    /// Where the node downloads the image from. The plan asks the node whether it is there.
    #[attr(replace, check(url))]
    pub url: Option<String>,
    /// A container template of the list that the node has (`pveam available`), such as `debian-13-standard_13.1-2_amd64.tar.zst`. Proxmox VE verifies it by itself.
    #[attr(replace, check(file_name))]
    pub template: Option<String>,
    /// A file of the machine that runs the plan, uploaded through the API. Each plan reads it whole: other content makes another image, another path does not.
    #[attr(open)]
    pub file: Option<String>,
    /// Checksum of what the URL has, as hex digits. Without it a file that is already there is refused.
    #[attr(replace, check(checksum))]
    pub checksum: Option<String>,
    /// Algorithm of the checksum.
    #[attr(default("sha256"), replace, one_of(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"]), param = "checksum-algorithm")]
    pub checksum_algorithm: Option<String>,
    /// Name of the file on the storage. Left open, the one of the source with the first digits of the checksum, so that a new image never meets the old file; `.img` becomes `.qcow2`, which Proxmox VE demands for imports.
    #[attr(decided, replace, check(file_name), param = "filename")]
    pub file_name: Option<String>,
    /// Whether the certificate of the download server is verified.
    #[attr(default(true), setting)]
    pub verify: Option<bool>,
    /// Whether a file of that name that is already there is deleted first.
    #[attr(default(false), setting)]
    pub overwrite_unmanaged: Option<bool>,
    /// Size of the file in bytes.
    #[attr(computed)]
    pub size: Option<i64>,
    /// SHA-256 of `file`.
    #[attr(computed)]
    pub file_sha256: Option<String>,
    /// How long operations may take.
    pub timeouts: Option<Timeouts>,
}
