terraform {
  required_providers {
    pmoves = {
      source = "cataclysm-studios/pmoves"
    }
  }
}

# The token comes from PROXMOX_VE_API_TOKEN, so that it stands in no file.
provider "pmoves" {
  endpoint        = "https://pve1.example.com:8006"
  tls_fingerprint = "5E:88:48:98:DA:28:04:71:51:D0:E5:6F:8D:C6:29:27:73:60:3D:0D:6A:AB:BD:D6:2A:11:EF:72:1D:15:42:D8"
}
