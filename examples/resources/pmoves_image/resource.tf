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
