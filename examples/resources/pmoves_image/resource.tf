variable "debian_checksum" {
  description = "SHA-512 of the image, from SHA512SUMS beside it"
  type        = string
}

resource "pmoves_image" "debian" {
  node_name          = "pve1"
  datastore_id       = "local"
  url                = "https://cloud.debian.org/images/cloud/trixie/latest/debian-13-genericcloud-amd64.qcow2"
  checksum           = var.debian_checksum
  checksum_algorithm = "sha512"
}

# A container template of the list that the node has (`pveam available`).
resource "pmoves_image" "container" {
  node_name    = "pve1"
  datastore_id = "local"
  template     = "debian-13-standard_13.1-2_amd64.tar.zst"
}

# An image that was built here. Other content makes another image.
resource "pmoves_image" "golden" {
  node_name    = "pve1"
  datastore_id = "local"
  file         = "${path.module}/golden.qcow2"
}
