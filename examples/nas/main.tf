# A host with media on a NAS and downloads on a disk of their own.

terraform {
  required_providers {
    pmoves = { source = "cataclysm-studios/pmoves" }
  }
}

# The endpoint and the API token come from PROXMOX_VE_ENDPOINT and PROXMOX_VE_API_TOKEN.
provider "pmoves" {
  tls_fingerprint = var.tls_fingerprint
}

variable "tls_fingerprint" {
  description = "SHA-256 fingerprint of the API's certificate: Node > System > Certificates."
  type        = string
}

resource "pmoves_docker_vm" "media" {
  name           = "media"
  node_name      = "pve1"
  image          = { id = "local:import/debian-13.qcow2" }
  os_disk        = { datastore_id = "local-lvm", size_gb = 16 }
  data_disk      = { size_gb = 50 }
  network_device = { net0 = { bridge = "vmbr0" } }

  # Not worth a backup: it can be fetched again.
  disk = {
    scsi2 = { size_gb = 200, mount_path = "/srv/downloads", backup = false }
  }

  # Mounted before Docker starts; what they take (nfs-common, cifs-utils) is installed.
  mount = {
    films  = { source = "nas.lan:/films", path = "/mnt/films", options = "ro" }
    photos = { source = "//nas.lan/photos", path = "/mnt/photos", type = "cifs", options = "credentials=/root/nas.cred" }
  }
}

resource "pmoves_stack" "jellyfin" {
  host_id = pmoves_docker_vm.media.id
  name    = "jellyfin"
  compose = <<-EOT
    services:
      jellyfin:
        image: jellyfin/jellyfin:10.10
        restart: unless-stopped
        ports: ["8096:8096"]
        volumes:
          - config:/config
          - /mnt/films:/media/films:ro
          - /srv/downloads:/media/downloads
    volumes:
      config:
  EOT
}
