# { kind = "qemu", vm_id = 101 }
output "parts" {
  value = provider::pmoves::parse_host_id("qemu/101")
}
