variable "tls_fingerprint" {
  description = "SHA-256 fingerprint of the API's certificate: Node > System > Certificates."
  type        = string
}

variable "node_name" {
  type    = string
  default = "pve1"
}

variable "image_url" {
  description = "A cloud image with cloud-init, uncompressed."
  type        = string
}

variable "image_checksum" {
  description = "Its SHA-256."
  type        = string
}

variable "registry" {
  description = "Registry that holds demo/web and demo/worker."
  type        = string
}
