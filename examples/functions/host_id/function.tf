# "qemu/101"
output "id" {
  value = provider::pmoves::host_id("qemu", 101)
}
