//! What `pmoves_image` asks of the API and what a plan of it means.

use expect_test::expect;

use super::*;
use crate::framework::model::check_model;

fn image() -> Image {
    Image {
        node_name: "pve1".into(),
        datastore_id: "local".into(),
        content_type: Some("import".into()),
        url: Some("https://example.com/debian-13.qcow2".into()),
        checksum: Some("ab".repeat(32)),
        checksum_algorithm: Some("sha256".into()),
        file_name: Some("debian-13-abababababab.qcow2".into()),
        verify: Some(true),
        ..Image::default()
    }
}

#[test]
fn the_model_matches_its_schema() {
    check_model::<Image>();
}

#[test]
fn a_download_names_file_and_checksum() {
    expect!["POST /nodes/pve1/storage/local/download-url checksum=abababababababababababababababababababababababababababababababab checksum-algorithm=sha256 content=import filename=debian-13-abababababab.qcow2 url=https://example.com/debian-13.qcow2"]
        .assert_eq(&download(&image()).to_string());
}

#[test]
fn the_stored_name_tells_images_apart() {
    let sum = "0123456789ABCDEF";
    for (url, checksum, name) in [
        (
            "https://x/noble-server.img",
            Some(sum),
            "noble-server-0123456789ab.qcow2",
        ),
        ("https://x/a%20b.raw?x=1", None, "a_20b.raw"),
    ] {
        assert_eq!(stored_name(url, checksum, "import"), name);
    }
    assert_eq!(stored_name("https://x/a.img", None, "iso"), "a.img");
}

#[test]
fn an_import_id_names_node_and_volume() {
    let json = ImageResource::import("pve1/local:import/a.qcow2").unwrap();
    assert_eq!(json["id"], "local:import/a.qcow2");
    assert!(ImageResource::import("a.qcow2").is_err());
}
